"""Names in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def some(names: Sequence[str]) -> str:
    """Return the first of many names, at most two."""
    return ", ".join(names[:2]) + (" …" if len(names) > 2 else "")
