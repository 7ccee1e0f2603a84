"""`striate convolve`: the arithmetic of a sliding window, drawn step by step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from striate.convolution.examples import Example
    from striate.convolution.padding import Padding, PerAxis
    from striate.convolution.slide import Slide

MAX_SIDE = 480  # larger photographs are made smaller first: more pixels than the figure has show nothing


def command(
    target: Annotated[str | None, Parameter(help="A picture file, or an example by name.")] = None,
    /,
    *,
    kernel: Annotated[
        str | None,
        Parameter(help="A kernel by name, or its rows: '1,0,-1;2,0,-2;1,0,-1'.", allow_leading_hyphen=True),
    ] = None,
    padding: Annotated[str | None, Parameter(help="same, valid, full, or zeros per side: 1, or 1,2 by axis.")] = None,
    stride: Annotated[str | None, Parameter(help="Step of the window: 2, or 2,1 by axis.")] = None,
    flip: Annotated[bool | None, Parameter(help="Flip the kernel: convolution, not cross-correlation.")] = None,
    pool: Annotated[Literal["max", "average"] | None, Parameter(help="Pool instead of using a kernel.")] = None,
    size: Annotated[str | None, Parameter(help="Pooling window: 2, or 2,3 by axis.")] = None,
    out: Annotated[Path, Parameter(help="Folder of the figures.")] = Path(),
    json: Annotated[bool, Parameter(help="Write the arrays as JSON.", negative="")] = False,
) -> None:
    """Draw how a kernel or a pooling window slides over a picture: a figure (PNG) and an animation (GIF).

    Without a target the examples and kernels are listed. A photograph is taken in grey.
    """
    from striate.cli.output import print_json
    from striate.convolution.examples import EXAMPLES
    from striate.convolution.kernels import KERNELS

    if target is None:
        for name in EXAMPLES:
            print(f"{name}\t{EXAMPLES[name].summary}")
        print(f"kernels\t{', '.join(KERNELS)}")
        return
    if target in EXAMPLES or not (Path(target).suffix or Path(target).exists()):
        name, example = target, EXAMPLES[target]
    else:
        name, example = Path(target).stem, _photograph(Path(target))
    slides = _change(example, kernel, padding, stride, flip, pool, size).slides()
    figures = _draw(name, slides, out)
    if json:
        print_json({"slides": [_arrays(slide) for slide in slides], "figures": figures})
        return
    for slide in slides:
        shapes = " → ".join("×".join(map(str, array.shape)) for array in (slide.picture, slide.output))
        print(f"{slide.title}\t{slide.operation}\t{shapes}")
    for path in figures:
        print(f"figure\t{path}")


def _change(
    example: Example,
    kernel: str | None,
    padding: str | None,
    stride: str | None,
    flip: bool | None,
    pool: Literal["max", "average"] | None,
    size: str | None,
) -> Example:
    """Return the example with the options that were given."""
    from striate.convolution.kernels import read_kernel
    from striate.core.errors import SettingsError

    pools = pool is not None or (example.pool is not None and kernel is None)
    if pools and not (kernel is None and padding is None and flip is None):
        raise SettingsError("pooling has no kernel, padding or flip", fix="leave them out, or leave out --pool")
    if not pools and size is not None:
        raise SettingsError("--size is the pooling window", fix="add --pool max")
    if pools:
        kind = pool or example.pool
        example = replace(example, pool=kind, stride=example.stride if example.pool else None)
    if kernel is not None:
        short = "kernel" if any(sign in kernel for sign in ",;") else kernel
        example = replace(example, pool=None, kernels={short: read_kernel(kernel)}, flip=False)
    if padding is not None:
        example = replace(example, padding=_padding(padding))
    if stride is not None:
        example = replace(example, stride=_whole_numbers(stride, "--stride"))
    if flip is not None:
        example = replace(example, flip=flip)
    if size is not None:
        example = replace(example, size=_whole_numbers(size, "--size"))
    return example


def _padding(text: str) -> Padding:
    modes: dict[str, Padding] = {"full": "full", "same": "same", "valid": "valid"}
    return modes[text] if text in modes else _whole_numbers(text, "--padding")


def _whole_numbers(text: str, option: str) -> PerAxis:
    from striate.core.errors import SettingsError

    try:
        given = [int(number) for number in text.split(",")]
    except ValueError:
        modes = "same, valid, full, " if option == "--padding" else ""
        raise SettingsError(
            f"expected {modes}a whole number or one per axis", where=f"{option} {text}", fix=f"like {option} 1"
        ) from None
    return given[0] if len(given) == 1 else given


def _photograph(path: Path) -> Example:
    """Return the picture in grey, 0 … 255, with an edge detector to begin with."""
    from striate.cli.output import stderr
    from striate.convolution.examples import Example
    from striate.convolution.kernels import KERNELS
    from striate.convolution.padding import numbers
    from striate.data.decode import fit, open_picture, read_bytes, to_pixels

    pixels = to_pixels(open_picture(read_bytes(path), path), channels=1, where=path)  # H W 1
    height, width, _ = pixels.shape
    if max(height, width) > MAX_SIDE:
        scale = MAX_SIDE / max(height, width)
        smaller = max(1, round(height * scale)), max(1, round(width * scale))
        stderr().print(f"note: {height}×{width} pixels were made {smaller[0]}×{smaller[1]} first", markup=False)
        pixels = fit(pixels, *smaller, resize="squash")
    name = "sobel-vertical"
    return Example(path.name, {path.stem[:24]: numbers(pixels[:, :, 0])}, {name: KERNELS[name]})


def _draw(name: str, slides: list[Slide], folder: Path) -> list[str]:
    """Write both figures and return their paths."""
    from striate.explain.convolution import gif_bytes, png_bytes, slide_figure, slide_frames
    from striate.runs.atomic import naming_disk_errors, replace_file

    paths = [folder / f"convolve-{name}.png", folder / f"convolve-{name}.gif"]
    for path in paths:
        _refuse_others(path)
    title = f"{name}: {slides[0].operation}"
    contents = [png_bytes(slide_figure(slides, title)), gif_bytes(slide_frames(slides, title))]
    for path, data in zip(paths, contents, strict=True):
        with naming_disk_errors(path, len(data)):
            folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
    return [str(path) for path in paths]


def _refuse_others(path: Path) -> None:
    """Raise a SettingsError where a file stands that is not a figure of ours."""
    from striate.core.errors import SettingsError
    from striate.explain.convolution import is_ours

    if path.exists() and not (path.is_file() and is_ours(path.read_bytes())):
        raise SettingsError(
            "not overwritten: it is not a figure that striate convolve made",
            where=path,
            fix="move it away, or choose another folder with --out",
        )


def _arrays(slide: Slide) -> dict[str, object]:
    return {
        "title": slide.title,
        "operation": slide.operation,
        "picture": slide.picture.tolist(),
        "kernel": None if slide.kernel is None else slide.kernel.tolist(),
        "window": list(slide.size),
        "zeros": [list(pair) for pair in slide.widths],
        "stride": list(slide.stride),
        "output": slide.output.tolist(),
    }
