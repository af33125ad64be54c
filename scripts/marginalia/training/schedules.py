"""Learning-rate schedules: the share of the peak rate, by how many epochs of how many are done."""


def learning_rate_factor(
    schedule: str, epochs_done: float, total_epochs: int | None = None, **settings: float
) -> float:
    """The share of the peak learning rate after ``epochs_done`` epochs (a step counts as its part of one).

    Args:
        schedule: ``constant``, ``linear``, ``step_at_end`` or ``triangular``; ``settings`` are the
            schedule's own.
        total_epochs: the length of the run, on which all but ``constant`` depend.

    Raises:
        ValueError: there is no such schedule, or it needs the length of the run.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"there is no schedule {schedule!r}: {', '.join(sorted(SCHEDULES))}")
    if schedule != "constant" and not total_epochs:
        raise ValueError(f"schedule {schedule} needs total_epochs, the length of the run: at least 1")
    return SCHEDULES[schedule](epochs_done, total_epochs, **settings)


def _constant(epochs_done: float, total_epochs: int | None) -> float:
    return 1.0


def _linear(epochs_done: float, total_epochs: int) -> float:
    """From 1 to 0."""
    return 1 - epochs_done / total_epochs


def _triangular(epochs_done: float, total_epochs: int) -> float:
    """From 0 to 1 at two fifths of the run, and back to 0 (ortiz2020, public code)."""
    progress = epochs_done / total_epochs
    return progress / 0.4 if progress < 0.4 else (1 - progress) / 0.6


def _step_at_end(epochs_done: float, total_epochs: int, *, epochs: int, factor: float) -> float:
    """1, and ``factor`` in the last ``epochs`` epochs.

    From public code: MMR takes a tenth of the rate in its last ten epochs, Deep Defense half in its last.
    """
    return factor if epochs_done >= total_epochs - epochs else 1.0


SCHEDULES = {
    "constant": _constant,
    "linear": _linear,
    "step_at_end": _step_at_end,
    "triangular": _triangular,
}
