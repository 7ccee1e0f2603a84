"""From two pictures to a third: the content of the one in the style of the other."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from striate.core.errors import DivergedError
from striate.core.paths import user_path
from striate.data.decode import Pixels
from striate.models import Classifier
from striate.models.contract import evaluating
from striate.runs.atomic import replace_file
from striate.style.canvas import Canvas
from striate.style.choice import choose_network
from striate.style.descent import OPTIMIZERS
from striate.style.losses import Losses, content_loss, gram, outside, style_loss, total_variation
from striate.style.memory import fitting_side
from striate.style.network import StyleNetwork
from striate.style.pictures import Source, open_source, pixels_at, size_at
from striate.style.settings import StyleSettings

OUTSIDE = 1000.0  # weight of values that no picture can have: those cut off at the end would have held the style too
NOISE = 0.1  # standard deviation of the noise to begin from, around grey
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


@dataclass(frozen=True, eq=False)
class StyleResult:
    """A picture, and how it came about.

    Args:
        picture: uint8 H W C.
        losses: Of the picture that the search began from, and of that after each step, before its values are brought
            to whole numbers of 0 … 255.
        final: Of the picture as it is.
        network: The network's name and why it was chosen.
        content_layer, style_layers: What said what content and style are.
        memory: Bytes that were expected to be taken.
        seconds: Time of the steps.
        notes: What was not done as it was asked for.
    """

    picture: Pixels
    losses: tuple[Losses, ...]
    final: Losses
    network: tuple[str, str]
    content_layer: str
    style_layers: tuple[str, ...]
    memory: int
    seconds: float
    notes: tuple[str, ...]

    def save(self, path: str | Path) -> None:
        """Write the picture, in place of a file that is there; the suffix says the format (.png, .jpg, .webp)."""
        write_picture(user_path(path), self.picture)


def write_picture(path: Path, picture: Pixels) -> None:
    """Write a picture, uint8 H W C, in the format that the path's suffix says, or PNG."""
    file = io.BytesIO()
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    image.save(file, format=FORMATS.get(path.suffix.lower(), "PNG"), quality=95)
    replace_file(path, file.getvalue())


class Objective:
    """What is made small: the losses of a picture against those of the two given ones.

    Each layer's maps are divided by their root mean square on the given picture, as the paper's network was rescaled to
    a mean activation of one: so the same weights suit any network.

    Args:
        network: What looks.
        content, style: Pictures 1 C H W on 0 … 1.
        settings: The weights.
    """

    def __init__(self, network: StyleNetwork, content: Tensor, style: Tensor, settings: StyleSettings) -> None:
        self.network, self.settings = network, settings
        with torch.no_grad():
            of_content, of_style = network.maps(content)[network.content], network.maps(style)
            self.content_scale = _scale(of_content)
            self.style_scales = [_scale(of_style[layer]) for layer in network.style]
            self.content = of_content * self.content_scale
            self.grams = self._grams(of_style)

    def losses(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the content loss, the style loss and the total variation of a picture 1 C H W."""
        maps = self.network.maps(picture)
        content = content_loss(maps[self.network.content] * self.content_scale, self.content)
        return content, style_loss(self._grams(maps), self.grams), total_variation(picture)

    def total(self, picture: Tensor, content: Tensor, style: Tensor, variation: Tensor) -> Tensor:
        """Return the weighted sum, and what lies outside of 0 … 1."""
        s = self.settings
        weighted = s.content_weight * content + s.style_weight * style + s.tv_weight * variation
        return weighted + OUTSIDE * outside(picture)

    def _grams(self, maps: dict[str, Tensor]) -> list[Tensor]:
        return [gram(maps[layer] * scale) for layer, scale in zip(self.network.style, self.style_scales, strict=True)]


def _scale(maps: Tensor) -> Tensor:
    mean = maps.square().mean().sqrt()
    return torch.where(mean > 0, 1 / mean, torch.ones_like(mean))


class Transfer:
    """The search for the picture; `steps` is its loop, and can be left at any time.

    Args:
        network: What looks; it is left as it is.
        content, style: uint8 H W C.
        settings: How.
    """

    def __init__(self, network: StyleNetwork, content: Pixels, style: Pixels, settings: StyleSettings) -> None:
        self.network, self.settings = network, settings
        with _frozen(network.model):
            target = _to_tensor(content, network.device)
            self.objective = Objective(network, target, _to_tensor(style, network.device), settings)
        self.canvas = Canvas(target if settings.init == "content" else _noise(target, settings.seed))
        self.point = self.canvas.blank()
        self.losses: list[Losses] = []
        self.seconds = 0.0
        self._latest: Losses | None = None

    def steps(self) -> Iterator[Losses]:
        """Yield the losses after each step.

        Raises:
            DivergedError: They are no longer finite.
        """
        started = time.perf_counter()
        search = OPTIMIZERS[self.settings.optimizer](self._evaluate, self.point, self.settings.steps)
        with _frozen(self.network.model):
            for point in search:
                assert self._latest is not None
                self.point, self.seconds = point, time.perf_counter() - started
                self.losses.append(self._latest)
                yield self._latest

    def picture(self) -> Pixels:
        """Return the picture as it is now, uint8 H W C."""
        with torch.no_grad():
            picture = self.canvas.picture(self.point)[0].clamp(0, 1) * 255
        pixels: Pixels = picture.round().byte().permute(1, 2, 0).cpu().numpy()
        return pixels

    def measure(self) -> Losses:
        """Return the losses of the picture as `picture` returns it."""
        with torch.no_grad(), evaluating(self.network.model):
            parts = self.objective.losses(_to_tensor(self.picture(), self.network.device))
        return Losses(*torch.stack(parts).tolist())

    def _evaluate(self, point: Tensor) -> tuple[float, Tensor]:
        point = point.detach().requires_grad_()
        picture = self.canvas.picture(point)
        content, style, variation = self.objective.losses(picture)
        total = self.objective.total(picture, content, style, variation)
        (gradient,) = torch.autograd.grad(total, point)
        value, *parts = torch.stack([total, content, style, variation]).detach().tolist()
        self._latest = Losses(*parts)
        if not self.losses:
            self.losses.append(self._latest)
            if not torch.isfinite(total):
                raise DivergedError(
                    "the losses are not finite",
                    where=self.network.name,
                    fix="use another --network, or smaller weights",
                )
        return value, gradient


@dataclass(frozen=True)
class Prepared:
    """A transfer that can begin.

    Args:
        transfer: The search.
        memory: Bytes that it is expected to take.
        notes: What was not done as it was asked for.
    """

    transfer: Transfer
    memory: int
    notes: tuple[str, ...]

    def result(self) -> StyleResult:
        """Return what has been found so far."""
        transfer, network = self.transfer, self.transfer.network
        return StyleResult(
            picture=transfer.picture(),
            losses=tuple(transfer.losses),
            final=transfer.measure(),
            network=(network.name, network.reason),
            content_layer=network.content,
            style_layers=network.style,
            memory=self.memory,
            seconds=transfer.seconds,
            notes=self.notes,
        )


def prepare(content: Source, style: Source, settings: StyleSettings) -> Prepared:
    """Read both pictures and the network, and see to it that the memory suffices.

    Raises:
        StriateError: A picture or network that cannot be used.
    """
    pictures = [open_source(source, settings.size, what) for source, what in ((content, "content"), (style, "style"))]
    network = choose_network(settings)

    def sizes(side: int) -> tuple[tuple[int, int], tuple[int, int]]:
        of_content, of_style = (size_at(picture, side, name) for picture, name in pictures)
        return of_content, of_style

    side, memory, note = fitting_side(network, settings.size, sizes)
    of_content, of_style = (pixels_at(picture, side, network.spec.channels, name) for picture, name in pictures)
    return Prepared(Transfer(network, of_content, of_style, settings), memory, (note,) if note else ())


def transfer_style(content: Source, style: Source, **settings: Any) -> StyleResult:
    """Return the content of one picture in the style of another.

    Gatys, Ecker and Bethge, "Image style transfer using convolutional neural networks", CVPR 2016.

    Args:
        content, style: Files, or uint8 H W or H W C.
        settings: Any setting of `striate style` (style/settings.py), e.g. size=512, style_weight=1000.

    Raises:
        StriateError: Whatever cannot be obeyed; the message says what to change.
    """
    prepared = prepare(content, style, StyleSettings.parse(settings, where="striate.transfer_style"))
    for _ in prepared.transfer.steps():
        pass
    return prepared.result()


def _to_tensor(pixels: Pixels, device: torch.device) -> Tensor:
    """Return 1 C H W on 0 … 1."""
    return torch.tensor(pixels, device=device).permute(2, 0, 1)[None] / 255


def _noise(like: Tensor, seed: int) -> Tensor:
    drawn = torch.randn(like.shape, generator=torch.Generator().manual_seed(seed))  # the same on every device
    return (0.5 + NOISE * drawn.to(like.device)).clamp(0, 1)


@contextmanager
def _frozen(model: Classifier) -> Iterator[None]:
    """Take no gradients of the network's parameters, in evaluation mode, for a while."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        with evaluating(model):
            for parameter in trained:
                parameter.requires_grad_(False)
            yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
