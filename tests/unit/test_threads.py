"""Pieces of work on several threads: in order, no more than asked for, and errors reach the caller."""

import threading
import time

import pytest
import torch

from marginalia.threads import in_order


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_results_come_in_order_from_threads_with_their_share():
    prepared = []

    def prepare():
        prepared.append(threading.get_ident())
        assert torch.get_num_threads() == 1
        return lambda number: (time.sleep(0.02 * (number % 2 == 0)), number**2)[1]

    assert list(in_order(prepare, 7, 2)) == [0, 1, 4, 9, 16, 25, 36]
    assert len(set(prepared)) == 2 and threading.get_ident() not in prepared


@pytest.mark.parametrize(("count", "threads"), [(5, 1), (1, 4), (0, 4)])
def test_where_one_is_enough_the_caller_does_it(count, threads):
    where = in_order(lambda: lambda number: threading.get_ident(), count, threads)
    assert set(where) == {threading.get_ident()} if count else not list(where)


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_ends_the_work(threads):
    done = []

    def function(number):
        if number == 3:
            raise ValueError("the third")
        time.sleep(0.01)
        done.append(number)

    with pytest.raises(ValueError, match="the third"):
        list(in_order(lambda: function, 1000, threads))
    time.sleep(0.1)
    assert len(done) < 20


def test_threads_serve_again():
    list(in_order(lambda: abs, 10, 3))
    before = threading.active_count()
    for _ in range(5):
        assert list(in_order(lambda: abs, 10, 3)) == list(range(10))
    assert threading.active_count() == before
