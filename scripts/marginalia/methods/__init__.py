"""Training methods, a file each: ``loss(model, images, labels, **settings)`` is what a step minimizes.

``images`` are ``[B, C, H, W]``, ``labels`` ``[B]``; the model is in training mode and the loss a scalar. The
random state is torch's, which the checkpoints hold. A parameter ``box``, which the caller gives and no
configuration, is the least and the greatest pixel of the data, or None
(:attr:`marginalia.dataset.Dataset.box`).
"""
