"""Small changes of a picture that leave what it shows as it is, each of a strength that can be turned up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from striate.core.random import step_seed
from striate.data.augment.color import Color, apply_color
from striate.data.augment.geometry import Geometry, apply_geometry

Apply = Callable[[Tensor, float, Tensor], Tensor]


@dataclass(frozen=True)
class Change:
    """One way in which pictures are changed.

    Args:
        name: For people.
        unit: What a strength is counted in: '°', ' px'.
        strengths: Ascending, the neutral one among them.
        neutral: The strength that changes nothing.
        apply: From pictures, uint8 N C H W, a strength and the pictures' numbers (int64, N) to pictures on 0 … 255.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    neutral: float
    apply: Apply

    def written(self, strength: float) -> str:
        """Return a strength for people: '+10°', '0.8 ×'."""
        sign = "+" if self.strengths[0] < 0 < strength else ""
        return f"{sign}{strength:.3g}".replace("-", "−") + self.unit


def usual_changes(side: int, *, every: int = 1) -> list[Change]:
    """Return shift, rotation, brightness, contrast, blur and noise in strengths that people hardly mind.

    Lengths grow with the picture: a shift goes up to an eighth of its side, a blur up to a thirty-second,
    and a little more in pictures of few pixels.

    Args:
        side: The shorter one, in pixels.
        every: Take every second, third … strength only, counted from the neutral one, where there are as many.
    """
    step = max(1, round(side / 32))
    reach = min(4, max(1, side // (7 * step)))
    shifts = tuple(step * steps for steps in range(-reach, reach + 1))
    widths = tuple(round(max(side, 40) / 128 * steps, 2) for steps in range(5))
    factors = (0.5, 0.65, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)
    changes = [
        Change("shift right", " px", shifts, 0, _across),
        Change("shift down", " px", shifts, 0, _down),
        Change("rotation", "°", (-30, -20, -10, -5, 0, 5, 10, 20, 30), 0, rotated),
        Change("brightness", " ×", factors, 1, brightened),
        Change("contrast", " ×", factors, 1, contrasted),
        Change("blur", " px", widths, 0, blurred),
        Change("noise", "", (0, 8, 16, 32, 48), 0, noisy),
    ]
    return [_sparse(change, every) for change in changes]


def _sparse(change: Change, every: int) -> Change:
    middle = change.strengths.index(change.neutral)
    kept = tuple(s for place, s in enumerate(change.strengths) if (place - middle) % every == 0)
    return change if len(kept) == 1 else replace(change, strengths=kept)


def shifted(images: Tensor, right: int, down: int) -> Tensor:
    """Return pictures moved by whole pixels, mirrored at the edges; uint8 stays uint8."""
    places = torch.tensor([right, down]).expand(len(images), 2)
    return apply_geometry(images, _geometry(images, shift=places))


def _across(images: Tensor, strength: float, _: Tensor) -> Tensor:
    return shifted(images, round(strength), 0)


def _down(images: Tensor, strength: float, _: Tensor) -> Tensor:
    return shifted(images, 0, round(strength))


def rotated(images: Tensor, degrees: float, _: Tensor) -> Tensor:
    """Return pictures turned counter-clockwise about their middle, mirrored at the edges."""
    return apply_geometry(images, _geometry(images, angle=torch.full((len(images),), float(degrees))))


def _geometry(images: Tensor, shift: Tensor | None = None, angle: Tensor | None = None) -> Geometry:
    none = torch.zeros(len(images), dtype=torch.bool)
    return Geometry(none, none, torch.zeros(len(images), 2, dtype=torch.int64) if shift is None else shift, angle)


def brightened(images: Tensor, factor: float, _: Tensor) -> Tensor:
    """Return pictures with every pixel multiplied."""
    return apply_color(images, _colour(images, brightness=factor))


def contrasted(images: Tensor, factor: float, _: Tensor) -> Tensor:
    """Return pictures with every pixel's distance from the picture's mean grey multiplied."""
    return apply_color(images, _colour(images, contrast=factor))


def _colour(images: Tensor, brightness: float = 1.0, contrast: float = 1.0) -> Color:
    one = torch.ones(len(images))
    return Color(brightness * one, contrast * one, one, 0 * one)


def blurred(images: Tensor, width: float, _: Tensor) -> Tensor:
    """Return pictures averaged with Gaussian weights, mirrored at the edges without repeating their pixels.

    Args:
        images: N C H W.
        width: Standard deviation in pixels; the weights are cut off at three of them, or at the picture's side.
    """
    if width == 0:
        return images.float()
    rows, columns = (_blurring(side, width) for side in images.shape[2:])
    return rows @ images.float() @ columns.T


def _blurring(side: int, width: float) -> Tensor:
    """Return the matrix, side side, that blurs a line of pixels: sooner applied than so many weights one by one."""
    radius = min(max(1, round(3 * width)), side - 1)
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / width).square())
    places = F.pad(torch.eye(side)[None, None], (0, 0, radius, radius), mode="reflect")[0, 0]  # what each place shows
    return places.unfold(0, 2 * radius + 1, 1) @ (weights / weights.sum())


def noisy(images: Tensor, deviation: float, numbers: Tensor) -> Tensor:
    """Return pictures with normal noise added to every value, cut off at 0 and 255.

    A picture's noise is a function of its number alone, and grows with the deviation without changing otherwise.

    Args:
        images: N C H W.
        deviation: Standard deviation, in 255ths of the range.
        numbers: int64, N.
    """
    generator = torch.Generator()
    drawn = [
        torch.randn(images.shape[1:], generator=generator.manual_seed(step_seed(0, number)))
        for number in numbers.tolist()
    ]
    return (images.float() + deviation * torch.stack(drawn)).clamp(0, 255)


def by_distance(change: Change) -> Sequence[int]:
    """Return the places of the strengths that change something, the mildest first, of equals the smaller strength."""
    middle = change.strengths.index(change.neutral)
    others = [place for place in range(len(change.strengths)) if place != middle]
    return sorted(others, key=lambda place: (abs(place - middle), place))
