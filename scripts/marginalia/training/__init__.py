"""Training: a run goes from epoch to epoch, can stop anywhere, and goes on as if it had not."""

from marginalia.training.augmentation import crop_flip
from marginalia.training.evaluation import evaluate
from marginalia.training.recipe import Recipe
from marginalia.training.schedules import learning_rate_factor
from marginalia.training.segment import train_segment
from marginalia.training.trainer import DivergedError, Trainer

__all__ = [
    "DivergedError",
    "Recipe",
    "Trainer",
    "crop_flip",
    "evaluate",
    "learning_rate_factor",
    "train_segment",
]
