"""What is told of a mistake of ours in a report that nobody asked for; the tests raise it instead."""

from __future__ import annotations

from striate.core.errors import StriateError


def told(chapter: str, error: Exception) -> StriateError:
    """Return a mistake of ours in a chapter as an error that can be told: the run is finished, and worth more."""
    return StriateError(
        f"our own mistake: {type(error).__name__}: {error}",
        where=f"chapter {chapter}",
        fix="report it with what striate explain says of it with --debug",
    )
