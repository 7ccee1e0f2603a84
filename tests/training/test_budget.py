"""A run of a given time, by a clock that moves with the work: what is fitted, kept, refused, recorded and resumed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import striate
from striate.cli.main import main
from striate.core import clock
from striate.core.errors import Interrupted, SettingsError
from striate.core.settings import TrainSettings, override
from striate.data.sources import open_data
from striate.explain.curves import read_curves
from striate.runs.costs import Costs
from striate.runs.ending import read_ending
from striate.training import design, loop, probe
from striate.training import job as jobs
from striate.training.budget import LEAST_STEPS, TimeBudget
from striate.training.job import Job, prepare, resume
from striate.training.plan import make_plan, wider_plan
from striate.training.schedule import Schedule
from striate.training.state import TrainingState

from .test_resume import EVERYTHING, StoppingRun, run_to_the_end, without_times


@dataclass
class Machine:
    """A clock that training steps and measured pictures move on, by times that are exact in binary."""

    seconds: float = 1000.0
    step: Callable[[int], float] = lambda step: 1 / 8
    picture: float = 2**-14


@pytest.fixture
def machine(monkeypatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(clock, "now", lambda: made.seconds)
    after_step, evaluate = TrainingState.after_step, loop.evaluate

    def slow_step(self: TrainingState, *arguments: Any) -> None:
        after_step(self, *arguments)
        made.seconds += made.step(self.step)

    def slow_evaluate(model: Any, data: Any, *arguments: Any, **options: Any) -> Any:
        made.seconds += made.picture * len(data)
        return evaluate(model, data, *arguments, **options)

    monkeypatch.setattr(TrainingState, "after_step", slow_step)
    for place in (loop, probe, jobs):
        monkeypatch.setattr(place, "evaluate", slow_evaluate)
    return made


def timed_job(tmp_path: Path, out: str = "runs", **settings: Any) -> Job:
    values = {"first": 120, "batch_size": 12, "precision": "fp32", "device": "cpu", "time_budget": 6, **settings}
    return prepare("digits", TrainSettings.parse(values), given=frozenset(values), out=tmp_path / out, name=None)


def stop_after(job: Job, steps: int) -> None:
    job.run.release()
    job.run = StoppingRun(job.run.path, job.run.config)
    job.run.stop_after = steps
    with pytest.raises(Interrupted):
        list(job.epochs())


# the arithmetic


@given(st.floats(0.4, 2.5), st.floats(0.4, 2.5), st.floats(0, 0.7), st.booleans(), st.sampled_from((1.0, 0.5)))
def test_the_time_is_kept_whatever_the_machines_speed_becomes(
    first: float, later: float, change: float, val: bool, small: float
) -> None:
    budget_seconds, now = 100.0, 3.0
    costs = Costs(
        step=0.25, small_step=0.25 * small, small_until=0.5, validation=0.5 * val, finish=4.0, epoch_steps=30, steps=1
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: now)
        budget = TimeBudget(budget_seconds, costs, started=0.0)
        schedule, step = Schedule(budget.begin()), 0
        while step < schedule.steps:
            slower = first if now < change * budget_seconds else later
            now += slower * costs.step * (small if schedule.progress(step + 0.5) < 0.5 else 1.0)
            step += 1
            if budget.is_due() and step < schedule.steps:
                schedule.revise(step, budget.look(step, schedule.progress(step)))
            if step % costs.epoch_steps == 0 or step == schedule.steps:
                with budget.aside():
                    now += slower * costs.validation
        assert 0.9 * budget_seconds < now + later * costs.finish < 1.1 * budget_seconds
        assert schedule.progress(step) == 1


def test_steps_validations_the_end_and_what_is_used_already_fill_the_time(machine: Machine) -> None:
    costs = Costs(step=0.5, validation=1.0, finish=7.0, epoch_steps=10, validate_every=2)
    machine.seconds = 12.0
    # of 97 s are left 97 − 12 − 7 − 1 = 77, and a step costs 0.5 + 1 / 20
    assert TimeBudget(100.0, costs, started=0.0).begin() == math.floor(77 / 0.55)
    machine.seconds = 99.0
    assert TimeBudget(100.0, costs, started=0.0).begin() == 1, "the schedule is always brought to its end"


def test_a_process_that_goes_on_has_used_what_was_used_and_its_own_start(machine: Machine) -> None:
    costs = Costs(step=1.0, validation=0.0, finish=0.0, epoch_steps=10)
    first = TimeBudget(100.0, costs)
    first.begin()
    machine.seconds += 10
    state = json.loads(json.dumps(first.state()))
    started = machine.seconds = 5000.0  # another process, another clock
    machine.seconds += 8
    again = TimeBudget(100.0, costs, started)
    again.load(state)
    assert again.used() == 10 + 8
    machine.seconds += 10
    assert again.look(20, 0.2) == 20 + (97 - 28)
    assert again.pace == 1.0, "starting is no part of the time of steps"


# whole runs


def test_a_run_keeps_its_time_and_ends_at_a_rate_of_zero(tmp_path: Path, machine: Machine) -> None:
    machine.step = lambda step: 1 / 8 if step < 15 else 3 / 16
    begin = machine.seconds
    job = timed_job(tmp_path, time_budget=8)
    assert "8.0 s in all, about" in job.plan.lines()[2]
    assert job.settings.epochs is None
    assert re.search(r"steps of 125\.0 ms fit into 8\.0 s", job.plan.reasons["epochs"])
    results = list(job.epochs())
    job.finish()
    assert 0.9 * 8 < machine.seconds - begin + probe.WRITE_LEAST < 1.1 * 8
    ending = read_ending(job.run.path)
    assert (ending.ended, ending.time_budget) == ("time", 8)
    assert (ending.epochs, ending.steps) == (results[-1].epoch, results[-1].step)
    assert ending.steps == ending.pieces[-1].steps > LEAST_STEPS
    assert len(ending.pieces) > 1, "the machine became slower"
    assert ending.pieces[0].step == 0
    assert results[-1].lr < 0.05 * job.settings.lr
    assert read_curves([job.run.path])[0].epochs == ending.epochs
    assert all(result.val_accuracy is not None for result in results)


@pytest.mark.parametrize("options", [{}, {**EVERYTHING, "patience": 50, "target_accuracy": 1.0}])
def test_stopped_anywhere_a_timed_run_goes_on_to_the_same_file(tmp_path: Path, machine: Machine, options) -> None:
    machine.step = lambda step: 1 / 8 if step < 12 else 3 / 16
    straight = timed_job(tmp_path, "straight", time_budget=5, **options)
    wanted, metrics = run_to_the_end(straight)
    total = metrics[-1]["step"]
    stops = [10, total] if not options else [13]  # the end of an epoch, of a part of one, amid one
    for steps in stops:
        job = timed_job(tmp_path, f"stop-{steps}", time_budget=5, **options)
        stop_after(job, steps)
        again = resume(job.run.path, {})
        file, lines = run_to_the_end(again)
        assert without_times(lines) == without_times(metrics), f"stopped after step {steps}"
        assert read_ending(again.run.path).pieces == read_ending(straight.run.path).pieces
        assert file == wanted


def test_what_a_stop_costs_is_used_up_and_the_rest_is_fitted_to_what_is_left(tmp_path: Path, machine: Machine) -> None:
    straight = timed_job(tmp_path, "straight")
    steps = run_to_the_end(straight)[1][-1]["step"]
    job = timed_job(tmp_path, "stopped")
    stop_after(job, 15)
    machine.seconds += 1000  # nobody waits for a run that is not there
    started = machine.seconds
    machine.seconds += 1
    again = resume(job.run.path, {}, started)
    fewer = run_to_the_end(again)[1][-1]["step"]
    assert steps - fewer == pytest.approx(1 / machine.step(0), abs=2)
    assert 0.9 * 6 < again.budget.used() + probe.WRITE_LEAST < 1.1 * 6
    assert read_ending(again.run.path).ended == "time"


def test_validations_that_cost_much_become_fewer_unless_they_decide(tmp_path: Path, machine: Machine) -> None:
    machine.picture = 2**-9  # 143 of them take a fifth of the time of ten steps
    job = timed_job(tmp_path, time_budget=7)
    every = job.plan.costs.validate_every
    assert every == math.ceil((143 / 512) / (10 / 8) / probe.VALIDATION_SHARE)
    assert f"validated every {every}" in job.plan.lines()[2]
    assert job.plan.reasons["validations"]
    for result in job.epochs():
        assert (result.val_loss is not None) == (result.epoch % every == 0)
    job.run.release()
    assert timed_job(tmp_path, time_budget=7, patience=3).plan.costs.validate_every == 1
    assert timed_job(tmp_path, time_budget=7, target_accuracy=1).plan.costs.validate_every == 1


def test_a_time_too_short_is_refused_with_one_that_would_do(tmp_path: Path, machine: Machine) -> None:
    with pytest.raises(SettingsError, match=r"2\.0 s are too short here") as caught:
        timed_job(tmp_path, time_budget="2s")
    assert not (tmp_path / "runs").exists()
    least = re.search(r"--time-budget (\d+s)", str(caught.value)).group(1)
    job = timed_job(tmp_path, time_budget=least)
    assert job.plan.costs.steps >= LEAST_STEPS
    assert run_to_the_end(job)[1][-1]["step"] >= LEAST_STEPS


def test_much_time_makes_the_network_wider(tmp_path: Path, machine: Machine) -> None:
    machine.step = lambda step: 1 / 64
    job = timed_job(tmp_path, time_budget=600)
    usual = make_plan(TrainSettings(time_budget=600), job.data).architecture.options["widths"]
    assert job.plan.architecture.options["widths"] == [design.WIDER[-1][1] * width for width in usual]
    assert job.settings.width == design.WIDER[-1][1]
    assert "steps at the usual one" in job.plan.reasons["width"]
    assert timed_job(tmp_path, time_budget=3).plan.architecture.options["widths"] == usual


def test_widths_follow_the_table_where_they_were_not_given() -> None:
    digits = open_data("digits", TrainSettings(), seed=0)
    usual = make_plan(TrainSettings(time_budget=60), digits)
    for least, multiple in design.WIDER:
        wider = wider_plan(usual, least)
        widths = zip(wider.architecture.options["widths"], usual.architecture.options["widths"], strict=True)
        assert all(width % design.UNIT == 0 and width == multiple * before for width, before in widths)
    assert wider_plan(usual, design.WIDER[1][0] - 1) is usual
    narrow = make_plan(TrainSettings(time_budget=60, width=1.0), digits)
    assert wider_plan(narrow, 10**6) is narrow
    other = make_plan(TrainSettings(time_budget=60, model="mnist-cnn"), digits)
    assert wider_plan(other, 10**6) is other


def test_contradictions_are_told_by_name(tmp_path: Path) -> None:
    digits = open_data("digits", TrainSettings(), seed=0)
    settings = TrainSettings(epochs=3, time_budget=60, target_accuracy=0.9)
    with pytest.raises(SettingsError) as caught:
        make_plan(settings, replace(digits, val=None))
    assert "leave out --epochs, or --time-budget" in str(caught.value)
    assert "target_accuracy needs a validation part" in str(caught.value)
    assert main(["train", "digits", "--epochs", "3", "--time-budget", "1m", "--out", str(tmp_path)]) == 2
    assert not list(tmp_path.iterdir())


def test_a_time_given_takes_the_place_of_a_recipes_epochs_only() -> None:
    recipe = {"epochs": 20, "optimizer": "adam", "batch_size": 64}
    assert override(recipe, {"time_budget": "2m", "batch_size": 8}) == {
        "time_budget": "2m", "optimizer": "adam", "batch_size": 8,
    }  # fmt: skip
    assert override(recipe, {"time_budget": None}) == {**recipe, "time_budget": None}
    both = TrainSettings.parse(override(recipe, {"time_budget": 60, "epochs": 3}))
    with pytest.raises(SettingsError, match="leave out --epochs"):  # who gives both is asked
        make_plan(both, open_data("digits", TrainSettings(), seed=0))


# the target


def test_training_stops_in_the_epoch_that_reaches_the_target_with_the_weights_measured(make_job) -> None:
    options = {"epochs": 6, "ema": 0.8, "patience": 6, "label_smoothing": 0.0}
    accuracies = [result.val_accuracy for result in make_job("plain", **options).epochs()]
    target = sorted(accuracies)[3]
    first = next(epoch for epoch, accuracy in enumerate(accuracies, 1) if accuracy >= target)
    job = make_job("target", **options, target_accuracy=target)
    results = list(job.epochs())
    assert [result.val_accuracy for result in results] == accuracies[:first]
    assert len(results) == first < 6
    assert f"target {target:g} reached in epoch {first}" in job.run.progress.ending
    ending = read_ending(job.run.path)
    assert (ending.ended, ending.target_reached, ending.epochs) == ("target", True, first)
    job.run.release()
    again = resume(job.run.path, {})  # stopped before it was measured
    assert list(again.epochs()) == []
    assert again.finish()["val"].accuracy == results[-1].val_accuracy
    assert (again.run.progress.ending, read_ending(job.run.path)) == (job.run.progress.ending, ending)


def test_a_target_that_is_not_reached_is_told_plainly(tmp_path: Path, capsys) -> None:
    options = ["--first", "120", "--epochs", "2", "--device", "cpu", "--out", str(tmp_path), "--target-accuracy", "1"]
    assert main(["train", "digits", *options, "--name", "a"]) == 0
    told = re.search(r"^ended +(.*)$", capsys.readouterr().out, re.MULTILINE).group(1)
    best = max(line["val_accuracy"] for line in striate.Run.open(tmp_path / "a").metrics())
    assert "target 1 not reached" in told
    assert f"{best:.4f} at most" in told
    assert main(["train", "digits", *options, "--name", "b", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["ended"] == told
    assert main(["inspect", str(tmp_path / "a")]) == 0
    assert "2 epochs, 16 steps; target 1 not reached" in capsys.readouterr().out


def test_time_or_target_whichever_is_first(tmp_path: Path, machine: Machine, capsys) -> None:
    reached = timed_job(tmp_path, "a", time_budget=60, target_accuracy=0.2)
    list(reached.epochs())
    assert read_ending(reached.run.path).ended == "target"
    assert machine.seconds - 1000 < 30
    options = ["--first", "120", "-b", "12", "--precision", "fp32", "--device", "cpu", "--out", str(tmp_path)]
    arguments = ["train", "digits", *options, "--time-budget", "4s", "--target-accuracy", "1.0", "--name", "b"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert "schedule   4.0 s in all, about" in err
    assert "the time is used; target 1 not reached" in out
    assert re.search(r"^time +\d\.\d s of 4\.0 s,", out, re.MULTILINE)
    assert main(["train", "--resume", str(tmp_path / "b"), "--time-budget", "5s"]) == 2


def test_a_timed_runs_own_config_is_a_config_file(tmp_path: Path, machine: Machine) -> None:
    job = timed_job(tmp_path, time_budget=4)
    job.run.release()
    arguments = ["-c", str(job.run.path / "config.json"), "--out", str(tmp_path), "--name", "again", "--quiet"]
    assert main(["train", "digits", *arguments]) == 0
    assert striate.Run.open(tmp_path / "again").config.settings == job.settings
