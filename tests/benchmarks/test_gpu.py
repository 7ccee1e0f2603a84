"""The GPU's contests, as far as they go without one: what is left out, the pictures airbench is given, the ratios."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks import contest, gpu
from benchmarks.gpu import CONTESTS, Outcome, ratios, write_pictures
from benchmarks.peers import in_airbench
from striate.core.settings import TrainSettings
from striate.data.dataset import ImageDataset, Splits
from striate.models import build
from striate.training.plan import make_plan

PRINTED = """\
------------------------------------------------------------------------------------------------------
|  run     |  epoch  |  train_loss  |  train_acc  |  val_acc  |  tta_val_acc  |  total_time_seconds  |
------------------------------------------------------------------------------------------------------
|       0  |      0  |      1.2969  |     0.7389  |   0.7200  |               |              0.8115  |
|          |      1  |      1.0149  |     0.8980  |   0.8880  |               |              1.5945  |
|          |   eval  |      1.0149  |     0.8980  |   0.8880  |       0.9012  |              1.7044  |
------------------------------------------------------------------------------------------------------
"""


def part(count: int, first: int) -> ImageDataset:
    """Return pictures class by class, each with a number of its own in its first pixel."""
    images = torch.randint(
        0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(first)
    )
    images[:, 0, 0, 0] = torch.arange(first, first + count)
    labels = torch.arange(count) * 10 // count
    return ImageDataset(images, labels, tuple(f"class {i}" for i in range(10)), [f"{i}" for i in range(count)])


@pytest.fixture
def splits() -> Splits:
    return Splits("made up", train=part(200, 0), test=part(50, 200))


@pytest.mark.parametrize("name", CONTESTS)
def test_settings_make_the_paper_s_network(name: str, splits: Splits) -> None:
    plan = make_plan(TrainSettings.parse(CONTESTS[name].settings), splits)
    network = build(plan.architecture, plan.spec)
    depth = {"cifar10-94": 2, "cifar10-96": 3}[name]
    assert sum(isinstance(module, torch.nn.Conv2d) for module in network.modules()) == 1 + 3 * depth
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert plan.settings.flip


def test_what_is_not_here_leaves_the_contests_out_by_name(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu, "find_spec", lambda package: None)
    monkeypatch.setattr(contest, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["gpu"])
    gpu.main()
    reasons = "no CUDA device, no airbench (pip install airbench), no cifar10 or cifar10-jpeg (STRIATE_DATA)"
    assert capsys.readouterr().err.splitlines() == [f"{name} is left out: {reasons}" for name in CONTESTS]
    assert not list(tmp_path.iterdir())


def test_pictures_are_taken_in_their_own_form_first(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert gpu.data_name() is None
    (tmp_path / "cifar10-jpeg").mkdir()
    assert gpu.data_name() == "cifar10-jpeg"
    batches = tmp_path / "cifar-10-batches-py"
    batches.mkdir()
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        assert gpu.data_name() == "cifar10-jpeg"
        (batches / name).touch()
    assert gpu.data_name() == "cifar10"


def test_airbench_is_given_the_same_pictures_in_random_order(tmp_path: Path, splits: Splits) -> None:
    write_pictures(splits, tmp_path)
    assert splits.test is not None
    for name, part_of_ours, first in (("train", splits.train, 0), ("test", splits.test, 200)):
        theirs = torch.load(tmp_path / "cifar10" / f"{name}.pt")  # as airbench does
        assert theirs["images"].dtype == torch.uint8
        assert theirs["classes"] == [f"class {i}" for i in range(10)]
        numbers = theirs["images"][:, 0, 0, 0].long() - first
        assert sorted(numbers.tolist()) == list(range(len(part_of_ours)))
        assert torch.equal(theirs["images"].permute(0, 3, 1, 2), part_of_ours.images[numbers])
        assert torch.equal(theirs["labels"], part_of_ours.labels[numbers])
        assert len(theirs["labels"][:20].unique()) > 5  # class by class they would be 1 and 4


def test_airbench_reads_them(tmp_path: Path, splits: Splits) -> None:
    airbench = pytest.importorskip("airbench")
    write_pictures(splits, tmp_path)
    loader = airbench.CifarLoader(str(tmp_path / "cifar10"), train=True, gpu="cpu")
    numbers = (loader.images[:, 0, 0, 0].float() * 255).round().long()
    expected = splits.train.images[numbers].half() / 255
    assert torch.equal(loader.images, expected)
    assert torch.equal(loader.labels, splits.train.labels[numbers])


def test_seconds_are_the_epochs_and_accuracy_is_the_last() -> None:
    assert in_airbench.read_table(PRINTED) == (1.5945, 0.9012)


def test_airbench_is_warmed_up_and_trained_once(tmp_path: Path, monkeypatch, capsys) -> None:
    calls: list[tuple[object, ...]] = []

    def warm_up() -> None:
        print("|  warmup  |")
        calls.append(("warmup96", Path.cwd(), torch.initial_seed()))

    def train(**settings: object) -> None:
        print(PRINTED)
        calls.append(("train96", settings))

    monkeypatch.setitem(sys.modules, "airbench", SimpleNamespace(warmup96=warm_up, train96=train))
    monkeypatch.chdir(tmp_path)  # where the test's own folder was is gone back to afterwards
    folder = tmp_path / "pictures"
    folder.mkdir()
    monkeypatch.setattr(sys, "argv", ["in_airbench", "96", str(folder), "--seed", "7"])
    in_airbench.main()
    assert calls == [("warmup96", folder, 7), ("train96", {})]
    assert json.loads(capsys.readouterr().out) == {"training_s": 1.5945, "test_accuracy": 0.9012}
    monkeypatch.setattr(sys, "argv", ["in_airbench", "96", str(folder), "--epochs", "1"])
    in_airbench.main()
    assert calls[-1] == ("train96", {"epochs": 1})


THEIRS = [Outcome(20.0, 4.0, 0.941), Outcome(30.0, 6.0, 0.939), Outcome(90.0, 9.0, 0.940)]


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        # by hand: walls 20/10, 30/10, 90/20; trainings 4/8, 6/6, 9/3
        ((0.939, 0.940, 0.941), {"wall": 3.0, "training": 1.0}),
        ((0.950, 0.950, 0.919), {}),
    ],
)
def test_a_ratio_counts_where_our_mean_reaches_the_figure(accuracies, expected) -> None:
    times = [(10.0, 8.0), (10.0, 6.0), (20.0, 3.0)]
    ours = [Outcome(wall, training, right) for (wall, training), right in zip(times, accuracies, strict=True)]
    assert ratios(CONTESTS["cifar10-94"], THEIRS, ours) == expected


def test_contests_are_run_in_turn_and_kept(tmp_path: Path, monkeypatch, capsys, splits: Splits) -> None:
    seeds: list[tuple[str, int]] = []

    def airbench(which: gpu.Contest, folder: Path, small: dict[str, object], seed: int) -> Outcome:
        assert (folder / "cifar10" / "train.pt").is_file()
        seeds.append(("airbench", seed))
        return Outcome(12.0, 4.0, which.target + 0.001)

    def striate(which: gpu.Contest, data: str, cache: Path, small: dict[str, object], seed: int) -> Outcome:
        assert data == "cifar10"
        assert os.environ["STRIATE_CACHE"] == str(cache)
        seeds.append(("striate", seed))
        return Outcome(8.0, 5.0, 0.95)

    monkeypatch.setenv("STRIATE_CACHE", "restored afterwards")
    monkeypatch.setattr(contest, "RESULTS", tmp_path)
    for name, value in {
        "lacking": list,
        "data_name": lambda: "cifar10",
        "open_data": lambda name, settings, seed: splits,
        "version": lambda package: "0.1.8",
        "run_airbench": airbench,
        "run_striate": striate,
    }.items():
        monkeypatch.setattr(gpu, name, value)
    monkeypatch.setattr(sys, "argv", ["gpu", "--rounds", "2"])
    gpu.main()
    assert seeds == [("airbench", 0), ("striate", 0), ("airbench", 1), ("striate", 1)] * 2
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| cifar10-94 | 12.0 s, 4.0 s | 0.9410 | 8.0 s, 5.0 s | 0.9500 | 1.50, 0.80 |",
        "| cifar10-96 | 12.0 s, 4.0 s | 0.9610 | 8.0 s, 5.0 s | 0.9500, not reached | – |",
    ]
    kept = contest.kept("gpu", "full")
    assert kept["cifar10-94"]["ratios"] == {"wall": 1.5, "training": 0.8}
    assert kept["cifar10-96"]["ratios"] == {}
    assert kept["cifar10-96"]["data"] == "cifar10"
    assert [run["test_accuracy"] for run in kept["cifar10-94"]["runs"]["striate"]] == [0.95, 0.95]
