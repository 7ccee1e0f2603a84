"""Figures and pictures as data URIs: whatever shows them in the fewest bytes."""

from __future__ import annotations

import base64
import io
import warnings
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from striate.explain.drawing import to_array
from striate.explain.report.markup import Markup, tag

CSS_DPI = 96  # CSS pixels per inch
COLOURS = 256  # that a palette holds
LARGEST = 160_000  # bytes of one figure; thirty of them are a report of less than 5 MB
QUALITIES = (88, 75, 60)
SMALL, THUMBNAIL = 64, 112  # pixels of a picture's side: up to which it is kept as it is, to which others are brought


def drawn(figure: Figure) -> Image.Image:
    """Return a figure's pixels, RGB, at its own resolution."""
    with warnings.catch_warnings():
        # a class name in a script that the font lacks is drawn as boxes; the tables have it in full
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        canvas: Any = FigureCanvasAgg(figure)  # untyped
        canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def png(image: Image.Image, dpi: float) -> bytes:
    """Return an image as a PNG file; with a palette where that holds all its colours."""
    few = image.getcolors(COLOURS)
    kept = image.convert("P", palette=Image.Palette.ADAPTIVE, colors=len(few)) if few else image
    return _file(kept, "PNG", dpi=(dpi, dpi))


def compact(image: Image.Image) -> tuple[str, bytes]:
    """Return a figure's image as a small file, with its MIME type: without loss where there are few colours."""
    if image.getcolors(4 * COLOURS):
        palette = image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        data = _file(palette, "PNG")
        if len(data) <= LARGEST:
            return "image/png", data
    return "image/webp", _webp(image)


def _webp(image: Image.Image) -> bytes:
    for quality in QUALITIES:
        data = _file(image, "WEBP", quality=quality, method=3)
        if len(data) <= LARGEST:
            return data
    half = image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.BOX)
    return _file(half, "WEBP", quality=QUALITIES[1], method=3)


def thumbnail(picture: Tensor) -> tuple[str, bytes]:
    """Return a picture, uint8 C H W, as a small file with its MIME type: a small one exactly, a large one smaller."""
    image = Image.fromarray(to_array(picture.float()))
    if max(image.size) <= SMALL:
        return "image/webp", _file(image.convert("RGB"), "WEBP", lossless=True, quality=40, method=2)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)
    return "image/webp", _file(image.convert("RGB"), "WEBP", quality=75, method=2)


def _file(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def figure_element(image: Image.Image, dpi: float, alt: str) -> Markup:
    """Return the element of a figure that was drawn at `dpi`, shown at its size on paper."""
    width, height = (round(side * CSS_DPI / dpi) for side in image.size)
    return _element(compact(image), width, height, alt, "drawn")


def picture_element(picture: Tensor, side: int, alt: str) -> Markup:
    """Return the element of a picture, uint8 C H W, its longer side `side` CSS pixels."""
    _, height, width = picture.shape
    scale = side / max(height, width)
    kind = "pixels" if max(height, width) <= SMALL else "photo"
    return _element(thumbnail(picture), max(1, round(scale * width)), max(1, round(scale * height)), alt, kind)


def _element(file: tuple[str, bytes], width: int, height: int, alt: str, kind: str) -> Markup:
    mime, data = file
    source = Markup(f"data:{mime};base64,{base64.b64encode(data).decode()}")
    # not lazily: what is in the page already costs no request, and a print of the page would lack what was not seen
    return tag("img", src=source, width=width, height=height, alt=alt, class_=kind, decoding="async")
