"""The plan: every open setting chosen with a reason, what was given kept, test pictures never looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from striate.core.errors import SettingsError
from striate.core.settings import TrainSettings
from striate.data.sources import open_data
from striate.training.difficulty import neighbour_error
from striate.training.plan import make_plan
from striate.training.precision import race


@pytest.fixture(scope="module")
def digits():
    return open_data("digits", TrainSettings(), seed=0)


def test_nothing_the_loop_needs_is_left_open_and_every_choice_has_a_reason(digits) -> None:
    plan = make_plan(TrainSettings(), digits)
    chosen = ["model", "epochs", "batch_size", "lr", "weight_decay", "label_smoothing", "flip", "shift"]
    assert all(getattr(plan.settings, key) is not None for key in chosen if key != "model")
    assert all(plan.reasons[key] for key in chosen)
    assert len(plan.lines()) == 5


def test_what_is_given_is_kept_and_needs_no_reason(digits) -> None:
    given = {"epochs": 7, "batch_size": 33, "lr": 0.01, "flip": True, "shift": 0, "model": "resnet18"}
    plan = make_plan(TrainSettings.parse(given), digits)
    assert {key: getattr(plan.settings, key) for key in given} == given
    assert plan.architecture.name == "resnet18"
    assert not set(given) & set(plan.reasons)


def test_digits_are_not_mirrored(digits) -> None:
    assert make_plan(TrainSettings(), digits).settings.flip is False


def test_validation_and_test_pictures_have_no_say(digits) -> None:
    noise = torch.randint(0, 256, digits.test.images.shape, dtype=torch.uint8)
    other = replace(
        digits, test=replace(digits.test, images=noise), val=replace(digits.val, images=digits.val.images.flip(2))
    )
    assert make_plan(TrainSettings(), other) == make_plan(TrainSettings(), digits)


def test_all_contradictions_are_told_at_once(digits) -> None:
    settings = TrainSettings.parse({"hue": 0.1, "patience": 2, "shift": 8, "batch_size": 1})
    with pytest.raises(SettingsError) as caught:
        make_plan(settings, replace(digits, val=None))
    for word in ("hue", "patience", "shift", "batch_size"):
        assert word in str(caught.value)


def test_difficulty_is_the_leave_one_out_error_of_the_nearest_neighbour(digits) -> None:
    train = digits.train
    points = train.images.flatten(1).numpy().astype(np.float64)
    labels = train.labels.numpy()
    # the second of two neighbours, the first being the picture itself
    model = KNeighborsClassifier(2, algorithm="brute").fit(points, labels)
    neighbours = model.kneighbors(points, return_distance=False)
    second = np.where(neighbours[:, 0] == np.arange(len(points)), neighbours[:, 1], neighbours[:, 0])
    whole = np.mean(labels[second] != labels)
    assert neighbour_error(train) == pytest.approx(whole, abs=0.01)


def test_the_race_leaves_the_network_alone_and_chooses_by_its_times(make_job) -> None:
    job = make_job()
    before = {key: value.clone() for key, value in job.model.state_dict().items()}
    result = race(job.model, torch.randn(8, 1, 8, 8), torch.arange(8))
    assert all(torch.equal(before[key], value) for key, value in job.model.state_dict().items())
    assert all(p.grad is None for p in job.model.parameters())
    faster = result["fp32_ms"] > 1.1 * result["bf16_ms"]
    assert result["chosen"] == ("bf16" if faster else "fp32")
