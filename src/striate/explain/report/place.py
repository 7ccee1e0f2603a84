"""Where an explanation is written, so that no report or figure of another network or of other pictures is replaced."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

from striate.core.errors import SettingsError
from striate.data.sources.registry import SOURCES
from striate.explain.report.page import NAME, key_in, report_key
from striate.explain.subject import Subject
from striate.runs.model_file import NAME as MODEL

LONGEST = 60  # characters of a folder's name that come from elsewhere


def folder_for(subject: Subject, path: Path, data: str | None, part: str | None) -> Path:
    """Return the folder of an explanation for which none was named.

    The run's own, where it is of the run's own pictures; else one inside it, named by what differs. Of a model file
    one in the working directory, named by the file, or by its folder where all are named alike. A folder that holds
    the report of another network or of other pictures is passed over: the name is numbered.

    Args:
        subject: What is explained.
        path: The run folder or model file.
        data, part: What was asked for in place of the run's own; None where nothing was.
    """
    differs = [_data_name(data)] if data else []
    differs += [part] if part else []
    differs += ["pictures"] if subject.given is not None else []
    if not path.is_dir():
        name = path.stem if path.name != MODEL else path.resolve().parent.name or subject.card.weights_sha256[:8]
        base = Path(f"{_short(name)}-explained")
    elif differs:
        base = path / "-".join(["explained", *differs])
    else:
        return path
    numbered = (base if number == 1 else base.with_name(f"{base.name}-{number}") for number in count(1))
    return next(folder for folder in numbered if key_in(folder / NAME) in (None, report_key(subject)))


def replaces_report(folder: Path, subject: Subject) -> bool:
    """Return whether a folder holds a report whose chapters do not fit to these, of other pictures or another version.

    Raises:
        SettingsError: It holds one of another network, whose figures would be mixed with these.
    """
    there, own = key_in(folder / NAME), report_key(subject)
    own_folder = subject.run is not None and folder.resolve() == subject.run.path.resolve()
    if there is not None and not own_folder and there.partition("-")[0] != own.partition("-")[0]:
        raise SettingsError("holds the report of another network", where=folder, fix="use another --out")
    return there not in (None, own)


def _data_name(data: str) -> str:
    if data.partition(":")[0] in SOURCES:
        return _short(data)
    return _short(Path(data).resolve().stem or "data")


def _short(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)[:LONGEST]
