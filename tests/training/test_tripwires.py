"""The mistakes of the documents, made on purpose: each is caught, and the message says what to do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import striate
from striate.core.errors import DataError, SettingsError
from striate.data.dataset import ImageDataset
from striate.data.loader import Batch
from striate.deploy.measure import measure
from striate.models import MODELS
from striate.models.fast import FastNet
from striate.training.tripwires import can_overfit, explain_no_progress, loss_of_guessing, refuse_probabilities


def test_the_loss_after_two_softmaxes_cannot_fall_below_1_46() -> None:
    """What makes probabilities in the place of logits a mistake: document 003's loss has this floor."""
    certain = torch.eye(10)
    floor = F.cross_entropy(certain, torch.arange(10))
    assert float(floor) == pytest.approx(math.log(1 + 9 / math.e), abs=1e-6) == pytest.approx(1.46, abs=2e-3)


def test_probabilities_are_refused_and_logits_are_not() -> None:
    logits = torch.randn(16, 10)
    for good in (logits, logits.abs(), logits.log_softmax(1), torch.zeros(4, 3), torch.ones(4, 1)):
        refuse_probabilities(good)
    with pytest.raises(SettingsError, match="probabilities already") as caught:
        refuse_probabilities(logits.softmax(1))
    assert "softmax" in str(caught.value.fix)
    refuse_probabilities(logits, multi_label=True)
    with pytest.raises(SettingsError, match="probabilities already"):
        refuse_probabilities(logits.sigmoid(), multi_label=True)


def test_a_network_that_ends_in_a_softmax_is_not_trained(make_job, monkeypatch) -> None:
    class Twice(FastNet):
        def head(self, features: torch.Tensor) -> torch.Tensor:
            return super().head(features).softmax(1)

    monkeypatch.setitem(MODELS._entries, "twice", Twice)
    with pytest.raises(SettingsError, match="probabilities already"):
        list(make_job(model="twice").epochs())


def test_labels_out_of_range_are_named() -> None:
    with pytest.raises(DataError, match=r"label 3 is outside 0 … 2") as caught:
        ImageDataset(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, 3]), ("a", "b", "c"), ["x", "y"])
    assert caught.value.where == "y"


def test_the_loss_of_guessing_is_the_entropy_of_the_classes() -> None:
    labels = torch.tensor([0] * 6 + [1] * 3 + [2])
    data = ImageDataset(torch.zeros(10, 1, 2, 2, dtype=torch.uint8), labels, ("a", "b", "c"), [""] * 10)
    shares = np.array([0.6, 0.3, 0.1])
    assert loss_of_guessing(data) == pytest.approx(float(-(shares * np.log(shares)).sum()))
    several = ImageDataset(data.images, torch.eye(3, dtype=torch.bool)[labels], data.classes, data.names)
    entropies = -shares * np.log(shares) - (1 - shares) * np.log(1 - shares)
    assert loss_of_guessing(several) == pytest.approx(float(entropies.mean()))


def test_a_network_learns_a_few_pictures_by_heart_and_one_cut_in_two_does_not(make_job) -> None:
    images, labels = torch.randn(32, 1, 8, 8), torch.arange(32) % 10
    batch = Batch(images, labels, labels, torch.arange(32))
    network = make_job(model="mnist-cnn").model
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert can_overfit(network, batch)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items()), "a copy was tried"

    class CutInTwo(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = network

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.whole(torch.zeros_like(images))

    assert not can_overfit(CutInTwo(), batch)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"lr": 1e-9}, "another --lr"), ({"lr": 0.05}, None)],
    ids=["a rate far too small", "a good rate"],
)
def test_a_run_that_learns_nothing_says_so_after_three_epochs(make_job, settings, told) -> None:
    job = make_job(model="mnist-cnn", epochs=4, **settings)
    list(job.epochs())
    notes = [note for note in job.run.notes if "guessing" in note]
    assert (told in notes[0] and "by heart" in notes[0]) if told else not notes


def test_no_progress_of_a_broken_network_points_to_the_network(make_job) -> None:
    from striate.data.loader import Loader

    job = make_job()
    loader = Loader(job.data.train, job.run.spec, job.settings, 12, 0, torch.device("cpu"))
    job.model.features = lambda images: torch.zeros(len(images), 64, 1, 1)  # type: ignore[method-assign]
    (note,) = explain_no_progress(job.model, loader, job.data.train, train_loss=9.9)
    assert "another --model" in note


def test_measuring_on_training_pictures_is_told(make_job, picture_folder, tmp_path) -> None:
    folder = picture_folder(cats=20, dogs=20)
    run = striate.train(folder, out=tmp_path / "runs", epochs=1, precision="fp32", device="cpu")
    assert not measure(run.path, device="cpu").notes, "its own test part is none of them"
    (note,) = measure(run.path, part="train", device="cpu").notes
    assert "32 of 32" in note
    whole = [note for note in measure(run.path, str(folder), device="cpu").notes if "trained on" in note]
    assert "32 of 40" in whole[0]


def test_test_pictures_that_are_training_pictures_are_told_before_training(picture_folder, tmp_path) -> None:
    from striate.core.settings import TrainSettings
    from striate.training.job import prepare

    folder = picture_folder(cats=10, dogs=10)
    for part in ("train", "test"):
        (folder / part).mkdir()
    for name in ("cats", "dogs"):
        (folder / name).rename(folder / "train" / name)
        (folder / "test" / name).mkdir()
        (folder / "test" / name / "copy.png").write_bytes((folder / "train" / name / "001.png").read_bytes())
    settings = TrainSettings.parse({"epochs": 1, "val_share": 0.0, "device": "cpu"})
    job = prepare(str(folder), settings, given=frozenset(), out=tmp_path / "runs", name=None)
    assert any("2 of 2 test pictures are training pictures" in note for note in job.run.notes)


def test_a_predictor_left_in_training_mode_says_so(make_job) -> None:
    job = make_job(epochs=1)
    list(job.epochs())
    job.finish()
    predictor = striate.load(job.run.path, device="cpu")
    predictor.model.train()
    with pytest.raises(SettingsError, match="training mode") as caught:
        predictor.predict(np.zeros((8, 8), np.uint8))
    assert caught.value.fix == "predictor.model.eval()"
    predictor.model.eval()
    predictor.predict(np.zeros((8, 8), np.uint8))


def test_measuring_never_leaves_the_network_in_evaluation_mode_nor_measures_in_training_mode(make_job) -> None:
    from striate.evaluation import evaluate

    job = make_job(model="mnist-cnn")
    job.model.train()
    first, second = (evaluate(job.model, job.data.test, job.run.spec).probabilities for _ in range(2))
    assert torch.equal(first, second), "dropout is off"
    assert job.model.training


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (np.random.default_rng(0).random((8, 8)).astype(np.float32), "multiply by 255"),
        (np.random.default_rng(0).normal(size=(8, 8)), "undo any normalisation"),
        (np.random.default_rng(0).integers(0, 2, (8, 8)).astype(np.uint8), "multiply by 255"),
    ],
    ids=["0 … 1", "normalised", "cut off"],
)
def test_pixels_of_a_wrong_range_are_refused_with_the_remedy(make_job, picture, told: str) -> None:
    job = make_job(epochs=1)
    list(job.epochs())
    job.finish()
    with pytest.raises(DataError) as caught:
        striate.load(job.run.path, device="cpu").predict(picture)
    assert told in str(caught.value.fix)
