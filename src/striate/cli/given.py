"""Pictures as they are named on the command line: files, and folders of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from striate.core.errors import DataError


def given_pictures(
    paths: Iterable[Path], refuse: Callable[[DataError], None], ignored: list[tuple[str, str]]
) -> Iterator[Path]:
    """Yield files as they are given, and for each folder the pictures under it; a folder may fail alone.

    Args:
        paths: Files and folders.
        refuse: Told of each folder that cannot be read or holds no picture.
        ignored: Takes up what is no picture, with the reason.
    """
    from striate.data.sources.scan import pictures_under
    from striate.data.unread import CONVERT, unread_summary

    for path in paths:
        if not os.path.isdir(path):  # Path.is_dir raises for names that are too long
            yield path
            continue
        empty = True
        try:
            for picture in pictures_under([path], ignored):
                empty = False
                yield picture
        except DataError as error:
            refuse(error)
        except OSError as error:
            refuse(DataError(f"cannot be read ({error.strerror})", where=error.filename or path))
        else:
            if empty:
                aside = unread_summary(name for name, _ in ignored)
                what = "no pictures in this folder" + (f" ({aside})" if aside else "")
                fix = CONVERT if aside else "give pictures, or a folder of them"
                refuse(DataError(what, where=path, fix=fix))
