"""Margins inside subspaces (ortiz2020): of the DCT, at random, or those of T1."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from marginalia.bases import random_subspaces, t1_subspaces
from marginalia.devices import seed_of
from marginalia.margins import (
    Bases,
    DctBlocks,
    Subspaces,
    deepfool,
    line_margin,
    minimum_norm_attack,
    refined,
)

KEYS = ("subspace",)
SETTINGS = {
    "dct": ("kind", "size", "step"),
    "random": ("count", "dimension", "seed"),
    "t1": ("dimension", "seed"),
}
MOST_BYTES = 2**27  # of perturbations at a time: an image has one in each subspace


class Group(NamedTuple):
    """Some subspaces of one dimension, and what each is called."""

    names: list[str]
    spaces: Subspaces


def measure(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    subspaces: Mapping[str, Mapping],
    candidates: int = 10,
    max_steps: int = 100,
    overshoot: float = 0.02,
    audit: bool = False,
    audit_steps: int = 200,
    noise_seed: int = 0,
    facts: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Columns ``prediction`` and ``correct``, and in each subspace the distance and how it was found.

    An image has a row in each subspace: ``subspace`` numbers them, ``subspace_name`` is the first frequency
    of a DCT subspace, the number of a random one, or u1, complement, orthogonal_random, random, and
    ``dimension`` is theirs. ``d2`` is DeepFool's distance as it is published, without a box (pixel units, NaN
    where no boundary was ``found`` in ``steps``); ``d2_refined`` is that of the crossing on DeepFool's way;
    ``exact`` is the nearest crossing on the line, in subspaces of one dimension, and NaN in others. With
    ``audit`` there is ``minimum_norm`` as well, what `marginalia.margins.minimum_norm_attack` finds in the
    subspace.

    Args:
        subspaces: ``{"dct": {"kind": ..., "size": ..., "step": ...}}``, as
            `marginalia.margins.DctBlocks` takes them; ``{"random": {"count": ..., "dimension": ...,
            "seed": ...}}``; or ``{"t1": {"dimension": ..., "seed": ...}}`` of data that know their rotation
            (`marginalia.bases`). What is random is drawn anew in each measurement, by its seed.
        candidates: consider only so many of the most likely classes, the predicted one included.
        audit_steps: of the minimum-norm attack.

    Raises:
        ValueError: a setting is missing, unknown or out of range, or the data know no rotation.
    """
    groups = subspaces_of(subspaces, tuple(images.shape[1:]), facts or {}, noise_seed)
    settings = {"candidates": candidates, "max_steps": max_steps, "overshoot": overshoot}
    found: dict[str, list[Tensor]] = {}
    for _, spaces in groups:
        parts = [
            _measured(model, x, spaces, settings, audit_steps if audit else 0)
            for x in images.split(_at_once(images, len(spaces)))
        ]
        for name in parts[0]:
            found.setdefault(name, []).append(torch.cat([part[name] for part in parts]))
    columns = {name: torch.cat(values, 1).cpu().numpy() for name, values in found.items()}
    names = np.array([name for group in groups for name in group.names])
    dimensions = np.concatenate([np.full(len(group.names), group.spaces.width) for group in groups])
    prediction = columns.pop("prediction")[:, 0]
    return {
        "prediction": prediction,
        "correct": prediction == labels.cpu().numpy(),
        "subspace": np.tile(np.arange(len(names)), (len(images), 1)),
        "subspace_name": np.tile(names, (len(images), 1)),
        "dimension": np.tile(dimensions, (len(images), 1)),
        **columns,
    }


def subspaces_of(
    chosen: Mapping[str, Mapping],
    shape: tuple[int, ...],
    facts: Mapping[str, np.ndarray],
    noise_seed: int = 0,
) -> list[Group]:
    """The subspaces that a setting names, those of one dimension together, in order.

    Args:
        chosen: as `measure` takes it.
        shape: (C, H, W) of the images.

    Raises:
        ValueError: a setting is missing, unknown or out of range, or the facts have no rotation.
    """
    if not isinstance(chosen, Mapping) or len(chosen) != 1 or not chosen.keys() <= SETTINGS.keys():
        raise ValueError(
            f"subspaces: {chosen!r} will not do; allowed: one of {', '.join(SETTINGS)} with its settings"
        )
    ((kind, settings),) = chosen.items()
    if not isinstance(settings, Mapping) or settings.keys() != set(SETTINGS[kind]):
        raise ValueError(f"subspaces.{kind}: {settings!r} will not do; allowed: {', '.join(SETTINGS[kind])}")
    if kind == "dct":
        blocks = DctBlocks(shape, settings["size"], settings["step"], kind=settings["kind"])
        return [Group(list(map(str, blocks.starts)), blocks)]
    generator = torch.Generator().manual_seed(seed_of("subspaces", noise_seed, settings["seed"]))
    if kind == "random":
        pixels = int(np.prod(shape))
        bases = random_subspaces(pixels, settings["count"], settings["dimension"], generator)
        return [Group(list(map(str, range(len(bases)))), Bases(bases))]
    if "rotation" not in facts or len(facts["rotation"]) != np.prod(shape):
        raise ValueError("subspaces.t1: these data know no rotation; allowed: data of the source t1")
    rotation = torch.from_numpy(np.asarray(facts["rotation"]))
    named = t1_subspaces(rotation, settings["dimension"], generator)
    return [Group([name], Bases(basis[None])) for name, basis in named.items()]


def _measured(
    model: nn.Module, x: Tensor, spaces: Subspaces, settings: dict, audit_steps: int
) -> dict[str, Tensor]:
    """Columns ``[n, R]`` of some images in subspaces of one dimension."""
    published = deepfool(model, x, subspaces=spaces, **settings)
    exact = torch.full_like(published.distance, float("nan"))
    if spaces.width == 1:
        exact = torch.stack([line_margin(model, x, spaces.basis(n)[:, 0]) for n in range(len(spaces))])
    columns = {
        "d2": published.distance,
        "d2_refined": refined(model, x, published).distance,
        "exact": exact,
        "steps": published.steps,
        "found": published.found,
    }
    if audit_steps:
        attacked = minimum_norm_attack(model, x, steps=audit_steps, subspaces=spaces)
        columns["minimum_norm"] = attacked.distance
    return {"prediction": published.label[:, None]} | {name: each.T for name, each in columns.items()}


def _at_once(images: Tensor, spaces: int) -> int:
    """How many images have their perturbations in all subspaces within the limit."""
    return max(1, MOST_BYTES // (4 * spaces * max(1, images[:1].numel())))
