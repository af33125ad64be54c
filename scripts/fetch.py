"""Fetch a file of a data set, from the configured mirror or its official address.

In: nothing on disk.
Out: the uncompressed file, its content checked.
"""

import logging
import sys

from jobs import logged

with logged(snakemake):
    from marginalia.fetching import FetchError, fetch
    from marginalia.sources import needed

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    job = snakemake.params.job
    files = needed(job.datasets).values()
    resource = next(resource for listed in files for resource in listed if resource.key == job.key)
    try:
        fetch(resource, snakemake.output.file, job.mirror)
    except FetchError as error:
        print(error, file=sys.stderr)
        sys.exit(str(error))
