"""Fetch a file of a data set, from the configured mirror or its official address.

In: nothing on disk.
Out: the uncompressed file, its content checked.
"""

import logging
import sys

from jobs import logged

with logged(snakemake.log[0]):
    from marginalia.fetching import FetchError, fetch
    from marginalia.sources import needed

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    key = f"{snakemake.wildcards.dataset}/{snakemake.wildcards.file}"
    files = needed(snakemake.config["datasets"]).values()
    resource = next(resource for listed in files for resource in listed if resource.key == key)
    try:
        # The mirror is no parameter of the rule: what was fetched from another place is the same.
        fetch(resource, snakemake.output.file, snakemake.config["mirror"])
    except FetchError as error:
        print(error, file=sys.stderr)
        sys.exit(str(error))
