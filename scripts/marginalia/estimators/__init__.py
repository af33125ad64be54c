"""Estimators, a file each: ``measure(model, images, labels, **settings)`` returns columns of a measurement.

``model`` is in eval mode, ``images`` are ``[N, C, H, W]`` in [0, 1], ``labels`` ``[N]``, all on one device.
Each column is an array of N entries, in the order of the images. ``generator``, where an estimator takes it,
is seeded by the caller and is no setting of the configuration.
"""
