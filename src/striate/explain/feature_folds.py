"""Probabilities out of fold by a linear head on a pretrained network's features: seconds instead of minutes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from striate.core.device import choose_device
from striate.core.settings import TrainSettings
from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset, Splits
from striate.models import place
from striate.training.features import best_weights_at_hand, picture_features
from striate.training.linear_head import out_of_fold

LEAST_SIDE = 32  # pixels; in smaller pictures a network trained on photographs sees little


def features_out_of_fold(
    whole: ImageDataset, splits: Splits, settings: TrainSettings, say: Callable[[str], None]
) -> tuple[Tensor, str] | None:
    """Return the probabilities of all pictures, float32 N K, and by what.

    Returns:
        None where no pretrained weights are at hand, or the pictures are not photographs in colour: grey, smaller
        than 32 pixels, or such that their mirror image is of another class.
    """
    channels, height, width = whole.input_shape
    if channels != 3 or min(height, width) < LEAST_SIDE or not splits.mirror_safe:
        return None
    weights = best_weights_at_hand()
    if weights is None:
        return None
    spec = ImageSpec(
        channels=3, height=height, width=width, classes=whole.classes, mean=(0.5,) * 3, std=(0.5,) * 3
    )  # fmt: skip
    weights = weights.suited(spec)
    model = place(weights.build(spec), choose_device(settings.device))
    say(f"labels: features of {len(whole):,} pictures by {weights.name}")
    seen = picture_features(model, whole, weights.spec(spec))
    probabilities = out_of_fold(seen, whole.labels, len(whole.classes), seed=settings.seed, groups=whole.groups)
    assert torch.isfinite(probabilities).all()
    return probabilities, f"a linear head on the features of {weights.name}, fitted to the other pictures"
