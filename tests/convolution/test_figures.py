"""Figures of slides: nothing overlaps, numbers are legible, frames keep their size."""

from __future__ import annotations

from io import BytesIO
from itertools import combinations, islice, pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from striate.convolution.examples import EXAMPLES
from striate.convolution.kernels import KERNELS
from striate.convolution.slide import Slide, slide_kernel, slide_pool
from striate.explain.convolution import gif_bytes, is_ours, png_bytes, slide_figure, slide_frames
from striate.explain.panels import number_text

PHOTOGRAPH = np.random.default_rng(0).integers(0, 256, (40, 60)).astype(float)
CASES = {
    **{name: EXAMPLES[name].slides() for name in EXAMPLES},
    "photograph": [slide_kernel(PHOTOGRAPH, KERNELS["sobel-vertical"], "same", 2)],
    "pooled photograph": [slide_pool(PHOTOGRAPH, "average", (3, 4))],
    "one row": [slide_kernel(PHOTOGRAPH[:1], [[1, 2]])],
    "zeros": [slide_kernel(np.zeros((3, 3)), np.zeros((2, 2)), "full")],
    "large kernel": [slide_kernel(PHOTOGRAPH, np.ones((21, 21)))],
}


def text_boxes(figure: Figure) -> tuple[list[Bbox], list[tuple[Bbox, Bbox, float]]]:
    """Return the boxes of titles and notes, and of each cell's text with its axes' box and its type size."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    words = [text.get_window_extent(renderer) for text in figure.texts]
    numbers = []
    for axis in figure.axes:
        words += [t.get_window_extent(renderer) for t in (axis.title, axis.xaxis.label) if t.get_text()]
        inside = [t for t in axis.texts if t.get_text() and t.get_bbox_patch() is None]
        numbers += [(t.get_window_extent(renderer), axis.get_window_extent(renderer), t.get_fontsize()) for t in inside]
    return words, numbers


@pytest.mark.parametrize("name", CASES)
def test_no_words_or_panels_overlap_or_leave_the_sheet(name) -> None:
    figure = slide_figure(CASES[name], name)
    words, numbers = text_boxes(figure)
    sheet = figure.bbox
    boxes = [*words, *(axis.get_window_extent() for axis in figure.axes)]
    assert all(sheet.x0 <= b.x0 and b.x1 <= sheet.x1 and sheet.y0 <= b.y0 and b.y1 <= sheet.y1 for b in boxes)
    for one, other in combinations(boxes, 2):
        assert not one.padded(-1).overlaps(other.padded(-1))
    for text, axis, size in numbers:
        assert axis.x0 <= text.x0
        assert text.x1 <= axis.x1
        assert size >= 5.5, "legible"
    for (one, *_), (other, *_) in pairwise(numbers):
        assert not one.overlaps(other), "numbers stay in their cells"


@pytest.mark.parametrize("name", ["diagonal", "photograph"])
def test_frames_are_of_one_size(name, monkeypatch) -> None:
    monkeypatch.setattr("striate.explain.convolution.MAX_PHOTOGRAPH_FRAMES", 5)
    slides: list[Slide] = CASES[name]
    frames = list(slide_frames(slides, name))
    assert len({frame.size for frame in frames}) == 1
    assert len(frames) == (5 if name == "photograph" else 9)
    data = gif_bytes(iter(frames))
    with Image.open(BytesIO(data)) as animation:
        assert (animation.n_frames, animation.info["loop"]) == (len(frames), 0)


def test_only_files_made_here_are_ours() -> None:
    slides = EXAMPLES["diagonal"].slides()
    frames = list(islice(slide_frames(slides, "x"), 2))
    assert is_ours(png_bytes(slide_figure(slides, "x")))
    assert is_ours(gif_bytes(iter(frames)))
    buffer = BytesIO()
    frames[0].save(buffer, "PNG")
    assert not is_ours(buffer.getvalue())
    assert not is_ours(b"notes on striate convolve")


def test_a_name_that_the_font_lacks_is_no_matter() -> None:
    assert is_ours(png_bytes(slide_figure(EXAMPLES["diagonal"].slides(), "図 $x_^")))


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.0, "3"), (-2.0, "−2"), (0.1111, "0.111"), (-0.0, "0"), (float("nan"), ""), (46.6, "46.6"), (1e6, "1e+06")],
)
def test_numbers_are_short(value, text) -> None:
    assert number_text(value) == text
