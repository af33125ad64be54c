"""Marginalia measures the margin: the distance from a sample to a classifier's decision boundary.

The library stands alone: it knows nothing of the pipeline that calls it. What a reader may want first:

- :mod:`marginalia.margins` estimates margins, :mod:`marginalia.attacks` attacks a classifier,
- :mod:`marginalia.training` trains a run, epoch after epoch, and can stop and go on anywhere,
- :mod:`marginalia.measurements` makes tables of what estimators say, with their provenance,
- :mod:`marginalia.figures` and :mod:`marginalia.tables` show them, :mod:`marginalia.claims` judges them,
- :mod:`marginalia.planning` says what is there, what is current, and what is left to do,
- :mod:`marginalia.models`, :mod:`marginalia.methods`, :mod:`marginalia.estimators`,
  :mod:`marginalia.sources` and :mod:`marginalia.views` are extended by adding a file
  (:mod:`marginalia.plugins` says how).
"""
