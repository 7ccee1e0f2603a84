"""How a window slides: picture, kernel, the products at each step and the output, as one figure and as frames."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from striate.convolution.padding import Array
from striate.convolution.slide import Slide, Step
from striate.explain.panels import GAP, MAX_NUMBERS, Box, Panel, number_text, sheet

MAX_STEPS = 25  # all steps are shown up to here; beyond, the largest, middle and smallest output
STEPS_PER_ROW = 5
WIDTH = 10  # inches that a row of steps takes at most
MAX_FRAMES = 36
MAX_PHOTOGRAPH_FRAMES = 16
FRAME_MS, LAST_FRAME_MS = 600, 2400
GIF_DPI = 80
GIF_COLOURS = 255
MADE_BY = "striate convolve"  # written into our files, so that only our own are ever replaced


def slide_figure(slides: Sequence[Slide], title: str) -> Figure:
    """Return the figure: a row of picture, kernel and output per slide, and below a single one its steps."""
    if len(slides) > 1:
        return sheet([_overview(slide) for slide in slides], title, _caption(slides))
    (slide,) = slides
    if slide.output.size <= MAX_STEPS:
        overview = _overview(slide)
        panels = [_step_panel(slide, step, _place(step)) for step in slide.steps()]
    else:
        chosen = _telling_steps(slide)
        overview = _overview(slide, chosen)
        panels = [_step_panel(slide, step, f"{n}: {_place(step)}") for n, step in enumerate(chosen, start=1)]
    fitting = int((WIDTH + GAP) / (panels[0].width + GAP))
    per_row = max(1, min(slide.output.shape[1], STEPS_PER_ROW, fitting))
    rows = [panels[start : start + per_row] for start in range(0, len(panels), per_row)]
    return sheet([overview, *rows], title, _caption(slides, marked=slide.output.size > MAX_STEPS))


def slide_frames(slides: Sequence[Slide], title: str) -> Iterator[Image.Image]:
    """Yield the frames of the animation: the windows move together, the outputs fill up.

    Where outputs differ in size, the shorter ones wait at their end.
    """
    longest = max(slide.output.size for slide in slides)
    count = min(longest, MAX_FRAMES if longest <= MAX_NUMBERS**2 else MAX_PHOTOGRAPH_FRAMES)
    for number in np.linspace(0, longest - 1, count).round().astype(int):
        rows = [_moment(slide, min(int(number), slide.output.size - 1)) for slide in slides]
        yield Image.open(BytesIO(png_bytes(sheet(rows, title, _caption(slides), dpi=GIF_DPI)))).convert("RGB")


def png_bytes(figure: Figure) -> bytes:
    """Return the figure as a PNG file, signed."""
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)  # in a picture's name
        figure.savefig(buffer, format="png", metadata={"Software": MADE_BY})
    return buffer.getvalue()


def gif_bytes(frames: Iterator[Image.Image]) -> bytes:
    """Return the frames as a GIF file that repeats for ever, signed."""
    shown = list(frames)
    # one palette for all, from the last frame, in which the whole output is to be seen
    palette = shown[-1].quantize(GIF_COLOURS, method=Image.Quantize.MAXCOVERAGE)
    small = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in shown]
    times = [*[FRAME_MS] * (len(small) - 1), LAST_FRAME_MS]
    buffer = BytesIO()
    first, *rest = small
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=times, loop=0, comment=MADE_BY.encode())
    return buffer.getvalue()


def is_ours(data: bytes) -> bool:
    """Return whether a file's bytes are a PNG or GIF that `png_bytes` or `gif_bytes` made."""
    return data.startswith((b"\x89PNG\r\n\x1a\n", b"GIF8")) and MADE_BY.encode() in data


def _overview(slide: Slide, marked: Sequence[Step] = ()) -> list[Panel]:
    """Return the row of picture, kernel and output, with the windows of `marked` steps numbered from 1."""
    inputs = [Box(*step.corner, *slide.size, text=str(n)) for n, step in enumerate(marked, start=1)]
    outputs = [Box(*step.place, text=str(n)) for n, step in enumerate(marked, start=1)]
    return [_picture_panel(slide, inputs), *_kernel_panels(slide), _output_panel(slide, slide.output, outputs)]


def _moment(slide: Slide, number: int) -> list[Panel]:
    """Return the row of one frame: everything as it is at step `number`."""
    i, j = divmod(number, slide.output.shape[1])
    step = slide.step(i, j)
    so_far = np.where(np.arange(slide.output.size) <= number, slide.output.ravel(), np.nan)
    return [
        _picture_panel(slide, [Box(*step.corner, *slide.size)]),
        *_kernel_panels(slide)[-1:],
        _step_panel(slide, step, "window" if slide.kernel is None else "products"),
        _output_panel(slide, so_far.reshape(slide.output.shape), [Box(i, j)]),
    ]


def _picture_panel(slide: Slide, boxes: Sequence[Box]) -> Panel:
    photograph = max(slide.padded.shape) > MAX_NUMBERS
    note = f"{_shape(slide.picture)}{_zeros(slide)}"
    return Panel(slide.padded, slide.picture_name, note, grey=photograph, border=slide.widths, boxes=boxes)


def _zeros(slide: Slide) -> str:
    """Return what the border adds, in words."""
    widths = [width for pair in slide.widths for width in pair]
    if len(set(widths)) == 1:
        return f", zeros: {widths[0]} all round" if widths[0] else ""
    sides = zip(widths, ("above", "below", "left", "right"), strict=True)
    return ", zeros: " + ", ".join(f"{width} {side}" for width, side in sides if width)


def _kernel_panels(slide: Slide) -> list[Panel]:
    if slide.kernel is None or slide.weights is None:
        return []
    panels = [Panel(slide.kernel, slide.kernel_name, _shape(slide.kernel))]
    if slide.operation == "convolution":
        panels.append(Panel(slide.weights, f"{slide.kernel_name}, flipped", _shape(slide.kernel)))
    return panels


def _shape(array: Array) -> str:
    return "×".join(map(str, array.shape))


def _place(step: Step) -> str:
    return f"window at {step.place[0]}, {step.place[1]}"


def _output_panel(slide: Slide, values: Array, boxes: Sequence[Box]) -> Panel:
    photograph = max(slide.output.shape) > MAX_NUMBERS
    return Panel(
        values,
        "output",
        _shape(slide.output),
        limit=_full_colour(slide.output, photograph),
        grey=photograph and bool(slide.output.min() >= 0),
        boxes=boxes,
    )


def _full_colour(output: Array, photograph: bool) -> float:
    """Return the value of full colour; in photographs a few extremes must not pale the rest."""
    sizes = np.abs(output)
    return float(np.percentile(sizes, 99) if photograph else sizes.max()) or 1.0


def _step_panel(slide: Slide, step: Step, title: str) -> Panel:
    """Return the products at one step, or for pooling the window itself."""
    result = number_text(step.value)
    if slide.weights is None:
        largest = np.unravel_index(step.window.argmax(), step.window.shape)
        boxes = [Box(int(largest[0]), int(largest[1]))] if slide.operation == "max pooling" else []
        word = "max" if slide.operation == "max pooling" else "mean"
        return Panel(step.window, title, f"{word} = {result}", limit=float(np.abs(slide.picture).max()), boxes=boxes)
    texts = [
        [f"{number_text(x)}×{number_text(w)}" for x, w in zip(xs, ws, strict=True)]
        for xs, ws in zip(step.window, slide.weights, strict=True)
    ]
    limit = float(np.abs(slide.picture).max() * np.abs(slide.weights).max())
    return Panel(step.products, title, f"sum = {result}", texts=texts, limit=limit)


def _telling_steps(slide: Slide) -> list[Step]:
    """Return the steps with the largest, a middle and the smallest output, not so near that their marks overlap."""
    rows, columns = slide.output.shape
    order = slide.output.ravel().argsort(kind="stable")
    far = max(rows, columns) / 8
    places: list[tuple[int, int]] = []
    for ranked in (order[::-1], order[order.size // 2 :], order):
        candidates = (divmod(int(number), columns) for number in ranked)
        apart = (at for at in candidates if all(max(abs(at[0] - i), abs(at[1] - j)) > far for i, j in places))
        places.append(next(apart))
    return [slide.step(i, j) for i, j in places]


def _caption(slides: Sequence[Slide], marked: bool = False) -> str:
    first = slides[0]
    down, right = first.stride
    said = [f"stride {down}" if down == right else f"stride {down} down, {right} right"]
    if first.kernel is None:
        said.insert(0, f"window {first.size[0]}×{first.size[1]}")
    if any(slide.kernel is not None or slide.picture.min() < 0 for slide in slides):
        said.append("blue is positive, red negative, white 0")
    if marked:
        said.append("1, 2, 3: a largest, a middle and a smallest output, chosen apart from each other")
    return "; ".join(said)
