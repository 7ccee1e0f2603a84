"""The plan: every open setting chosen with a reason, what was given kept, test pictures never looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from striate.core.errors import SettingsError
from striate.core.settings import TrainSettings
from striate.data.loader import Batch
from striate.data.sources import open_data
from striate.models import build
from striate.training.difficulty import neighbour_error
from striate.training.job import prepare
from striate.training.plan import make_plan
from striate.training.precision import race


@pytest.fixture(scope="module")
def digits():
    return open_data("digits", TrainSettings(), seed=0)


def test_nothing_the_loop_needs_is_left_open_and_every_choice_has_a_reason(digits) -> None:
    plan = make_plan(TrainSettings(), digits)
    chosen = ["model", "epochs", "batch_size", "lr", "weight_decay", "label_smoothing", "flip", "shift"]
    chosen += ["optimizer", "schedule", "width", "alternate_flip", "views", "small_until"]
    assert all(getattr(plan.settings, key) is not None for key in chosen if key != "model")
    assert all(plan.reasons[key] for key in chosen)
    assert len(plan.lines()) == 5


def test_what_is_given_is_kept_and_needs_no_reason(digits) -> None:
    given = {"epochs": 7, "batch_size": 33, "lr": 0.01, "flip": True, "shift": 0, "model": "resnet18"}
    plan = make_plan(TrainSettings.parse(given), digits)
    assert {key: getattr(plan.settings, key) for key in given} == given
    assert plan.architecture.name == "resnet18"
    assert not set(given) & set(plan.reasons)


def test_muons_rate_goes_with_the_fourth_root_of_the_steps(digits) -> None:
    few, many = (make_plan(TrainSettings(epochs=epochs), digits).settings.lr for epochs in (1, 16))
    assert few == pytest.approx(2 * many, rel=0.01)
    assert make_plan(TrainSettings(epochs=1, lr=0.5), digits).settings.lr == 0.5


def test_muon_leaves_no_rate_open_and_options_of_the_network_reach_it(digits) -> None:
    options = {"stem": "whitened", "depth": 2, "activation": "gelu", "identity": True, "logit_scale": 0.2}
    plan = make_plan(TrainSettings.parse({"optimizer": "muon", **options}), digits)
    assert plan.settings.lr
    assert plan.reasons["lr"]
    assert {key: plan.architecture.options[key] for key in options} == options
    with pytest.raises(SettingsError, match="no option depth"):
        build(make_plan(TrainSettings.parse({"model": "lenet5", "depth": 2}), digits).architecture, plan.spec)


def test_mirroring_by_turns_is_told_and_wants_mirroring(digits) -> None:
    with pytest.raises(SettingsError, match="alternate_flip needs flip"):
        make_plan(TrainSettings(alternate_flip=True), digits)
    plan = make_plan(TrainSettings(alternate_flip=True, flip=True, views=6), digits)
    assert any("flip by turns" in line for line in plan.lines())
    assert any("6 views" in line for line in plan.lines())


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
    result = race(job.model, Batch(torch.randn(8, 1, 8, 8), torch.arange(8), torch.arange(8), torch.arange(8)))
    assert all(torch.equal(before[key], value) for key, value in job.model.state_dict().items())
    assert all(p.grad is None for p in job.model.parameters())
    faster = result["fp32_ms"] > 1.1 * result["bf16_ms"]
    assert result["chosen"] == ("bf16" if faster else "fp32")


def test_the_network_is_built_for_the_crop_and_the_shift_is_left_out(digits) -> None:
    big = open_data("digits", TrainSettings(img_size=40), seed=0)
    plan = make_plan(TrainSettings(crop=24, epochs=1), big)
    assert plan.spec.picture_shape == (1, 40, 40)
    assert plan.spec.input_shape == (1, 24, 24)
    assert plan.settings.shift == 0
    assert "crop" in plan.reasons["shift"]
    assert "40×40" in plan.lines()[0]
    assert "crop 24×24" in plan.lines()[0]
    seen = make_plan(TrainSettings(epochs=1), open_data("digits", TrainSettings(img_size=24), seed=0))
    assert plan.architecture == seen.architecture
    assert make_plan(TrainSettings(crop=24, shift=3, epochs=1), big).settings.shift == 3
    assert "crop" not in make_plan(TrainSettings(epochs=1), digits).lines()[0]


def test_a_crop_larger_than_the_pictures_is_told_with_all_else_and_the_remedy(digits) -> None:
    with pytest.raises(SettingsError) as caught:
        make_plan(TrainSettings(crop=9, hue=0.1, epochs=1), digits)
    assert "--crop 8 or less" in str(caught.value)
    assert "--img-size 9 or more" in str(caught.value)
    assert "hue" in str(caught.value)
    with pytest.raises(SettingsError, match="crop"):
        TrainSettings.parse({"crop": 7})


def test_a_crop_too_small_for_the_network_is_refused_with_the_remedy(digits, tmp_path) -> None:
    settings = TrainSettings(model="fashion-cnn", img_size=28, crop=12, epochs=1, device="cpu")
    with pytest.raises(SettingsError, match="these have 12") as caught:
        prepare("digits", settings, given=frozenset(), out=tmp_path, name=None)
    assert "--crop" in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("normalize", "told"), [("data", False), ("picture", True), ("none", True)])
def test_the_spec_says_how_pictures_are_normalised(digits, normalize, told) -> None:
    plan = make_plan(TrainSettings(normalize=normalize, epochs=1), digits)
    statistics = digits.train.mean_std()
    assert (plan.spec.mean, plan.spec.std) == (((0.0,), (1.0,)) if normalize == "none" else statistics)
    assert plan.spec.whiten == (normalize == "picture")
    assert (f"normalize {normalize}" in plan.lines()[0]) == told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"model": "resnet18", "width": 2}, "width is for model fast alone"),
        ({"optimizer": "sgd", "sgd_lr": 3}, "sgd_lr is for optimizer muon alone"),
        ({"optimizer": "adam", "renormalize": False}, "renormalize is for optimizer muon alone"),
        ({"optimizer": "adamw", "momentum": 0.5}, "momentum is for optimizer sgd or muon alone"),
        ({"schedule": "constant", "warmup": 0.5}, "warmup is for schedule one-cycle alone"),
    ],
)
def test_what_nothing_reads_is_refused_by_name(digits, given: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        make_plan(TrainSettings.parse(given), digits)


@pytest.mark.parametrize("key", ["small", "dropout"])
def test_an_option_of_other_networks_says_why_it_is_this_one(digits, key: str) -> None:
    value: dict[str, object] = {"small": True, "dropout": 0.3}
    with pytest.raises(SettingsError, match=f"'fast', which is trained where no --model is named, has no option {key}"):
        make_plan(TrainSettings.parse({key: value[key]}), digits)
    with pytest.raises(SettingsError, match="vgg11") as caught:
        make_plan(TrainSettings.parse({key: value[key]}), digits)
    assert "fast" not in str(caught.value.fix)
    assert make_plan(TrainSettings.parse({key: value[key], "model": "vgg11"}), digits).architecture.options[key]
