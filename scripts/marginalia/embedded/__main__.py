"""Make the files of this package out of the official ones: ``python -m marginalia.embedded [MIRROR]``."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from marginalia.embedded import FOLDER, pack
from marginalia.fetching import fetch
from marginalia.files import atomic_write
from marginalia.sources import idx


def make(mirror: str | None, folder: Path = FOLDER) -> None:
    """Write `folder`/mnist.xz and `folder`/fashion_mnist.xz.

    The official files are taken from `mirror`, a folder or URL that holds mnist/FILE.gz and
    fashion_mnist/FILE.gz, or from their addresses, and checked by their sums.
    """
    for name in idx.TABLE:
        with TemporaryDirectory() as downloads:
            for resource in idx.resources(name=name):
                fetch(resource, Path(downloads, resource.key), mirror)
            official = idx.read(Path(downloads), name=name)
        with atomic_write(folder / f"{name}.xz") as temporary:
            temporary.write_bytes(pack(official.train, official.test))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m marginalia.embedded", description="Make the embedded images."
    )
    parser.add_argument(
        "mirror", nargs="?", help="folder or URL with the official files; default: their addresses"
    )
    make(parser.parse_args().mirror)
