"""`striate train`: from a data set to a measured network in a run folder."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from striate.cli.imports import importing
from striate.cli.options import merge, with_settings
from striate.core.errors import SettingsError
from striate.core.paths import to_type, user_path

if TYPE_CHECKING:
    from striate.evaluation import Evaluation
    from striate.training.job import Job
    from striate.training.loop import EpochResult


@with_settings
def command(
    data: Annotated[str | None, Parameter(help="A data set by name, or a folder of pictures.")] = None,
    /,
    *,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"], help="YAML or JSON file of settings.")] = None,
    out: Annotated[Path, Parameter(help="Folder of the run folders.")] = Path("runs"),
    name: Annotated[str | None, Parameter(help="Name of the run [the data's, numbered]")] = None,
    recipe: Annotated[str | None, Parameter(help="A document's system; 'striate recipes' lists them.")] = None,
    resume: Annotated[str | None, Parameter(help="Go on with a run; alone: the newest unfinished one.")] = None,
    json: Annotated[bool, Parameter(help="Write the result as JSON.", negative="")] = False,
    quiet: Annotated[bool, Parameter(help="Write the result only.", negative="")] = False,
    **settings: Any,
) -> None:
    """Train on a data set or a folder of pictures.

    Everything left open is chosen from the data and recorded with its reason in the run folder.
    """
    if resume is not None and (data or name or recipe):
        fix = "leave DATA, --name and --recipe out"
        raise SettingsError("a resumed run knows its data, name and recipe", where="--resume", fix=fix)
    parsed, given = merge(config, settings)
    stand_in = None
    if recipe is not None:
        from striate.recipes import RECIPES

        place, base, _ = RECIPES[recipe].place(parsed.data_dir)
        if data is None:
            data, stand_in = place, RECIPES[recipe].stand_in(parsed.data_dir)
        parsed, given = merge(config, settings, base)
    if resume is None and data is None:
        raise SettingsError("nothing to train on", where="DATA", fix="give a folder or a name: striate train digits")

    with importing():
        from rich.live import Live

        from striate.cli.output import LiveLine, stderr, stopwatch
        from striate.core import clock
        from striate.runs.folder import newest_unfinished
        from striate.training import job as jobs

    elapsed = stopwatch()
    console = stderr(quiet)
    if resume is not None:
        path = newest_unfinished(user_path(out)) if resume == "newest" else user_path(resume)
        job = jobs.resume(path, {key: getattr(parsed, key) for key in given}, clock.began())
    else:
        assert data is not None
        job = jobs.prepare(
            data, parsed, given=given, out=user_path(out), name=name, unnamed=recipe, started=clock.began()
        )

    for note in [*([stand_in] if stand_in else []), *job.data.notes, *job.run.notes]:
        console.print(f"note: {note}", markup=False)
    console.print("\n".join([*job.plan.lines(), f"run        {job.run.path}"]), markup=False)
    job.run.notes.clear()
    live = Live(LiveLine(job.run.progress), console=console, refresh_per_second=4, transient=True)
    with live if console.is_terminal and not quiet else nullcontext():
        for result in job.epochs():
            for note in job.run.notes:
                console.print(f"note: {note}", markup=False)
            job.run.notes.clear()
            console.print(_epoch_line(result, job), markup=False)
    measured = job.finish()
    _report(job, measured, job.budget.used() if job.budget else elapsed(), json)


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
    parts += [f"lr {result.lr:.3g}", f"{result.images_per_second:,.0f} images/s", duration(result.seconds)]
    return "  ".join(parts)


def _report(job: Job, measured: dict[str, Evaluation], seconds: float, as_json: bool) -> None:
    from striate.cli.output import peak_memory_gib, percent, print_json, stdout
    from striate.core.duration import duration

    path = job.run.path
    if as_json:
        figures = {
            part: {"accuracy": e.accuracy, "interval_95": list(e.interval), "loss": e.loss, "count": e.count}
            for part, e in measured.items()
        }
        end = {"seconds": round(seconds, 2), "ended": job.run.progress.ending or None}
        print_json({"run": str(path), "model": str(job.run.model_path), **end, **figures})
        return
    console = stdout()
    for part, e in measured.items():
        console.print(f"{part:<10} {percent(e.accuracy, e.interval)} of {e.count:,} {e.counted}", markup=False)
    if job.run.progress.ending:
        console.print(f"ended      {job.run.progress.ending}", markup=False)
    budget = f" of {duration(job.budget.seconds)}" if job.budget else ""
    console.print(f"time       {duration(seconds)}{budget}, {peak_memory_gib():.1f} GiB at most", markup=False)
    console.print(f"model      {job.run.model_path}", markup=False)
    console.print(f"next       {to_type('striate', 'predict', path)} PICTURE…", markup=False)
    console.print(f"           {to_type('striate', 'evaluate', path)}", markup=False)
