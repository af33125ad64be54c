"""Measurements: tables made from one checkpoint by one estimator. Nothing here knows of training.

- :mod:`~marginalia.measurements.measure` makes a table, :mod:`~marginalia.measurements.series` those of a
  run,
- :mod:`~marginalia.measurements.parquet` writes and reads it, :mod:`~marginalia.measurements.stored` looks at
  what lies on disk without reading it whole,
- :mod:`~marginalia.measurements.provenance` says what a table was made of,
- :mod:`~marginalia.measurements.robustness` is robust accuracy under PGD and audited,
- :mod:`~marginalia.measurements.reading` and :mod:`~marginalia.measurements.statistics` serve what shows it.
"""
