"""A run by its name, wherever it stands: made now, gone on with, or finished already. For commands of several runs."""

from __future__ import annotations

from pathlib import Path

from striate.core.errors import SettingsError
from striate.core.paths import is_there, to_type
from striate.core.settings import TrainSettings
from striate.data.sources.registry import source_of
from striate.runs.config import MAY_CHANGE
from striate.runs.folder import Run
from striate.runs.naming import require_free_name
from striate.training.job import Job, prepare, resume


def take_up(
    data: str,
    settings: TrainSettings,
    *,
    given: frozenset[str],
    out: Path,
    name: str,
    started: float | None = None,
) -> Job | None:
    """Return the job of the run of that name, ready to begin or to go on; None where it is finished.

    Args:
        data: A data set's name, a folder or a table.
        settings: What the user asked for.
        given: Names of the settings that the user gave.
        out: Folder of the run folders.
        name: The run's name.
        started: When a time budget began (`clock.now`); by default with this call.

    Raises:
        SettingsError: There is a run of that name, made with other settings or data.
        StriateError: Whatever else cannot be obeyed.
    """
    run = earlier(data, settings, given=given, out=out, name=name)
    if run is None:
        return prepare(data, settings, given=given, out=out, name=name, started=started)
    return None if run.is_finished else resume(run.path, {}, started)


def earlier(data: str, settings: TrainSettings, *, given: frozenset[str], out: Path, name: str) -> Run | None:
    """Return the run of that name where there is one, finished or not; the arguments are those of `take_up`.

    Raises:
        SettingsError: It was made with other settings or data; or there is none, and the name cannot be used.
    """
    path = out / name
    if not is_there(path / "config.json"):
        require_free_name(out, name)
        return None
    run = Run.open(path)
    differing = differences(run, data, settings, given)
    if differing:
        raise SettingsError(
            f"this run was made with other settings ({', '.join(differing)})",
            where=path,
            fix=f"use another --name or --out, or remove it: {to_type('rm', '-r', path)}",
        )
    return run


def differences(run: Run, data: str, settings: TrainSettings, given: frozenset[str]) -> list[str]:
    """Return in which settings, and whether in its data, a run is another than the one that is asked for now."""
    asked = settings.model_dump(mode="json", include=set(given))
    ours, theirs = ({k: v for k, v in one.items() if k not in MAY_CHANGE} for one in (run.config.given, asked))
    differing = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
    same_data = run.config.data in (data, source_of(data, settings.data_dir))
    return differing if same_data else [*differing, "data"]
