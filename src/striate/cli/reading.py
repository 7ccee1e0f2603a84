"""A line that shows how far the reading of a folder is, on terminals only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from striate.cli.output import BAR_WIDTH, LEAST_BAR
from striate.core.duration import duration
from striate.data.reading import READING, Reading

PER_SECOND = 4


class ReadingLine:
    """What rich asks for a few times per second; it reads a `Reading` and nothing else, so that nobody waits for it.

    Args:
        reading: What is done, and how much there is.
        doing: What is being done to the pictures.
    """

    def __init__(self, reading: Reading, doing: str = "reading") -> None:
        self.reading = reading
        self.doing = doing

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give rich the line as it is now."""
        yield Text(self.text(options.max_width), no_wrap=True, overflow="ellipsis")

    def text(self, width: int) -> str:
        """Return the line for a terminal of `width` columns; nothing while nothing is read."""
        if self.reading.fetched:
            return f"fetching {self.reading.fetched}"
        total, done = self.reading.total, self.reading.done
        if not total:
            return f"looking for pictures: {self.reading.found:,}" if self.reading.found else ""
        parts = [f"{self.doing} {done:,} of {total:,} pictures"]
        left = self.reading.seconds_left()
        if left != float("inf"):
            parts.append(f"{duration(left)} left")
        length = min(BAR_WIDTH, width - sum(len(part) + 2 for part in parts))
        if length >= LEAST_BAR:
            filled = round(length * done / total)
            parts.insert(1, "━" * filled + "╌" * (length - filled))
        return "  ".join(parts)


@contextmanager
def reading_shown(console: Console, reading: Reading = READING, doing: str = "reading") -> Iterator[None]:
    """Show how far the reading of files is while they are read inside; nothing where there is no terminal."""
    if not console.is_terminal or console.quiet:
        yield
        return
    with Live(ReadingLine(reading, doing), console=console, refresh_per_second=PER_SECOND, transient=True):
        yield
