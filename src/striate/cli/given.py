"""Pictures as they are named on the command line: files, folders of them, and patterns that the shell left alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from striate.core.errors import DataError


def given_pictures(
    paths: Iterable[Path], refuse: Callable[[DataError], None], ignored: list[tuple[str, str]]
) -> Iterator[Path]:
    """Yield files as they are given, and for each folder the pictures under it; a folder may fail alone.

    A pattern stands for the pictures that it matches, and those under the folders that it matches, each once.

    Args:
        paths: Files, folders, and patterns of '*', '?', '[…]' and '**', any number of folders.
        refuse: Told of each folder that cannot be read or holds no picture, and each pattern without a match.
        ignored: Takes up what is no picture, with the reason.
    """
    from striate.data.sources.scan import pictures_under
    from striate.data.unread import CONVERT, unread_summary

    for path in paths:
        if is_pattern(path):
            yield from _matching(path, refuse, ignored)
            continue
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


def is_pattern(path: Path) -> bool:
    """Return whether a path stands for those that it matches: it has a pattern's letters, and is no file's name."""
    return any(letter in str(path) for letter in "*?[") and not os.path.lexists(path)


def _matching(pattern: Path, refuse: Callable[[DataError], None], ignored: list[tuple[str, str]]) -> Iterator[Path]:
    from striate.data.sources.scan import picture_or_not

    fixed = next(number for number, part in enumerate(pattern.parts) if any(letter in part for letter in "*?["))
    base, rest = Path(*pattern.parts[:fixed]), str(Path(*pattern.parts[fixed:]))
    try:
        found = sorted(base.glob(rest))
    except (ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        refuse(DataError(f"no pattern that can be looked for ({reason})", where=pattern, fix="see  man 7 glob"))
        return
    seen: set[Path] = set()
    refused: list[DataError] = []  # a folder among others that holds no picture is nothing to tell
    for match in found:
        if os.path.isdir(match):
            pictures: Iterable[Path] = given_pictures([match], refused.append, ignored)
        else:
            pictures = [match] if picture_or_not(match, ignored) else []
        for picture in pictures:
            if picture not in seen:
                seen.add(picture)
                yield picture
    if not seen:
        fix = "check the pattern; ** stands for any number of folders"
        refuse(DataError("no picture matches this pattern", where=pattern, fix=fix))
