"""`striate style`: one picture's content in another's style."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from striate.cli.imports import importing
from striate.cli.options import with_settings
from striate.core.errors import Interrupted, ResourceError, SettingsError
from striate.core.paths import is_there, user_path
from striate.style.settings import StyleSettings

if TYPE_CHECKING:
    from rich.console import Console

    from striate.style.losses import Losses
    from striate.style.transfer import Prepared, StyleResult

LINES = 10


def _command(
    content: Annotated[Path, Parameter(help="The picture to paint.")],
    style: Annotated[Path, Parameter(help="The picture to paint it like.")],
    /,
    *,
    out: Annotated[Path | None, Parameter(help="File of the picture [CONTENT-styled.png here, numbered]")] = None,
    previews: Annotated[int, Parameter(help="Also write this many pictures from under way.")] = 0,
    json: Annotated[bool, Parameter(help="Write the result as JSON.", negative="")] = False,
    quiet: Annotated[bool, Parameter(help="Write the result only.", negative="")] = False,
    **settings: Any,
) -> None:
    """Paint one picture in the style of another (Gatys, Ecker and Bethge 2016).

    Ctrl-C writes the picture as it is after the step under way.
    """
    parsed = StyleSettings.parse(settings)
    if not 0 <= previews < parsed.steps:
        what = f"--previews {previews}: 0 or more, and fewer than --steps ({parsed.steps})"
        raise SettingsError(what, where="--previews", fix=f"--previews {min(3, parsed.steps - 1)}")
    with importing():
        from striate.cli.output import require_free, stderr
        from striate.cli.reading import reading_shown
        from striate.style.transfer import FORMATS, prepare, write_picture

    path = user_path(out) if out is not None else _free_name(user_path(content))
    under_way = {number: _preview(path, number) for number in _evenly(previews, parsed.steps)}
    for file in (path, *under_way.values()):
        require_free(file, tuple(FORMATS))
    _require_writable(path)
    console = stderr(quiet)
    with reading_shown(console):
        prepared = prepare(user_path(content), user_path(style), parsed)
    _foretell(prepared, console)
    written = []
    with _stopping() as stop, _shown(prepared, console, quiet) as show:
        for number, losses in enumerate(prepared.transfer.steps(), 1):
            show(number, losses)
            if number in under_way:
                write_picture(under_way[number], prepared.transfer.picture())
                written.append(str(under_way[number]))
            if stop:
                break
    result = prepared.result()
    write_picture(path, result.picture)
    done = len(result.losses) - 1
    if stop:
        raise Interrupted(
            stop[0], f"stopped after {done} of {parsed.steps} steps; the picture as it was then is written", where=path
        )
    if done < parsed.steps:
        console.print(f"note: no step brought any decrease after {done} of {parsed.steps} steps", markup=False)
    _report(result, path, written, json)


command = partial(with_settings, kind=StyleSettings)(_command)


def _free_name(content: Path) -> Path:
    """Return the first name that is free in the current folder: photo-styled.png, photo-styled-2.png …"""
    number = 1
    while True:
        path = Path(f"{content.stem}-styled{f'-{number}' if number > 1 else ''}.png")
        if not is_there(path):
            return path
        number += 1


def _require_writable(path: Path) -> None:
    """Refuse a folder that no file can be made in before time is spent on what is to be written there."""
    try:
        TemporaryFile(dir=path.parent).close()
    except OSError as error:
        what = f"no file can be made in this folder ({error.strerror})"
        raise ResourceError(what, where=path.parent, fix="give --out a place in another folder") from None


def _evenly(count: int, steps: int) -> list[int]:
    return sorted({max(1, round(steps * part / (count + 1))) for part in range(1, count + 1)})


def _preview(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-step-{number:04}{path.suffix}")


def _foretell(prepared: Prepared, console: Console) -> None:
    from striate.runs.estimate import size_text

    network = prepared.transfer.network
    for note in prepared.notes:
        console.print(f"note: {note}", markup=False)
    height, width = prepared.transfer.canvas.start.shape[2:]
    lines = [
        f"network    {network.name}: {network.reason}",
        f"content    {network.content}",
        f"style      {', '.join(network.style)}",
        f"picture    {width} × {height} pixels, about {size_text(prepared.memory)} of memory beside the network",
    ]
    console.print("\n".join(lines), markup=False)


def _line(number: int, prepared: Prepared, losses: Losses) -> str:
    from striate.core.duration import duration

    transfer = prepared.transfer
    steps = transfer.settings.steps
    left = transfer.seconds / number * (steps - number)
    return (
        f"step {number:>{len(str(steps))}}/{steps}  content {losses.content:.4f}  style {losses.style:.5f}  "
        f"variation {losses.variation:.4f}  {duration(transfer.seconds)}, {duration(left)} left"
    )


@contextmanager
def _shown(prepared: Prepared, console: Console, quiet: bool) -> Iterator[Any]:
    """Give what shows a step: some lines in all, and on a terminal a live one."""
    from rich.live import Live
    from rich.text import Text

    steps = prepared.transfer.settings.steps
    kept = set(_evenly(LINES - 1, steps)) | {1, steps}
    live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal and not quiet else None

    def show(number: int, losses: Losses) -> None:
        text = _line(number, prepared, losses)
        if number in kept:
            console.print(text, markup=False)
        if live is not None:
            live.update(Text(text, no_wrap=True, overflow="ellipsis"))

    with live or nullcontext():
        yield show


@contextmanager
def _stopping() -> Iterator[list[int]]:
    """Give the signals that have asked to stop; the second ends the program at once."""
    from striate.training.interrupt import handling

    asked: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        asked.append(number)
        signal.signal(number, signal.SIG_DFL)
        os.write(2, b"\nstopping after this step; again: at once\n")  # not print: it may have been interrupted

    with handling(stop):
        yield asked


def _report(result: StyleResult, path: Path, previews: list[str], as_json: bool) -> None:
    from dataclasses import asdict

    from striate.cli.output import peak_memory_gib, print_json, stdout
    from striate.core.duration import duration

    first, last = result.losses[0], result.final
    name, reason = result.network
    if as_json:
        height, width, channels = result.picture.shape
        print_json(
            {
                "picture": str(path), "height": height, "width": width, "channels": channels, "previews": previews,
                "network": name, "reason": reason, "content_layer": result.content_layer,
                "style_layers": result.style_layers, "steps": len(result.losses) - 1,
                "seconds": round(result.seconds, 2), "first": asdict(first), "last": asdict(last),
                "notes": result.notes,
            }
        )  # fmt: skip
        return
    console = stdout()
    for kind, before, after in (("content", first.content, last.content), ("style", first.style, last.style)):
        fell = f", {before / after:.1f} times less" if after and before > after else ""
        console.print(f"{kind:<10} {before:.5f} → {after:.5f}{fell}", markup=False)
    console.print(f"time       {duration(result.seconds)}, {peak_memory_gib():.1f} GiB at most", markup=False)
    console.print("\n".join(f"picture    {file}" for file in [*previews, str(path)]), markup=False)
