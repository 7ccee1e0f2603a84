"""The report that every training leaves: quick chapters, within a tenth of its time or some seconds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from striate.core import clock
from striate.core.errors import StriateError
from striate.training.job import Job

if TYPE_CHECKING:
    from striate.explain.subject import Subject

SHARE, SECONDS, LEAST = 0.1, 10.0, 3.0  # of the training time; seconds at most of a short run, and of any at least
OVERTIME = 0.05  # of a time budget, which is to be kept within a tenth
FEW = 1000  # training pictures to look at where no others were measured


def time_for(training: float) -> float:
    """Return the seconds that a report may take after so many of training: a tenth, or 10 where that is less.

    A run of a few seconds does not become one of 10 by its report: it has half its time, 3 seconds at least.
    """
    return max(SHARE * training, min(SECONDS, max(LEAST, training / 2)))


def report_on(job: Job) -> Path | None:
    """Write report.html into the folder of a finished run and return its path; whatever fails is a note of the run.

    The run is finished and stays so. A chapter for which there is no time, or that cannot be made, is named in the
    report with the command that makes it.

    Args:
        job: Trained and measured.
    """
    from striate.explain.report import mistake

    try:
        return _write(job, clock.now() + _seconds(job))
    except StriateError as error:
        failure = error
    except Exception as error:
        failure = mistake.told("report", error)
    job.run.notes.append(f"no report: {failure}")
    return None


def _seconds(job: Job) -> float:
    """Return the seconds that a report may take; where there is a time budget, what is left of it, or a twentieth."""
    seconds = time_for(clock.now() - job.run.spent.started)
    if job.budget is None:
        return seconds
    return min(seconds, max(job.budget.seconds - job.budget.used(), OVERTIME * job.budget.seconds))


def _write(job: Job, until: float) -> Path:
    from striate.explain.chapters import chosen_names
    from striate.explain.report.making import Made, make_within
    from striate.explain.report.page import NAME, Page, write_page

    page = Page(subject_of(job))
    for name, made in make_within(page.subject, chosen_names(None), until):
        if isinstance(made, Made):
            page.sections[name] = made.section
        else:
            page.refused[name] = made
    job.run.notes.extend(f"report without {name}: {error}" for name, error in page.refused.items())
    path = job.run.path / NAME
    write_page(page, path, job.run.path)
    return path


def subject_of(job: Job) -> Subject:
    """Return the subject of a finished job: the network as its file has it, on the part that tells most."""
    from striate.core.device import choose_device
    from striate.evaluation import evaluate
    from striate.explain.subject import Subject
    from striate.runs.model_file import load_model

    run, parts = job.run, job.data.parts()
    loaded = load_model(run.path, choose_device(job.settings.device))
    part = next((name for name in ("test", "val") if name in job.measured), None)
    if part is not None:
        return Subject(loaded.model, loaded.card, parts[part], job.measured[part], job.data.train, run, parts=parts)
    pictures = job.data.train.spread(FEW)
    calibration, detector = loaded.card.calibration, loaded.detector
    result = evaluate(loaded.model, pictures, run.spec, "train", calibration=calibration, detector=detector)
    return Subject(loaded.model, loaded.card, pictures, result, job.data.train, run, parts=parts)
