"""What a run takes is told before it begins, refused where it is not there, and close to what it then takes."""

from __future__ import annotations

import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from striate.cli.main import main
from striate.core import memory
from striate.core.errors import ResourceError
from striate.core.settings import TrainSettings
from striate.data.dataset import ImageDataset
from striate.data.sources import open_data
from striate.models import build, place
from striate.runs.estimate import Estimate
from striate.training import outlook, preflight
from striate.training.outlook import foresee
from striate.training.plan import make_plan

MIB = 2**20
Usage = namedtuple("Usage", "total used free")


def planned(**settings):
    values = {"first": 200, "epochs": 2, "batch_size": 20, "precision": "fp32", "device": "cpu", **settings}
    parsed = TrainSettings.parse(values)
    data = open_data("digits", parsed, 0)
    plan = make_plan(parsed, data)
    model = place(build(plan.architecture, plan.spec), torch.device("cpu"))
    return model, data, plan


@pytest.mark.parametrize(
    ("seconds", "size", "told"),
    [
        (None, 3 * MIB, "under a minute, 3 MiB memory, 3 MiB disk"),
        (61.0, 999 * MIB, "about 61 s, 999 MiB memory, 999 MiB disk"),
        (170.0, 1300 * MIB, "about 2.8 min, 1.3 GiB memory, 1.3 GiB disk"),
        (1800.0, 1, "about 30 min, 1 MiB memory, 1 MiB disk"),
        (9000.0, 1, "about 2.5 h, 1 MiB memory, 1 MiB disk"),
    ],
)
def test_it_is_told_in_one_line(seconds, size, told) -> None:
    assert str(Estimate(seconds=seconds, memory=size, disk=size)) == told
    assert "GPU memory" in str(Estimate(seconds=seconds, memory=size, on_gpu=True, disk=size))


def test_the_disk_is_that_of_three_checkpoints_and_what_else_is_written(make_job) -> None:
    """The bytes counted before training hold all that is there afterwards, and not much more than three copies."""
    for settings in ({}, {"optimizer": "adam", "ema": 0.9, "patience": 9, "model": "mnist-cnn"}):
        job = make_job(str(settings), checkpoint_every=0, epochs=2, **settings)
        job.complete()
        counted = job.run.config.estimate.disk
        (one, *_) = (sum(f.stat().st_size for f in folder.iterdir()) for folder in job.run.checkpoints.iterdir())
        kept = sum(file.stat().st_size for file in job.run.path.rglob("*") if file.is_file())
        assert kept + one < 1.02 * counted  # the third checkpoint is there for a moment
        assert counted < kept + 1.2 * one + preflight.OTHER_FILES


def test_longer_runs_are_timed_by_a_few_steps_that_leave_no_trace(monkeypatch, tmp_path: Path) -> None:
    model, data, plan = planned(ema=0.9)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert preflight.estimate(model, data, plan, tmp_path).seconds is None, "not worth a probe"
    monkeypatch.setitem(preflight.LONG, "cpu", 1.0)
    told = preflight.estimate(model, data, plan, tmp_path / "not" / "there")
    assert told.seconds is not None
    assert told.seconds > 0
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not (tmp_path / "not").exists()


def test_the_time_is_that_of_all_steps_validations_and_the_end(monkeypatch, tmp_path: Path) -> None:
    from striate.runs.costs import Costs

    monkeypatch.setitem(preflight.LONG, "cpu", 1.0)
    tried = []

    def probe(model, data, plan, limit) -> Costs:
        tried.append(plan.settings.batch_size)
        return Costs(step=0.5, small_step=0.25, small_until=0.5, validation=3.0, finish=7.0, epoch_steps=10)

    monkeypatch.setattr(preflight, "probe", probe)
    model, data, plan = planned(epochs=40)
    # 400 steps, half of them at half the cost
    assert preflight.estimate(model, data, plan, tmp_path).seconds == 400 * 0.375 + 40 * 3 + 7
    few = replace(plan, settings=plan.settings.with_values(epochs=5))
    # 50 steps are too few to try one of them twice: a quarter of the batch is tried
    assert preflight.estimate(model, data, few, tmp_path).seconds == 50 * 0.375 * 4 + 5 * 3 + 7
    assert tried == [20, 5]


def test_more_pictures_per_batch_and_more_copies_of_the_weights_take_more_memory(tmp_path: Path) -> None:
    def needed(**settings) -> int:
        model, data, plan = planned(**settings)
        return preflight._training_memory(model, data, plan, preflight.summarize(model, plan.spec.input_shape))

    plain = needed(img_size=64, batch_size=100)
    assert needed(img_size=64, batch_size=200) > 1.8 * plain
    weights = sum(t.numel() * t.element_size() for t in planned(model="resnet18")[0].state_dict().values())
    sgd = needed(model="resnet18", batch_size=2)
    assert needed(model="resnet18", batch_size=2, optimizer="adam") - sgd == pytest.approx(2 * weights, rel=0.01)
    assert needed(model="resnet18", batch_size=2, ema=0.9) - sgd == pytest.approx(2 * weights, rel=0.01)


def test_too_little_memory_is_told_before_training_with_what_to_reduce(monkeypatch, tmp_path: Path) -> None:
    model, data, plan = planned(img_size=64, batch_size=200)
    monkeypatch.setattr(memory, "free_memory", lambda: 2**20)
    with pytest.raises(ResourceError, match="batches of 200 pictures of 64 × 64") as caught:
        preflight.estimate(model, data, plan, tmp_path)
    assert "--batch-size" in str(caught.value)
    assert caught.value.exit_code == 6


def test_too_little_disk_is_told_and_leaves_no_run_folder(monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 2**40, 4096))
    assert main(["train", "digits", "--epochs", "1", "--device", "cpu", "--out", str(tmp_path / "runs")]) == 6
    err = capsys.readouterr().err
    assert "free some space" in err
    assert "--out" in err
    assert not (tmp_path / "runs").exists()


def test_a_time_budget_is_its_own_estimate(tmp_path: Path) -> None:
    settings = TrainSettings.parse({"time_budget": 30, "first": 200, "precision": "fp32", "device": "cpu"})
    assert foresee("digits", settings, tmp_path).estimate.seconds == 30


def test_the_memory_told_is_about_what_the_process_comes_to(tmp_path: Path) -> None:
    """Of a network whose batches need much more than the process holds already."""
    import json
    import subprocess
    import sys

    options = ["--model", "mnist-cnn", "--img-size", "48", "-b", "600", "--first", "600", "--epochs", "1"]
    options += ["--precision", "fp32", "--val-share", "0"]
    code = (
        "import sys, json; from striate.cli.main import main; from striate.core.memory import peak_memory\n"
        f"main(['train', 'digits', *{options!r}, '--device', 'cpu', '--quiet', '--out', {str(tmp_path)!r}])\n"
        "print(json.dumps(peak_memory()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    took = json.loads(done.stdout.splitlines()[-1])
    config = json.loads((tmp_path / "digits" / "config.json").read_bytes())
    told = Estimate.model_validate(config["estimate"]).memory
    assert 0.7 * took < told < 1.4 * took


def test_a_batch_that_cannot_fit_is_refused_before_a_step_of_it_is_tried(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(outlook, "RACE_FROM", 0)
    monkeypatch.setattr(outlook, "race", lambda *_: pytest.fail("the race came first"))
    monkeypatch.setattr(memory, "free_memory", lambda: 2**26)
    settings = TrainSettings.parse({"epochs": 1, "img_size": 64, "batch_size": 200, "first": 300, "device": "cpu"})
    with pytest.raises(ResourceError, match="batches of 200 pictures of 64 × 64"):
        foresee("digits", settings, tmp_path)


def test_of_much_data_a_batch_is_asked_for_before_anything_is_computed(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(outlook, "MUCH", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: 2**26)
    values = {"epochs": 1, "img_size": 64, "batch_size": 65536, "first": 300, "device": "cpu"}
    sizes = []
    original = ImageDataset.mean_std
    monkeypatch.setattr(ImageDataset, "mean_std", lambda self: [sizes.append(len(self)), original(self)][1])
    with pytest.raises(ResourceError, match="batches of 300 pictures of 64 × 64"):
        foresee("digits", TrainSettings.parse(values), tmp_path)
    assert max(sizes) == 10, "one picture of each class"
