"""Images that move between correct and incorrect classification: counting the flow, and drawing it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from marginalia.figures import style

NODE = 0.011  # half the width of a node, as a share of the panel
FEW = 15  # percent: where at most so many images are incorrect, their part is shown enlarged
NAMES = {True: "correct", False: "incorrect"}


def count_flow(predictions: pd.DataFrame, epochs: Sequence[int]) -> pd.DataFrame:
    """Count the images that go from one state to another between two epochs that follow each other.

    Args:
        predictions: columns epoch, seed, image, correct; the same images in every epoch.
        epochs: in order, two or more.

    Returns:
        epoch_from, epoch_to, from, to, images (averaged over seeds), share_percent (of all images),
        share_of_from_percent, share_of_to_percent (of the images of the state left and reached; NaN when
        there are none), seeds. Four rows a step.

    Raises:
        ValueError: an epoch has other images than the first.
    """
    wide = predictions.pivot(index=["seed", "image"], columns="epoch", values="correct")[list(epochs)]
    if wide.isna().any(axis=None):
        raise ValueError(f"the epochs {', '.join(map(str, epochs))} were not measured on the same images")
    wide = wide.astype(bool)
    seeds = wide.index.get_level_values("seed").nunique()
    rows = []
    for before, after in zip(epochs[:-1], epochs[1:], strict=True):
        left, reached = wide[before].to_numpy(), wide[after].to_numpy()
        for state in NAMES:
            for target in NAMES:
                moved = np.count_nonzero((left == state) & (reached == target))
                rows.append(
                    {
                        "epoch_from": before,
                        "epoch_to": after,
                        "from": NAMES[state],
                        "to": NAMES[target],
                        "images": moved / seeds if seeds > 1 else moved,
                        "share_percent": 100 * moved / len(wide),
                        "share_of_from_percent": _share(moved, np.count_nonzero(left == state)),
                        "share_of_to_percent": _share(moved, np.count_nonzero(reached == target)),
                        "seeds": seeds,
                    }
                )
    return pd.DataFrame(rows)


def node_sizes(flow: pd.DataFrame, state: str) -> pd.Series:
    """The share of images (%) in a state at each epoch."""
    first = flow[flow["epoch_from"] == flow["epoch_from"].iloc[0]]
    start = first.loc[first["from"] == state].groupby("epoch_from")["share_percent"].sum()
    return pd.concat([start, flow.loc[flow["to"] == state].groupby("epoch_to")["share_percent"].sum()])


def late(incorrect: pd.Series) -> list[int]:
    """The last epochs, from the first after which at most `FEW` percent of the images are incorrect."""
    many = np.flatnonzero(incorrect.to_numpy() > FEW)
    epochs = list(incorrect.index[many[-1] + 1 if many.size else 0 :])
    return epochs if len(epochs) > 1 and incorrect[epochs].max() > 0 else []


def draw_whole(axes: Axes, flow: pd.DataFrame) -> None:
    """Draw a whole flow, its nodes in percent."""
    gap = 4
    _draw(axes, flow, gap)
    incorrect = node_sizes(flow, "incorrect")
    aside = 1.6 * NODE * (len(incorrect) - 1)
    for x, (text, share) in enumerate(zip(_labels(flow), incorrect, strict=True)):
        correct = _percent(100 - share)
        if share < 80:
            axes.text(x + aside, gap + (100 - share) / 2, correct, va="center", ha="left")
        else:
            axes.text(x, gap + 102 - share, correct, va="bottom", ha="center")
        axes.text(x, -share - 1.5, text, va="top", ha="center", linespacing=1.3)
    axes.set_ylim(-max(share + (15 if x == 0 else 25) for x, share in enumerate(incorrect)), gap + 101)
    axes.set_title("The whole training set (in brackets: already incorrect in the column before)")
    axes.set_xlabel("epoch")


def draw_enlarged(axes: Axes, flow: pd.DataFrame, height: float) -> None:
    """Draw the neighbourhood of the border between correct and incorrect.

    Args:
        axes: a panel of the size of the one with the whole flow.
        flow: what :func:`count_flow` returns.
        height: what the panel with the whole flow shows, in percent.
    """
    moved = flow.loc[flow["from"] != flow["to"], "share_percent"].max()
    incorrect = node_sizes(flow, "incorrect")
    unit = (incorrect.max() + moved) / 10
    _draw(axes, flow, gap=unit)
    for x, (text, share) in enumerate(zip(_labels(flow), incorrect, strict=True)):
        axes.text(x, -share - 0.3 * unit, text, va="top", ha="center", linespacing=1.3)
    bottom = max(share + (1.6 if x == 0 else 3) * unit for x, share in enumerate(incorrect))
    axes.set_ylim(-bottom, moved + 2.2 * unit)
    axes.set_title(f"The incorrect images, enlarged {height / np.ptp(axes.get_ylim()):.1f} times")
    axes.set_xlabel("epoch")


def _labels(flow: pd.DataFrame) -> list[str]:
    """For each epoch how many images are incorrect and, in brackets, how many of them were so before."""
    again = flow[(flow["from"] == "incorrect") & (flow["to"] == "incorrect")].set_index("epoch_to")
    labels = []
    for epoch, share in node_sizes(flow, "incorrect").items():
        stayed = again["share_of_to_percent"].get(epoch, np.nan)
        labels.append(_percent(share) if np.isnan(stayed) else f"{_percent(share)}\n({stayed:.0f} %)")
    return labels


def _draw(axes: Axes, flow: pd.DataFrame, gap: float) -> None:
    """Draw a flow: correct images above zero, incorrect ones below, `gap` percent apart.

    The border between the two is level, so that a panel can show its neighbourhood enlarged.
    """
    correct, incorrect = node_sizes(flow, "correct"), node_sizes(flow, "incorrect")
    epochs = list(correct.index)
    half = NODE * (len(epochs) - 1)
    steps = flow.set_index(["epoch_from", "from", "to"])["share_percent"]
    for x, epoch in enumerate(epochs[:-1]):
        lost, corrected = steps[epoch, "correct", "incorrect"], steps[epoch, "incorrect", "correct"]
        stay_up, stay_down = steps[epoch, "correct", "correct"], steps[epoch, "incorrect", "incorrect"]
        _ribbon(axes, x, half, "correct", (gap + lost, gap + corrected), stay_up)
        _ribbon(axes, x, half, "incorrect", (-corrected - stay_down, -lost - stay_down), stay_down)
        _ribbon(axes, x, half, "correct", (gap, -lost), lost)
        _ribbon(axes, x, half, "incorrect", (-corrected, gap), corrected)
    for x, epoch in enumerate(epochs):
        for state, bottom, size in (
            ("correct", gap, correct[epoch]),
            ("incorrect", -incorrect[epoch], incorrect[epoch]),
        ):
            colour = style.LOOKS[state].colour
            axes.add_patch(Rectangle((x - half, bottom), 2 * half, size, facecolor=colour, zorder=3))
    axes.set_xticks(range(len(epochs)), [str(epoch) for epoch in epochs])
    axes.set_xlim(-3 * half, len(epochs) - 1 + 3 * half)
    axes.set_yticks([])
    axes.grid(False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(axis="x", length=0)


def _ribbon(axes: Axes, x: int, half: float, state: str, bottoms: tuple[float, float], size: float) -> None:
    """A band of constant height from the node at x to the node at x + 1, in the colour of where it starts."""
    if not size:
        return
    look = style.LOOKS[state]
    t = np.linspace(0, 1, 60)
    bottom = bottoms[0] + (bottoms[1] - bottoms[0]) * t**2 * (3 - 2 * t)
    along = x + half + t * (1 - 2 * half)
    axes.fill_between(along, bottom, bottom + size, color=look.colour, alpha=0.35, linewidth=0)
    if look.hatch:
        axes.fill_between(
            along,
            bottom,
            bottom + size,
            facecolor="none",
            edgecolor=look.colour,
            hatch=look.hatch,
            linewidth=0,
        )


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else float("nan")


def _percent(share: float) -> str:
    return f"{share:g} %" if share in (0, 100) else f"{share:.{1 if share >= 0.1 else 2}f} %"
