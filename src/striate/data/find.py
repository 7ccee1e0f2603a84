"""Where data sets are looked for, and what to say when they are not there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from striate.core.errors import DataError, ResourceError
from striate.core.paths import user_path

DEBIAN = Path("/usr/share/datasets")
CACHE = Path("~/.cache/striate/data")


def search_roots(data_dir: Path | None) -> list[Path]:
    """Return the folders to look in, best first: the one asked for, STRIATE_DATA, Debian's, our own cache."""
    roots = [data_dir, os.environ.get("STRIATE_DATA"), DEBIAN, CACHE]
    return [user_path(root) for root in roots if root]


def download_root(data_dir: Path | None) -> Path:
    """Return the folder a download goes to."""
    return user_path(data_dir or os.environ.get("STRIATE_DATA") or CACHE)


def find_folder(data_dir: Path | None, candidates: Sequence[str], is_complete: Callable[[Path], bool]) -> Path | None:
    """Return the first complete folder among root/candidate for every root, or None."""
    for root in search_roots(data_dir):
        for candidate in candidates:
            folder = root / candidate
            if folder.is_dir() and is_complete(folder):
                return folder
    return None


def fetch_or_explain(name: str, data_dir: Path | None, layout: Sequence[str], fetch: Callable[[Path], object]) -> None:
    """Download with `fetch(root)`; where that fails, say exactly which files to put where.

    Args:
        layout: The files wanted, relative to the data folder.

    Raises:
        ResourceError: No network, or the server refused.
        DataError: What arrived does not match its checksum.
    """
    root = download_root(data_dir)
    files = "\n".join(f"       {root / file}" for file in layout)
    fix = f"put these files there by hand, or name the folder that holds them with --data-dir:\n{files}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        fetch(root)
    except (OSError, RuntimeError) as error:
        # torchvision raises RuntimeError for a wrong checksum, but for MNIST's mirrors out of reach, too
        if isinstance(error, RuntimeError) and "corrupted" in str(error):
            raise DataError(f"the download of '{name}' is damaged or incomplete ({error})", fix=fix) from None
        raise ResourceError(f"'{name}' is not on this machine and cannot be downloaded ({error})", fix=fix) from None
