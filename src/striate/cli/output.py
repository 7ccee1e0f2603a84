"""What the commands write: results on stdout, everything else on stderr; colour and bars on terminals only."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from striate.core.duration import duration
from striate.core.errors import SettingsError
from striate.core.memory import peak_memory
from striate.core.paths import file_status
from striate.runs.progress import Progress

if TYPE_CHECKING:
    from striate.evaluation import Evaluation

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")
PIPE_WIDTH = 10_000
BAR_WIDTH, LEAST_BAR = 30, 4


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to main() what a reader that went away means; rich would exit."""
        raise BrokenPipeError

    def show_cursor(self, show: bool = True) -> bool:
        """Leave the cursor where live lines are shown: before training Ctrl-C ends us at once, which would lose it."""
        return False


# what is printed holds paths: never broken into lines, no ':name:' made an emoji
_LITERAL: dict[str, Any] = {"highlight": False, "soft_wrap": True, "emoji": False}


def stderr(quiet: bool = False) -> Console:
    """Return the console for everything that is not the result; rich obeys NO_COLOR by itself."""
    return _Console(stderr=True, quiet=quiet, **_LITERAL)


def stdout() -> Console:
    """Return the console for results."""
    if sys.stdout.isatty():
        return _Console(**_LITERAL)
    return _Console(width=PIPE_WIDTH, **_LITERAL)  # nothing is cut for a reader that has no width


def print_json(value: object) -> None:
    """Write one JSON value to stdout, in ASCII where its encoding lacks characters."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(value, ensure_ascii=not unicode))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> Table:
    """Return a table; columns are right-aligned but for those in `left`. Cells are plain text, never markup."""
    made = Table(title=Text(title) if title else None, box=None, pad_edge=False, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(Text(column), justify="left" if number in left else "right")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def one_line(text: str) -> str:
    """Return a name as it can stand in a line: what would break it, or cannot be printed, is spelt out."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def percent(share: float, interval: tuple[float, float]) -> str:
    """Return an accuracy with its 95 % interval: '92.43 % (95 %: 91.90–92.93)'."""
    return f"{100 * share:.2f} % (95 %: {100 * interval[0]:.2f}–{100 * interval[1]:.2f})"


def accuracy_line(result: Evaluation) -> str:
    """Return what a part came to, in one line; with the balanced accuracy where the classes differ much in size."""
    from striate.data.audit.finding import of
    from striate.evaluation import SingleLabelEvaluation

    counted = of(result.count, result.counted.removesuffix("s"))
    line = f"{result.part:<10} {percent(result.accuracy, result.interval)} of {counted}"
    if isinstance(result, SingleLabelEvaluation) and result.is_imbalanced:
        return f"{line}, balanced {percent(*result.balanced_accuracy)}"
    return line


def peak_memory_gib() -> float:
    """Return the most memory this process has held so far, in GiB."""
    return peak_memory() / 2**30


def require_free(path: Path, suffixes: tuple[str, ...], pictures: Iterable[Path] = ()) -> None:
    """Refuse to write over a file, among pictures, or under a suffix that says another kind of file.

    Args:
        path: The file.
        suffixes: Of its kind.
        pictures: Folders of pictures, which are never added to.

    Raises:
        SettingsError: The file exists, its folder does not, the path cannot be, its suffix is not one of `suffixes`, or
            it would lie among pictures.
    """
    if path.suffix.lower() not in suffixes:
        raise SettingsError("not a name for this kind of file", where=path, fix=f"end it in {' or '.join(suffixes)}")
    if file_status(path, SettingsError) is not None or os.path.islink(path):  # of a link that leads nowhere, too
        raise SettingsError("file exists", where=path, fix="remove it or give another name")
    if not path.parent.is_dir():
        raise SettingsError("no such folder", where=path.parent, fix="make it first")
    from striate.data.sources.apart import require_apart

    require_apart(path, pictures)


class LiveLine:
    """A line that shows where the run stands; rich asks for it a few times per second.

    It reads the run's Progress and nothing else, so the loop never waits for it.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give rich the line as it is now, with a bar in what room the terminal leaves."""
        yield Text(self.text(options.max_width), no_wrap=True, overflow="ellipsis")

    def text(self, width: int) -> str:
        """Return the line for a terminal of `width` columns: epoch, bar, loss, accuracy, rate, speed, time, memory."""
        p = self.progress
        if not p.steps:
            return "starting …"
        head, left = f"{p.epoch}/{p.epochs}" if p.epochs else "features", p.seconds_left()
        wanted = [f"{duration(left)} left"] if left != float("inf") else []
        if p.loss_sum is not None and p.correct is not None and p.count:
            wanted += [f"loss {float(p.loss_sum) / p.count:.4f}", f"acc {int(p.correct) / p.count:.4f}"]
        wanted += [f"{p.images_per_second():,.0f} img/s", f"lr {p.lr:.2g}", f"{peak_memory_gib():.1f} GiB"]
        room = width - len(head) - 3
        figures = []
        for figure in wanted:  # a narrow terminal shows the most wanted, and a short bar
            if len(figure) + 2 + LEAST_BAR > room:
                break
            figures.append(figure)
            room -= len(figure) + 2
        length = min(room, BAR_WIDTH)
        filled = round(length * p.step / p.steps)
        return "  ".join([head, "━" * filled + "╌" * (length - filled), *figures])
