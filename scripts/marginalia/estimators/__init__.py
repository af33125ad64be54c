"""Estimators, a file each: ``measure(model, images, labels, **settings)`` returns columns of a measurement.

``model`` is in eval mode, ``images`` are ``[N, C, H, W]``, ``labels`` ``[N]``, all on one device.
Each column is an array of N entries, in the order of the images. Where an image has K rows, columns that
differ from row to row are ``[N, K]``, those of the kind that tells the rows apart too, and ``KEYS`` in the
module names these, such as ``KEYS = ("subspace",)``. A boolean column ``capped`` marks distances that are the
greatest that the estimator gives.

Parameters that the caller gives, and no configuration: ``generator``, seeded anew for each call, for random
numbers; ``noise_seed``, the same in all calls of a measurement and another in each measurement, for what is
drawn once for all images; ``facts``, what the data know of themselves, and ``box``, their least and greatest
pixel, or None; ``dataset``, all of them (:class:`marginalia.dataset.Dataset`).
"""
