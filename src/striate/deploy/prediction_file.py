"""Predictions in a file: CSV, JSON lines or Parquet, written as they come, and there as a whole or not at all.

`label` is the network's answer, accepted or not; of networks of any number of classes it is all of them with '|'
between, and `probability` is that of all of them together being right. `unknown` and `unknown_score` hold nothing where
they are not told. Probabilities, calibrated where the network is, have the nine digits that make a float32 again. All
is UTF-8: of names that are not, `core/names.in_utf8` says how they stand there.
"""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from striate.core.errors import ResourceError, SettingsError
from striate.core.names import in_utf8
from striate.data.dataset import SEPARATOR
from striate.deploy.predictor import Prediction, Predictor
from striate.runs.atomic import new_file, remedy

SUFFIXES = (".csv", ".jsonl", ".parquet")
COLUMNS = ("path", "label", "probability", "accepted", "unknown", "unknown_score")
ROWS = 4096  # in a group of Parquet's


class Writer(ABC):
    """Writes predictions of a network into an open file.

    Args:
        file: Where they go.
        predictor: Whose predictions they are.
    """

    def __init__(self, file: BinaryIO, predictor: Predictor) -> None:
        self.file = file
        self.classes = predictor.classes
        self.count = 0

    def write(self, prediction: Prediction) -> None:
        """Write one prediction."""
        self.count += 1
        self.add(prediction)

    @abstractmethod
    def add(self, prediction: Prediction) -> None:
        """Write what one prediction says."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is still held."""


class _Csv(Writer):
    """A header, and a row for each picture; the classes' columns are called p(NAME)."""

    def __init__(self, file: BinaryIO, predictor: Predictor) -> None:
        super().__init__(file, predictor)
        self.text = io.TextIOWrapper(file, "utf-8", newline="")
        self.rows = csv.writer(self.text)
        self.rows.writerow([*COLUMNS, *map(column_of, self.classes)])

    def add(self, prediction: Prediction) -> None:
        self.rows.writerow(map(_cell, [*answer(prediction).values(), *prediction.probabilities.values()]))

    def finish(self) -> None:
        self.text.flush()
        self.text.detach()


class _JsonLines(Writer):
    """An object for each picture, with its classes' probabilities in an object of their own."""

    def add(self, prediction: Prediction) -> None:
        self.file.write(json.dumps(as_json(prediction), ensure_ascii=False).encode() + b"\n")

    def finish(self) -> None:
        self.file.flush()


class _Parquet(Writer):
    """A column for each of CSV's, with types."""

    def __init__(self, file: BinaryIO, predictor: Predictor) -> None:
        super().__init__(file, predictor)
        import pyarrow
        from pyarrow import parquet

        text, number, flag = pyarrow.string(), pyarrow.float32(), pyarrow.bool_()
        kinds = [text, text, number, flag, flag, number, *(number for _ in self.classes)]
        names = [*COLUMNS, *map(column_of, self.classes)]
        self.schema = pyarrow.schema(list(zip(names, kinds, strict=True)))
        self.writer = parquet.ParquetWriter(file, self.schema)
        self.held: list[list[Any]] = []

    def add(self, prediction: Prediction) -> None:
        self.held.append([*answer(prediction).values(), *prediction.probabilities.values()])
        if len(self.held) == ROWS:
            self._write_held()

    def finish(self) -> None:
        self._write_held()
        self.writer.close()

    def _write_held(self) -> None:
        import pyarrow

        if self.held:
            columns = [
                pyarrow.array(values, field.type)
                for values, field in zip(zip(*self.held, strict=True), self.schema, strict=True)
            ]
            self.writer.write_table(pyarrow.table(columns, schema=self.schema))
            self.held = []


_WRITERS: dict[str, type[Writer]] = {".csv": _Csv, ".jsonl": _JsonLines, ".parquet": _Parquet}


def answer(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction's values under `COLUMNS`."""
    unknown = None if prediction.unknown_score is None else prediction.unknown
    values = (
        in_utf8(prediction.name),
        SEPARATOR.join(prediction.labels),
        prediction.confidence,
        prediction.accepted,
        unknown,
        prediction.unknown_score,
    )
    return dict(zip(COLUMNS, values, strict=True))


def as_json(prediction: Prediction) -> dict[str, Any]:
    """Return what is said of a picture in JSON: path, label, labels and so on, as the server says it."""
    told = {key: _short(value) for key, value in answer(prediction).items()}
    probabilities = {name: _short(value) for name, value in prediction.probabilities.items()}
    path, label = told.pop("path"), told.pop("label")
    return {"path": path, "label": label, "labels": prediction.labels, **told, "probabilities": probabilities}


def column_of(name: str) -> str:
    """Return what the column of a class's probabilities is called."""
    return f"p({name})"


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.9g}" if isinstance(value, float) else value


def _short(value: Any) -> Any:
    return float(f"{value:.9g}") if isinstance(value, float) else value


def require_writer(path: Path) -> None:
    """Refuse Parquet where pyarrow is not installed: ResourceError."""
    if path.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        raise ResourceError(
            "to write Parquet, pyarrow is needed, which is not installed",
            where=path,
            fix="pip install 'striate[parquet]', or name a .csv or .jsonl file",
        )


class _EmptyError(Exception):
    """Nothing was written into a file."""


@contextmanager
def prediction_file(path: Path, predictor: Predictor) -> Iterator[Writer]:
    """Give what writes predictions into a new file of the kind that its suffix says; where none comes, no file is left.

    Raises:
        SettingsError: There is a file of that name by the time it is whole.
        ResourceError: Parquet, and pyarrow is not installed; or the disk cannot take it.
    """
    require_writer(path)
    try:
        with new_file(path) as file:
            writer = _WRITERS[path.suffix.lower()](file, predictor)
            try:
                yield writer
            finally:
                writer.finish()  # also of what is given up, while its file is open
            if not writer.count:
                raise _EmptyError
    except _EmptyError:
        return
    except FileExistsError:
        raise SettingsError("file exists by now", where=path, fix="repeat the command with another name") from None
    except OSError as error:
        reason = f"cannot be written ({error.strerror or error})"
        fix = remedy(error.errno, other="check the folder, its permissions and the free space")
        raise ResourceError(reason, where=path, fix=fix) from None
