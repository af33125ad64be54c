"""torchvision's ResNet-50 for ImageNet, on pixels in [0, 1].

Weights come from a checkpoint: torchvision's file, one of the public "robustness" library, or one of
Marginalia's (`marginalia.checkpoints`).
"""

from collections import OrderedDict

from torch import nn

from marginalia.models._layers import Normalization

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # with which torchvision trained its weights


def build(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """torchvision's layers, by its names, in a row, behind the normalization of ImageNet's pixels.

    Raises:
        ValueError: the images are not of three channels.
    """
    from torchvision.models import resnet50

    if shape[0] != 3:
        raise ValueError(f"resnet50_imagenet takes images of 3 channels, not of {shape[0]}")
    parts = OrderedDict(resnet50(weights=None, num_classes=classes).named_children())
    fc = parts.pop("fc")
    return nn.Sequential(
        OrderedDict(normalization=Normalization(3, MEAN, STD), **parts, flatten=nn.Flatten(), fc=fc)
    )
