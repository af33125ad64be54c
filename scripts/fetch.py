"""Fetch a file of a data set, or a released checkpoint, from the configured mirror or its official address.

In: nothing on disk.
Out: the uncompressed file, its content checked.
"""

import logging
import sys

from jobs import logged

with logged(snakemake):
    from itertools import chain

    from marginalia import external, sources
    from marginalia.fetching import FetchError, fetch

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    job = snakemake.params.job
    files = chain(*sources.needed(job.datasets).values(), external.needed(job.runs))
    resource = next(resource for resource in files if resource.key == job.key)
    try:
        fetch(resource, snakemake.output.file, job.mirror)
    except FetchError as error:
        print(error, file=sys.stderr)
        sys.exit(str(error))
