"""What the scripts of all rules share: where their words go."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def logged(path: str) -> Iterator[None]:
    """Send standard output and error to a job's log; an error that ends the job is said on both."""
    with open(path, "w", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            print(f"{type(error).__name__}: {error}", file=sys.__stderr__)
            sys.exit(1)
