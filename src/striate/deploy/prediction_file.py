"""Predictions in a file: CSV, JSON lines or Parquet, written as they come, and there as a whole or not at all.

`label` is the network's answer, accepted or not; of networks of any number of classes it is all of them with '|'
between. `unknown` and `unknown_score` hold nothing where they are not told. Probabilities, calibrated where the network
is, have the nine digits that make a float32 again.
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
from striate.data.dataset import SEPARATOR
from striate.deploy.predictor import Prediction, Predictor
from striate.runs.atomic import new_file

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
        self.multi_label = predictor.spec.multi_label
        self.tells_unknown = predictor.detector is not None

    @abstractmethod
    def write(self, prediction: Prediction) -> None:
        """Write one prediction."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is still held."""

    def row(self, prediction: Prediction) -> list[Any]:
        """Return a prediction's values under `COLUMNS`."""
        unknown = prediction.unknown if self.tells_unknown else None
        label = SEPARATOR.join(prediction.labels) if self.multi_label else prediction.label
        return [
            prediction.name,
            label,
            prediction.probability,
            prediction.accepted,
            unknown,
            prediction.unknown_score,
        ]


class _Csv(Writer):
    """A header, and a row for each picture; the classes' columns are called p(NAME)."""

    def __init__(self, file: BinaryIO, predictor: Predictor) -> None:
        super().__init__(file, predictor)
        self.text = io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
        self.rows = csv.writer(self.text)
        self.rows.writerow([*COLUMNS, *map(column_of, self.classes)])

    def write(self, prediction: Prediction) -> None:
        self.rows.writerow(map(_cell, [*self.row(prediction), *prediction.probabilities.values()]))

    def finish(self) -> None:
        self.text.flush()
        self.text.detach()


class _JsonLines(Writer):
    """An object for each picture, with its classes' probabilities in an object of their own."""

    def write(self, prediction: Prediction) -> None:
        told = dict(zip(COLUMNS, map(_short, self.row(prediction)), strict=True))
        if self.multi_label:
            told["label"] = list(prediction.labels)
        told["probabilities"] = {name: _short(value) for name, value in prediction.probabilities.items()}
        self.file.write(json.dumps(told).encode() + b"\n")

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

    def write(self, prediction: Prediction) -> None:
        name, *rest = self.row(prediction)
        readable = name.encode("utf-8", "backslashreplace").decode()  # bytes that are no text
        self.held.append([readable, *rest, *prediction.probabilities.values()])
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


@contextmanager
def prediction_file(path: Path, predictor: Predictor) -> Iterator[Writer]:
    """Give what writes predictions into a new file of the kind that its suffix says.

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
    except FileExistsError:
        raise SettingsError("file exists by now", where=path, fix="repeat the command with another name") from None
    except OSError as error:
        reason = f"cannot be written ({error.strerror or error})"
        raise ResourceError(reason, where=path, fix="check the folder, its permissions and the free space") from None
