"""`striate predict`: classes and probabilities of pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from striate.core.errors import DataError, SettingsError

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def command(
    run: Annotated[Path, Parameter(help="A run folder or a model file.")],
    images: Annotated[list[Path], Parameter(help="Pictures, or folders of pictures.")],
    /,
    *,
    top: Annotated[int, Parameter(help="How many classes to show of each picture.")] = 1,
    device: Annotated[str, Parameter(help="auto, cpu, cuda or mps.")] = "auto",
    json: Annotated[bool, Parameter(help="Write one JSON object per picture.", negative="")] = False,
) -> int:
    r"""Classify pictures: one line each, path, class and probability, with tabs between them.

    A tab, line break or backslash in a name is written \t, \n, \r or \\. Pictures that cannot be used and folders
    without pictures are named on stderr, and the exit code is then 3.
    """
    if top < 1:
        raise SettingsError(f"--top {top}: 1 or more", where="--top", fix="leave it out")
    from striate.cli.output import print_json, stderr
    from striate.deploy import load

    console = stderr()
    failed = 0

    def refuse(error: DataError) -> None:
        nonlocal failed
        failed += 1
        console.print(f"error: {error}", markup=False)

    for outcome in load(run, device).outcomes(_pictures(images, refuse)):
        if isinstance(outcome, DataError):
            refuse(outcome)
        elif json:
            print_json({"path": outcome.name, "class": outcome.label, "probabilities": outcome.probabilities})
        else:
            ranked = sorted(outcome.probabilities.items(), key=lambda pair: -pair[1])[:top]
            cells = [outcome.name, *(cell for name, probability in ranked for cell in (name, f"{probability:.4f}"))]
            print("\t".join(cell.translate(_ESCAPES) for cell in cells))
    return DataError.exit_code if failed else 0


def _pictures(paths: Iterable[Path], refuse: Callable[[DataError], None]) -> Iterator[Path]:
    """Yield files as they are given, and for each folder the pictures under it; a folder may fail alone."""
    from striate.data.sources.scan import pictures_under

    for path in paths:
        if not os.path.isdir(path):  # Path.is_dir raises for names that are too long
            yield path
            continue
        empty = True
        try:
            for picture in pictures_under([path]):
                empty = False
                yield picture
        except DataError as error:
            refuse(error)
        except OSError as error:
            refuse(DataError(f"cannot be read ({error.strerror})", where=error.filename or path))
        else:
            if empty:
                refuse(DataError("no pictures in this folder", where=path, fix="give pictures, or a folder of them"))
