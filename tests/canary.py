"""A pickle that tells whether it was loaded."""

from __future__ import annotations

from pathlib import Path


class Canary:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")
