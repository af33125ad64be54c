"""Training methods, a file each: ``loss(model, images, labels, **settings)`` is what a step minimizes.

``images`` are ``[B, C, H, W]`` in [0, 1], ``labels`` ``[B]``; the model is in training mode and the loss a
scalar. The random state is torch's, which the checkpoints hold.
"""
