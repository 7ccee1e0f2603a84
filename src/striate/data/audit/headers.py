"""Headers of picture files: format, size, mode, bits and orientation, read without decoding a pixel where possible."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from striate.core.errors import DataError
from striate.data.conversions import START, Header, header_of
from striate.data.decode import opened_header
from striate.data.parallel import usable_cores

_THREADS_PER_CORE = 4  # most of the time goes to the disk


def read_headers(paths: Sequence[str]) -> list[Header | None]:
    """Return the header of each file, None of one that cannot be read."""
    # readers of headers put their own filters on top of this one, one at a time, and take them off again
    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS_PER_CORE * usable_cores()) as pool:
        warnings.simplefilter("ignore")  # of odd metadata
        return list(pool.map(_read_header, paths))


def _read_header(path: str) -> Header | None:
    try:
        with opened_header(path) as picture, open(path, "rb") as file:
            return header_of(picture, file.read(START))
    except (DataError, OSError):
        return None
