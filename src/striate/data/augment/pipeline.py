"""Augment: everything that may happen to a batch of training pictures before it is normalised."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from torch import Tensor

from striate.core.device import constant
from striate.core.settings import AugmentSettings
from striate.data.augment.color import Color, apply_color, draw_color
from striate.data.augment.erase import apply_erase, draw_boxes
from striate.data.augment.geometry import Geometry, apply_geometry, draw_geometry


@dataclass(frozen=True)
class Parameters:
    """What was drawn for one batch; None where a kind of change is off."""

    geometry: Geometry | None
    color: Color | None
    boxes: Tensor | None


T = TypeVar("T")


def part_of(drawn: T, places: slice) -> T:
    """Return some samples' part of what was drawn for several: of a tensor, or of a dataclass of such things."""
    if isinstance(drawn, Tensor):
        return cast(T, drawn[places])
    if is_dataclass(drawn) and not isinstance(drawn, type):
        parts: dict[str, Any] = {field.name: part_of(getattr(drawn, field.name), places) for field in fields(drawn)}
        return replace(drawn, **parts)
    return drawn


class Augment:
    """Draws each sample's parameters from (seed, epoch, index), and applies them to a batch.

    Args:
        settings: Which changes, and how strong.
        size: (height, width) of the pictures.
        mean: The colour on [0, 1] that fills erased boxes: what normalisation by channel makes 0.
        crop: (height, width) of the part of each picture that the network sees; None: the whole.
    """

    def __init__(
        self,
        settings: AugmentSettings,
        size: tuple[int, int],
        mean: tuple[float, ...],
        crop: tuple[int, int] | None = None,
    ) -> None:
        self.settings = settings
        self.size = size
        self.crop = crop
        self.seen = crop or size
        self.fill = [round(255 * value) for value in mean]

    def draw(self, seed: int, epoch: int, indices: Tensor) -> Parameters:
        """Return the parameters of the samples `indices` (int64, N) in an epoch: a pure function."""
        return Parameters(
            geometry=draw_geometry(self.settings, self.size, seed, epoch, indices, self.crop),
            color=draw_color(self.settings, seed, epoch, indices),
            boxes=draw_boxes(self.settings, self.seen, seed, epoch, indices),
        )

    def apply(self, images: Tensor, parameters: Parameters) -> Tensor:
        """Return the changed pictures, N C H W: uint8 where only whole pixels moved, else float32 0 … 255."""
        if parameters.geometry is not None:
            images = apply_geometry(images, parameters.geometry, self.settings.edges, self.seen)
        if parameters.color is not None:
            images = apply_color(images, parameters.color)
        if parameters.boxes is not None:
            images = apply_erase(images, parameters.boxes, constant(self.fill, images.device))
        return images
