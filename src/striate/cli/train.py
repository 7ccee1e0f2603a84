"""`striate train`: from a data set to a measured network in a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from striate.cli.imports import importing
from striate.cli.options import merge, with_settings
from striate.core.errors import SettingsError
from striate.core.paths import to_type, user_path

if TYPE_CHECKING:
    from rich.console import Console

    from striate.evaluation import Evaluation
    from striate.training.job import Job
    from striate.training.loop import EpochResult
    from striate.training.outlook import Outlook


@with_settings
def command(
    data: Annotated[str | None, Parameter(help="A folder of pictures, a table of them, or a data set by name.")] = None,
    /,
    *,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"], help="YAML or JSON file of settings.")] = None,
    out: Annotated[Path, Parameter(help="Folder of the run folders.")] = Path("runs"),
    name: Annotated[str | None, Parameter(help="Name of the run [the data's, numbered]")] = None,
    recipe: Annotated[str | None, Parameter(help="A document's system; 'striate recipes' lists them.")] = None,
    resume: Annotated[str | None, Parameter(help="Go on with a run; alone: the newest unfinished one.")] = None,
    dry_run: Annotated[
        bool, Parameter(help="Say what would be trained and what it takes; write nothing.", negative="")
    ] = False,
    json: Annotated[bool, Parameter(help="Write the result as JSON.", negative="")] = False,
    quiet: Annotated[bool, Parameter(help="Write the result only.", negative="")] = False,
    report: Annotated[bool, Parameter(help="Write report.html, quickly, when the run is finished.")] = True,
    **settings: Any,
) -> None:
    """Train on a data set, a folder of pictures, or a table of their paths and labels.

    Everything left open is chosen from the data and recorded with its reason in the run folder.
    """
    if resume is not None and (data or name or recipe):
        fix = "leave DATA, --name and --recipe out"
        raise SettingsError("a resumed run knows its data, name and recipe", where="--resume", fix=fix)
    if resume is not None and dry_run:
        raise SettingsError("a run that goes on has its plan already", where="--dry-run", fix="leave it out")
    parsed, given = merge(config, settings)
    stand_in = None
    if recipe is not None:
        from striate.recipes import RECIPES

        place, base, _ = RECIPES[recipe].place(parsed.data_dir)
        if data is None:
            data, stand_in = place, RECIPES[recipe].stand_in(parsed.data_dir)
        parsed, given = merge(config, settings, base)
    if resume is None and data is None:
        raise SettingsError(
            "nothing to train on", where="DATA", fix="give a folder, a table or a name: striate train digits"
        )

    notes = [stand_in] if stand_in else []
    if resume is None and not dry_run:
        from striate.data.sources.apart import picture_folder, require_runs_apart

        require_runs_apart(user_path(out), picture_folder(data, parsed.data_dir))
    if resume is None and data is not None and parsed.folds is not None and parsed.fold is None:
        from striate.cli.folds import Asked, foretell_folds, train_folds

        asked = Asked(data, parsed, given, user_path(out), name, recipe, notes)
        if dry_run:
            foretell_folds(asked, json, quiet)
        else:
            train_folds(asked, json=json, quiet=quiet, report=report)
        return

    with importing():
        from striate.cli.output import stderr, stdout
        from striate.cli.reading import reading_shown
        from striate.core import clock
        from striate.runs.lock import newest_unfinished
        from striate.runs.naming import require_free_name
        from striate.training import job as jobs
        from striate.training.outlook import foresee

    console = stderr(quiet)
    if resume is not None:
        path = newest_unfinished(user_path(out)) if resume == "newest" else user_path(resume)
        with reading_shown(console):
            job = jobs.resume(path, {key: getattr(parsed, key) for key in given}, clock.began())
    elif dry_run:
        assert data is not None
        require_free_name(user_path(out), name)
        with reading_shown(console):
            outlook = foresee(data, parsed, user_path(out), clock.began())
        _foretell(outlook, notes, json, quiet)
        return
    else:
        assert data is not None
        with reading_shown(console):
            job = jobs.prepare(
                data, parsed, given=given, out=user_path(out), name=name, unnamed=recipe, started=clock.began()
            )

    for note in notes:
        console.print(f"note: {note}", markup=False)
    follow(job, console, quiet)
    measured = job.finish()
    for note in job.run.notes:
        console.print(f"note: {note}", markup=False)
    if not json:
        _tell(job, measured)
    page = explained(job, console) if report else None
    if json:
        _tell_json(job, measured, page)
    elif page is not None:
        stdout().print(f"report     {page}", markup=False)


def follow(job: Job, console: Console, quiet: bool) -> None:
    """Train, and write what there is to say: notes and plan first, then a line per epoch."""
    from rich.live import Live

    from striate.cli.output import LiveLine
    from striate.explain.first_batch import save_first_batch

    if job.is_new:
        save_first_batch(job)
    for note in [*job.data.notes, *job.run.notes]:
        console.print(f"note: {note}", markup=False)
    # of what a resumed run has left, nothing is known yet
    estimate = [f"estimate   {job.run.config.estimate}"] if job.is_new and job.run.config.estimate else []
    lines = [*job.plan.lines(job.data), *estimate, f"run        {job.run.path}"]
    console.print("\n".join(lines), markup=False)
    job.run.notes.clear()
    live = Live(LiveLine(job.run.progress), console=console, refresh_per_second=4, transient=True)
    with live if console.is_terminal and not quiet else nullcontext():
        for result in job.epochs():
            for note in job.run.notes:
                console.print(f"note: {note}", markup=False)
            job.run.notes.clear()
            console.print(_epoch_line(result, job), markup=False)


def explained(job: Job, console: Console) -> Path | None:
    """Write the report of a finished run, and say what is missing in it; None where it could not be written."""
    from striate.explain.report import after_training

    job.run.notes.clear()
    page = after_training.report_on(job)
    for note in job.run.notes:
        console.print(f"note: {note}", markup=False)
    return page


def _foretell(seen: Outlook, notes: Sequence[str], as_json: bool, quiet: bool) -> None:
    from striate.cli.output import print_json, stderr, stdout

    for note in [*notes, *seen.data.notes]:
        stderr(quiet).print(f"note: {note}", markup=False)
    if as_json:
        print_json(foretold(seen))
        return
    stdout().print("\n".join([*seen.plan.lines(seen.data), f"estimate   {seen.estimate}"]), markup=False)


def foretold(seen: Outlook) -> dict[str, Any]:
    """Return what a run would be as JSON values."""
    return {
        "data": seen.data.source,
        "pictures": {name: len(part) for name, part in seen.data.parts().items()},
        "settings": seen.plan.settings.model_dump(mode="json"),
        "reasons": seen.plan.reasons,
        "estimate": seen.estimate.model_dump(mode="json"),
    }


def _epoch_line(result: EpochResult, job: Job) -> str:
    from striate.core.duration import duration

    total = job.run.progress.epochs
    parts = [
        f"epoch {result.epoch:>{len(str(total))}}/{total}" if result.epoch else "head",
        f"loss {result.train_loss:.4f}",
        f"accuracy {result.train_accuracy:.4f}",
    ]
    if result.val_loss is not None and result.val_accuracy is not None:
        parts += [f"val loss {result.val_loss:.4f}", f"val accuracy {result.val_accuracy:.4f}"]
    if result.val_balanced_loss is not None and job.settings.patience is not None:
        parts.append(f"balanced loss {result.val_balanced_loss:.4f}")
    parts += [f"lr {result.lr:.3g}", f"{result.images_per_second:,.0f} images/s", duration(result.seconds)]
    return "  ".join(parts)


def _tell_json(job: Job, measured: dict[str, Evaluation], page: Path | None) -> None:
    from striate.cli.output import print_json
    from striate.training.job import headline
    from striate.training.transfer import fine_tuning

    figures = {part: headline(e) for part, e in measured.items()}
    assert job.run.seconds is not None, "it has just been written"
    end: dict[str, Any] = {"seconds": round(job.run.seconds, 2), "ended": job.run.progress.ending or None}
    if job.settings.transfers:
        end["fine_tuning"] = fine_tuning(job.run)
    files = {"run": str(job.run.path), "model": str(job.run.model_path), "report": None if page is None else str(page)}
    print_json({**files, **end, **figures})


def _tell(job: Job, measured: dict[str, Evaluation]) -> None:
    from striate.cli.certainty import accepted_line, calibration_line
    from striate.cli.output import accuracy_line, peak_memory_gib, stdout
    from striate.core.duration import duration
    from striate.training.transfer import fine_tuning

    path, seconds, console = job.run.path, job.run.seconds, stdout()
    assert seconds is not None, "it has just been written"
    for result in measured.values():
        console.print(accuracy_line(result), markup=False)
    if measured:
        last = list(measured.values())[-1]
        for line in filter(None, (calibration_line(last), accepted_line(last))):
            console.print(line, markup=False)
    tuned = fine_tuning(job.run)
    if tuned is not None and tuned["kept"]:
        figures = (f"{key} {tuned['head'][key]:.4f} → {tuned['fine_tuned'][key]:.4f}" for key in ("accuracy", "loss"))
        console.print(f"fine-tuned kept: val {', '.join(figures)}", markup=False)
    if job.run.progress.ending:
        console.print(f"ended      {job.run.progress.ending}", markup=False)
    budget = f" of {duration(job.budget.seconds)}" if job.budget else ""
    console.print(f"time       {duration(seconds)}{budget}, {peak_memory_gib():.1f} GiB at most", markup=False)
    console.print(f"model      {job.run.model_path}", markup=False)
    console.print(f"next       {to_type('striate', 'predict', path)} PICTURE…", markup=False)
    console.print(f"           {to_type('striate', 'evaluate', path)}", markup=False)
