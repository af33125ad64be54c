"""Marginalia measures the margin: the distance from a sample to a classifier's decision boundary.

The library stands alone: it knows nothing of the pipeline that calls it. What a reader may want first:

- :mod:`marginalia.margins` estimates margins, :mod:`marginalia.attacks` attacks a classifier,
- :mod:`marginalia.training` trains a run, epoch after epoch, and can stop and go on anywhere,
- :mod:`marginalia.models`, :mod:`marginalia.methods`, :mod:`marginalia.estimators`,
  :mod:`marginalia.sources` and :mod:`marginalia.views` are extended by adding a file
  (:mod:`marginalia.plugins` says how),
- :mod:`marginalia.figures` draws measurements.
"""
