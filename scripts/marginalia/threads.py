"""Independent pieces of work, a thread each, in place of many threads in each small operation."""

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import TypeVar

import torch

Result = TypeVar("Result")

_tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
_started: list[threading.Thread] = []


def in_order(prepare: Callable[[], Callable[[int], Result]], count: int, threads: int) -> Iterator[Result]:
    """What the functions that ``prepare`` returns make of 0 to ``count`` - 1, in that order.

    Args:
        prepare: called once on each thread; what it returns is called on that thread alone.
        threads: at most so many pieces are under way at a time; each has its share of torch's threads. With
            one, everything happens on the caller's thread.

    Raises:
        Exception: what a piece raises, as soon as it is known; pieces under way go on, no other begins.
    """
    workers = min(threads, count)
    if workers <= 1:
        yield from map(prepare(), range(count))
        return
    numbers, finished = iter(range(count)), SimpleQueue()
    at_once = torch.get_num_threads()
    stop = threading.Event()

    def work() -> None:
        try:
            torch.set_num_threads(max(1, at_once // workers))
            torch.set_flush_denormal(True)  # holds for the thread that says so
            function = prepare()
            while not stop.is_set() and (number := next(numbers, None)) is not None:
                finished.put((number, function(number), None))
        except Exception as error:
            finished.put((None, None, error))

    _start(workers)
    for _ in range(workers):
        _tasks.put(work)
    try:
        results: dict[int, Result] = {}
        for wanted in range(count):
            while wanted not in results:
                number, result, error = finished.get()
                if error is not None:
                    raise error
                results[number] = result
            yield results.pop(wanted)
    finally:
        stop.set()
        torch.set_num_threads(at_once)


def _start(count: int) -> None:
    """Have so many threads. They wait for work for ever: one that has used torch and ends while Python does
    would abort it."""

    def serve() -> None:
        while True:
            _tasks.get()()

    while len(_started) < count:
        _started.append(threading.Thread(target=serve, daemon=True))
        _started[-1].start()
