"""What a run learns of its certainty: from the validation part alone, stored, and refused where it cannot be."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
import torch

import striate
from striate.core.errors import SettingsError
from striate.core.settings import TrainSettings
from striate.data.sources import open_data
from striate.evaluation.calibration_error import calibration_figures
from striate.evaluation.evaluate import evaluate
from striate.evaluation.rejection import needed_pictures, reject_threshold
from striate.evaluation.temperature import LEAST_PICTURES, cross_fitted, fit_temperature
from striate.evaluation.unknown import make_detector, unknown_rule, unknown_scores
from striate.training.plan import make_plan


@pytest.fixture
def finished(make_job):
    """Return a function that trains on digits and gives its job and evaluations."""

    def make(**settings):
        job = make_job(**{"first": None, "batch_size": 64, "epochs": 2, **settings})
        list(job.epochs())
        return job, job.finish()

    return make


def test_everything_is_learned_from_the_validation_part_and_kept(finished) -> None:
    job, measured = finished(error_rate=0.1)
    loaded = striate.load(job.run.path, device="cpu")
    rule, val, spec = loaded.card.calibration, job.data.val, job.run.spec
    raw = evaluate(loaded.model, val, spec, "val")
    assert rule.temperature == fit_temperature(raw.logits, val.labels)
    assert (rule.count, rule.fingerprint) == (len(val), val.fingerprint())
    shares = (raw.logits / rule.temperature).softmax(1)
    assert rule.reject_below == reject_threshold(shares.max(1).values, shares.argmax(1) == val.labels, 0.1)
    detector = make_detector(loaded.model, job.data.train, spec)
    assert torch.equal(detector.bank, loaded.detector.bank)
    assert rule.unknown == unknown_rule(detector, unknown_scores(loaded.model, val, spec, detector))
    assert torch.equal(
        measured["test"].probabilities,
        evaluate(loaded.model, job.data.test, spec).logits.div(rule.temperature).softmax(1),
    )
    assert job.run.notes == []


def test_with_few_validation_pictures_no_temperature_is_fitted_and_that_is_said(finished) -> None:
    job, measured = finished(first=300, val_share=0.05)
    rule = striate.load(job.run.path, device="cpu").card.calibration
    assert len(job.data.val) < LEAST_PICTURES
    assert (rule.temperature, rule.has_temperature) == (1, False)
    assert measured["val"].after is None
    assert measured["test"].after is None
    assert torch.equal(measured["test"].probabilities, measured["test"].logits.softmax(1))
    assert f"there are {len(job.data.val)}" in " ".join(job.run.notes)


def test_figures_on_the_validation_part_are_cross_fitted_and_say_so(finished) -> None:
    job, measured = finished()
    written = json.loads((job.run.path / "evaluation.json").read_bytes())
    val, test = measured["val"], measured["test"]
    temperature = striate.load(job.run.path, device="cpu").card.calibration.temperature
    for part, held_out, logits in (
        ("val", False, cross_fitted(val.logits, val.labels)),
        ("test", True, test.logits / temperature),
    ):
        figures = written[part]["calibration"]
        assert (figures["held_out"], figures["temperature"]) == (held_out, temperature)
        assert figures["before"] == vars(calibration_figures(measured[part].logits, measured[part].labels))
        expected = vars(calibration_figures(logits, measured[part].labels))
        for key, value in expected.items():
            assert figures["after"][key] == pytest.approx(value, abs=1e-6)
    card = striate.load(job.run.path, device="cpu").card
    assert card.metrics["test"].ece == pytest.approx(written["test"]["calibration"]["after"]["ece"], abs=1e-6)


def test_calibration_helps_on_the_test_part(finished) -> None:
    _, measured = finished(epochs=4)
    test = measured["test"]
    assert test.after.ece < test.before.ece
    assert test.after.nll < test.before.nll
    assert test.after.brier < test.before.brier


def test_test_pictures_teach_nothing(make_job) -> None:
    def card_of(change: bool):
        job = make_job(f"runs-{change}", first=None, epochs=1, batch_size=64)
        if change:
            test = job.data.test
            job.data = replace(job.data, test=replace(test, images=255 - test.images))
        list(job.epochs())
        job.finish()
        return striate.load(job.run.path, device="cpu").card.calibration

    assert card_of(False) == card_of(True)


def test_predictions_of_the_run_say_what_is_accepted_and_unknown(finished) -> None:
    job, measured = finished(reject_below=0.9)
    with open(job.run.path / "predictions.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == "test"]
    test = measured["test"]
    sure = test.probabilities.max(1).values >= 0.9
    assert 0 < int(sure.sum()) < len(sure)
    assert [row["accepted"] for row in rows] == ["yes" if one else "no" for one in sure]
    assert [row["unknown"] for row in rows] == ["yes" if one else "no" for one in test.unknown]
    summary = json.loads((job.run.path / "evaluation.json").read_bytes())["test"]
    right = test.predictions == test.labels
    assert summary["accepted"]["count"] == int(sure.sum())
    assert summary["accepted"]["accuracy"] == pytest.approx(float(right[sure].double().mean()))
    assert summary["accepted"]["coverage"] == pytest.approx(float(sure.double().mean()))
    assert summary["unknown"]["count"] == int(test.unknown.sum())


def test_without_a_validation_part_nothing_is_fitted_and_the_run_says_so(finished) -> None:
    job, measured = finished(val_share=0)
    assert striate.load(job.run.path, device="cpu").card.calibration is None
    assert any("no validation part (--val-share 0)" in note for note in job.run.notes)
    summary = measured["test"].summary()
    assert summary["calibration"]["temperature"] is None
    assert summary["calibration"]["after"] is None
    assert torch.equal(measured["test"].probabilities, measured["test"].logits.softmax(1))
    job, measured = finished(val_share=0, reject_below=0.99, out="others")
    predictor = striate.load(job.run.path, device="cpu")
    assert predictor.card.calibration.temperature == 1.0
    accepted = [p.accepted for p in predictor.predict(job.data.test.images)]
    assert accepted == (measured["test"].probabilities.max(1).values >= 0.99).tolist()
    assert {True, False} == set(accepted)


def test_with_few_validation_pictures_the_run_says_what_is_left_out(make_job) -> None:
    job = make_job(val_share=0.01)
    assert 10 <= len(job.data.val) < 19
    list(job.epochs())
    job.finish()
    assert any("takes 19 validation pictures, there are" in note for note in job.run.notes)
    loaded = striate.load(job.run.path, device="cpu")
    assert loaded.detector is None
    assert loaded.card.calibration.unknown is None
    (prediction,) = loaded.predict(job.data.test.images[0])
    assert (prediction.unknown, prediction.unknown_score) == (False, None)


def test_where_no_threshold_keeps_the_promise_nothing_is_accepted_and_the_run_says_so(finished) -> None:
    job, measured = finished(error_rate=0.02, epochs=1, lr=1e-7)
    assert any('"don\'t know"' in note for note in job.run.notes)
    rule = striate.load(job.run.path, device="cpu").card.calibration
    assert (rule.reject_below, rule.error_rate) == (None, 0.02)
    assert measured["test"].summary()["accepted"]["count"] == 0
    assert not any(p.accepted for p in striate.load(job.run.path, device="cpu").predict(job.data.test.images))


# Refused before training


@pytest.fixture(scope="module")
def digits():
    return open_data("digits", TrainSettings(), seed=0)


def test_two_thresholds_are_refused(digits) -> None:
    with pytest.raises(SettingsError, match="reject_below and error_rate both"):
        make_plan(TrainSettings(reject_below=0.9, error_rate=0.1), digits)


def test_a_promise_wants_a_validation_part_and_enough_of_it(digits) -> None:
    with pytest.raises(SettingsError, match="--val-share"):
        make_plan(TrainSettings(error_rate=0.1), replace(digits, val=None))
    with pytest.raises(SettingsError, match="takes 230 validation pictures or more") as caught:
        make_plan(TrainSettings(error_rate=0.01), digits)
    told = float(str(caught.value).split("--error-rate ")[1].split()[0])
    assert needed_pictures(told) <= len(digits.val) < needed_pictures(told - 0.001)
    make_plan(TrainSettings(error_rate=told), digits)
    make_plan(TrainSettings(reject_below=0.9), replace(digits, val=None))


@pytest.mark.parametrize(
    ("key", "value"), [("reject_below", 0), ("reject_below", 1.1), ("error_rate", 0), ("error_rate", 1)]
)
def test_shares_outside_zero_to_one_are_refused(key, value) -> None:
    with pytest.raises(SettingsError, match=key):
        TrainSettings.parse({key: value})


@pytest.mark.parametrize("error_rate", [0.05, 0.015, 0.01])
def test_the_share_that_is_advised_holds_out_enough_and_the_next_smaller_one_does_not(error_rate: float) -> None:
    small = {"val_share": 0.01, "first": None}
    data = open_data("digits", TrainSettings(**small), seed=0)
    with pytest.raises(SettingsError) as caught:
        make_plan(TrainSettings(error_rate=error_rate, epochs=1), data)
    share = float(str(caught.value).split("--val-share ")[1].split()[0])
    assert len(open_data("digits", TrainSettings(val_share=share), seed=0).val) >= needed_pictures(error_rate)
    less = open_data("digits", TrainSettings(val_share=share - 0.01), seed=0)
    assert len(less.val) < needed_pictures(error_rate)


def test_no_share_is_advised_where_the_data_come_with_a_validation_part(digits) -> None:
    with pytest.raises(SettingsError) as caught:
        make_plan(TrainSettings(error_rate=0.01), replace(digits, val_share=None))
    assert "--val-share" not in str(caught.value)
    assert "--error-rate" in str(caught.value)
