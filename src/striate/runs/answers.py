"""A run's predictions.csv, read back: each measured picture and what the network said of it."""

from __future__ import annotations

import csv
from typing import NamedTuple

from striate.core.errors import ModelFileError
from striate.core.paths import to_type
from striate.runs.folder import Run

NAME = "predictions.csv"
_COLUMNS = ("path", "part", "label", "prediction", "pixels")


class Answer(NamedTuple):
    """One line of predictions.csv.

    Args:
        name: The picture's.
        part: 'val' or 'test'.
        label, prediction: Classes by name, several joined by '|'.
        pixels: The hash of what the network was shown of it.
    """

    name: str
    part: str
    label: str
    prediction: str
    pixels: str


def read_answers(run: Run) -> list[Answer]:
    """Return what a finished run said of each picture of its validation and test part.

    Raises:
        ModelFileError: The run is not finished, or the file is missing or damaged.
    """
    if not run.is_finished:
        fix = to_type("striate", "train", "--resume", run.path)
        raise ModelFileError("this run is not finished", where=run.path, fix=fix)
    file = run.path / NAME
    try:
        with open(file, newline="", encoding="utf-8", errors="surrogateescape") as opened:
            rows = csv.DictReader(opened, strict=True)
            missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
            if missing:
                raise csv.Error(f"no column {', '.join(missing)}")
            answers = [Answer(*(row[column] for column in _COLUMNS)) for row in rows]
    except OSError as error:
        raise ModelFileError(f"cannot be read ({error.strerror})", where=file) from None
    except csv.Error as error:
        raise ModelFileError(f"damaged, or written by another version ({error})", where=file) from None
    if any(None in answer for answer in answers):
        raise ModelFileError("damaged: a line is cut off", where=file)
    return answers
