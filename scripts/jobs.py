"""What the scripts of all rules share: where their words go, and the plugins of a user's own."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from marginalia.devices import share_processors


@contextmanager
def logged(snakemake: object) -> Iterator[None]:
    """Send standard output and error to a job's log; an error that ends the job is said on both."""
    with open(snakemake.log[0], "w", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
        try:
            share_processors()
            _add_plugins(getattr(snakemake.params.job, "plugins", []))
            yield
        except Exception as error:
            traceback.print_exc()
            print(f"{type(error).__name__}: {error}", file=sys.__stderr__)
            sys.exit(1)


def _add_plugins(folders: list[str]) -> None:
    if folders:
        from marginalia import plugins

        for folder in folders:
            plugins.add_folder(folder)
