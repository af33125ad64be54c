"""Measurement tables: Parquet files that carry the provenance of their rows."""

import json
from os import PathLike

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from marginalia.files import atomic_write
from marginalia.measurements.stored import KEY

_KEY = KEY.encode()


def write_table(frame: pd.DataFrame, path: str | PathLike, provenance: dict) -> None:
    """Write a table, whole or not at all, with its provenance as JSON in the schema's metadata."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    metadata = {**(table.schema.metadata or {}), _KEY: json.dumps(provenance).encode()}
    with atomic_write(path) as part:
        pq.write_table(table.replace_schema_metadata(metadata), part, compression="zstd")


def read_table(path: str | PathLike) -> pd.DataFrame:
    """Read a table; its provenance is in ``attrs["provenance"]``.

    Raises:
        ValueError: the file is no measurement (it carries no provenance).
    """
    table = pq.read_table(path)
    metadata = table.schema.metadata or {}
    if _KEY not in metadata:
        raise ValueError(f"{path} is not a measurement of Marginalia: it carries no provenance")
    frame = table.to_pandas()
    frame.attrs["provenance"] = json.loads(metadata[_KEY])
    return frame
