"""Progressive resizing: the first part of a run sees its pictures smaller, where a step costs a fraction.

What a network learns first, coarse shapes and colours, is there at a lower resolution, too (Howard, "Now anyone can
train ImageNet in 18 minutes", 2018; Tan and Le, "EfficientNetV2", arXiv 2104.00298, section 4). It must be able to take
pictures of any side, and the last part of the run sees them as they are measured, so that statistics of norms fit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from striate.core.errors import SettingsError
from striate.core.spec import ImageSpec
from striate.models import Classifier
from striate.models.contract import evaluating

RATIO = 0.75  # of the side, in the first part


class Resizing:
    """The sides of the pictures in training, as a function of the run's progress.

    Args:
        until: Share of the run that sees them smaller, 0 … 1.
        size: (height, width) of what the network sees else.
    """

    def __init__(self, until: float, size: tuple[int, int]) -> None:
        self.until = until
        self.small = (max(1, round(RATIO * size[0])), max(1, round(RATIO * size[1])))

    def apply(self, images: Tensor, progress: float) -> Tensor:
        """Return network inputs, N C H W, as large as they are at a progress of 0 … 1."""
        return self.shrink(images) if progress < self.until else images

    def shrink(self, images: Tensor) -> Tensor:
        """Return the mean of the pixels that each smaller one covers, weighted by distance; float32, N C h w."""
        return F.interpolate(images, size=self.small, mode="bilinear", antialias=True, align_corners=False)


def require_another_side(model: Classifier, name: str, spec: ImageSpec) -> None:
    """Refuse a network that cannot take the smaller pictures: SettingsError."""
    channels, height, width = spec.input_shape
    device = next(model.parameters()).device
    small = Resizing(0.0, (height, width)).shrink(torch.zeros(1, channels, height, width, device=device))
    try:
        with evaluating(model), torch.inference_mode():
            model(small)
    except (RuntimeError, ValueError) as error:
        raise SettingsError(
            f"{name} cannot take pictures of three quarters of {height}×{width}: {str(error).splitlines()[0]}",
            where="small_until",
            fix="leave out --small-until, or use --small-until 0",
        ) from error
