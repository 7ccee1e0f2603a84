"""time.json: what a run took, by a clock that steps move on; a run that went on counts what led to its result."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from striate.core import clock
from striate.runs.spent import read_seconds
from striate.training.job import Job, resume
from striate.training.state import TrainingState

from .test_resume import run_to_the_end, stop_after


@dataclass
class Clock:
    """Seconds that pass in training steps alone, a quarter each, unless a test lets more pass."""

    seconds: float = 1000.0


@pytest.fixture
def time(monkeypatch) -> Clock:
    made, after_step = Clock(), TrainingState.after_step
    monkeypatch.setattr(clock, "now", lambda: made.seconds)

    def quarter_of_a_second(self: TrainingState, *arguments: object) -> None:
        after_step(self, *arguments)
        made.seconds += 0.25

    monkeypatch.setattr(TrainingState, "after_step", quarter_of_a_second)
    return made


def test_the_time_counts_from_the_start_of_the_command(make_job, time: Clock) -> None:
    made = make_job(epochs=2)
    time.seconds += 3  # reading, say
    job = Job(made.data, made.model, made.run, started=time.seconds - 3 - 2)
    _, metrics = run_to_the_end(job)
    assert job.run.seconds == 2 + 3 + metrics[-1]["step"] / 4
    assert sum(line["seconds"] for line in metrics) == metrics[-1]["step"] / 4, "the epochs alone take less"


def test_a_run_that_went_on_counts_what_both_processes_took_and_not_the_pause(make_job, time: Clock) -> None:
    job = make_job("stopped", epochs=2, checkpoint_every=1e6)
    stop_after(job, 5)
    assert job.run.seconds is None, "it is not finished"
    time.seconds += 1000
    started = time.seconds
    time.seconds += 7
    again = resume(job.run.path, {}, started)
    _, metrics = run_to_the_end(again)
    assert again.run.seconds == 7 + metrics[-1]["step"] / 4


def test_what_a_kill_made_to_be_done_again_counts_once(make_job, time: Clock) -> None:
    job = make_job("killed", epochs=2, checkpoint_every=1e6)
    for _ in zip(range(1), job.epochs(), strict=False):
        pass
    job.run.release()  # and no checkpoint was written
    again = resume(job.run.path, {})
    _, metrics = run_to_the_end(again)
    assert again.run.seconds == metrics[-1]["step"] / 4


@pytest.mark.parametrize("content", [None, "", "{ half", "[]", "{}", '{"seconds": "long"}'])
def test_a_folder_that_does_not_say_is_told_from_one_that_does(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "time.json").write_text(content)
    assert read_seconds(tmp_path) is None
    (tmp_path / "time.json").write_text(json.dumps({"seconds": 2}))
    assert read_seconds(tmp_path) == 2.0
