"""The first batch as the network sees it: cropped, moved, mixed and brought to size, with its labels.

Drawn by Pillow alone: it is made before every training, and matplotlib would take longer than some of these.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from striate.core.settings import AugmentSettings
from striate.core.spec import ImageSpec
from striate.data.dataset import SEPARATOR
from striate.data.loader import Batch, Loader
from striate.explain.lettering import printable
from striate.runs.atomic import replace_file
from striate.training.job import Job
from striate.training.resizing import Resizing

NAME = "first-batch.png"
SHOWN, COLUMNS = 32, 8
CELL, GAP, LINE, TYPE = 112, 8, 18, 12  # pixels
LARGEST = 224  # pixels of a picture's side, beyond which it is shown smaller
LEVELS, MIDDLE = 64.0, 128.0  # how a picture that is normalised by itself is shown: its deviation and mean


def save_first_batch(job: Job) -> Path:
    """Draw the first pictures of a run into its folder, figures/first-batch.png, and return the path.

    Raises:
        ResourceError: The folder cannot be written.
    """
    settings, spec = job.settings, job.run.spec
    batch_size = settings.batch_size or SHOWN
    if settings.only_head:  # which is fitted to the pictures as they are
        settings = settings.with_values(**AugmentSettings(flip=False, shift=0, small_until=0.0).model_dump())
    sampled = settings.balance == "sampling"
    cpu = torch.device("cpu")
    loader = Loader(job.data.train, spec, settings, batch_size, settings.seed, cpu, sampled)
    batch = loader.first(batch_size if settings.mixup or settings.cutmix else SHOWN)
    images = Resizing(settings.small_until or 0.0, spec.input_shape[1:]).apply(batch.images[:SHOWN], 0.0)
    sheet = draw(images, captions(batch, spec.classes)[:SHOWN], spec)
    path = job.run.path / "figures" / NAME
    path.parent.mkdir(exist_ok=True)
    file = io.BytesIO()
    sheet.save(file, "png", compress_level=1)
    replace_file(path, file.getvalue())
    return path


def captions(batch: Batch, classes: Sequence[str]) -> list[str]:
    """Return each picture's class or classes in words, with the shares of one that is mixed of several."""
    if batch.targets.ndim == 1:
        return [classes[label] for label in batch.targets.tolist()]
    return [_shares(row, classes) for row in batch.targets.tolist()]


def _shares(row: Sequence[float], classes: Sequence[str]) -> str:
    parts = [(share, name) for share, name in zip(row, classes, strict=True) if round(share, 2)]
    told = [name if round(share, 2) == 1 else f"{100 * share:.0f} % {name}" for share, name in sorted(parts)[::-1]]
    return SEPARATOR.join(told) or "(none)"


def pixels_seen(images: Tensor, spec: ImageSpec) -> Tensor:
    """Return network inputs, N C H W, as uint8 pixels: normalisation undone, as far as it can be."""
    if spec.whiten:
        pixels = images * LEVELS + MIDDLE
    else:
        mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))  # C 1 1
        pixels = 255 * (images * std + mean)
    return pixels.round().clamp(0, 255).byte()


def draw(images: Tensor, texts: Sequence[str], spec: ImageSpec) -> Image.Image:
    """Return a sheet of network inputs (N C H W) in rows, each over its text; small ones enlarged by whole pixels."""
    height, width = images.shape[2:]
    longer = max(height, width)
    scale = LARGEST / longer if longer > LARGEST else float(max(1, CELL // longer))
    size = (max(1, round(scale * width)), max(1, round(scale * height)))
    columns = min(COLUMNS, len(texts))
    rows = math.ceil(len(texts) / columns)
    step = (max(size[0], CELL) + GAP, size[1] + LINE + GAP)
    sheet = Image.new("RGB", (GAP + columns * step[0], GAP + rows * step[1]), "white")
    writer = ImageDraw.Draw(sheet)
    for number, (image, text) in enumerate(zip(pixels_seen(images, spec), texts, strict=True)):
        left, top = GAP + number % columns * step[0], GAP + number // columns * step[1]
        picture = Image.fromarray((image[0] if len(image) == 1 else image.permute(1, 2, 0)).numpy())
        enlarged = picture.resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX)
        sheet.paste(enlarged, (left, top))
        writer.text((left, top + size[1] + 1), _fitting(text, step[0] - GAP), fill="black", font=_font())
    return sheet


def _fitting(text: str, width: int) -> str:
    """Return the text in one line, cut with '…' where it is longer than `width` pixels."""
    line = printable(text)
    if _font().getlength(line) <= width:
        return line
    fits = [end for end in range(len(line)) if _font().getlength(line[:end] + "…") <= width]
    return line[: fits[-1]].rstrip() + "…" if fits else ""


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font of matplotlib, which has the letters of most alphabets; matplotlib itself is not imported."""
    package = find_spec("matplotlib")
    if package is not None and package.origin is not None:
        file = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.is_file():
            return ImageFont.truetype(str(file), TYPE)
    return ImageFont.load_default(TYPE)
