"""Predictor obeys the card: calibrated probabilities, accepted answers and unknown pictures as they were evaluated."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import softmax

import striate
from striate.core.settings import TrainSettings
from striate.data.sources import open_data
from striate.deploy import Predictor
from striate.deploy.measure import measure
from striate.evaluation.calibration import Calibration
from striate.runs.model_file import LoadedModel, load_model


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return striate.train("digits", out=out, epochs=2, error_rate=0.05, precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def digits():
    return open_data("digits", TrainSettings(), 0)


@pytest.mark.parametrize("part", ["val", "test"])
def test_prediction_is_what_was_evaluated_and_written(run, digits, part: str) -> None:
    measured = measure(run.path, part=part, device="cpu")
    predictor = striate.load(run.path, device="cpu")
    images = digits.parts()[part].images
    predictions = predictor.predict(images)
    probabilities = np.array([list(p.probabilities.values()) for p in predictions])
    np.testing.assert_allclose(probabilities, measured.result.probabilities, atol=1e-6)
    with torch.inference_mode():
        logits = predictor.model(predictor.inputs(images)).double().numpy()
    np.testing.assert_allclose(probabilities, softmax(logits / predictor.calibration.temperature, axis=1), atol=1e-6)
    assert [p.accepted for p in predictions] == measured.result.accepted.tolist()
    assert [p.unknown for p in predictions] == measured.result.unknown.tolist()
    np.testing.assert_allclose([p.unknown_score for p in predictions], measured.result.scores, atol=1e-6)
    with open(run.path / "predictions.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == part]
    assert [row["accepted"] == "yes" for row in rows] == [p.accepted for p in predictions]
    written = [[float(row[f"p({name})"]) for name in predictor.classes] for row in rows]
    np.testing.assert_allclose(written, probabilities, atol=1e-6)


def test_the_run_measures_as_it_did_on_either_part(run) -> None:
    import json

    written = json.loads((run.path / "evaluation.json").read_bytes())
    for part in ("val", "test"):
        assert measure(run.path, part=part, device="cpu").result.summary() == written[part]
    assert not written["val"]["calibration"]["held_out"]
    assert written["test"]["calibration"]["held_out"]


def test_what_is_accepted_is_right_as_often_as_promised_within_the_interval(run) -> None:
    accepted = measure(run.path, part="test", device="cpu").result.among_accepted
    assert accepted.interval_95[1] >= 0.95
    assert accepted.coverage > 0.25


def test_neither_temperature_nor_threshold_changes_a_label(run, digits) -> None:
    loaded = load_model(run.path)
    plain = Predictor(
        replace(loaded, card=loaded.card.model_copy(update={"calibration": None}), detector=None), torch.device("cpu")
    )
    calibrated = Predictor(loaded, torch.device("cpu"))
    images = digits.test.images
    assert [p.labels for p in plain.predict(images)] == [p.labels for p in calibrated.predict(images)]
    assert all(p.accepted and not p.unknown for p in plain.predict(images))


def test_labels_come_from_the_logits_where_probabilities_round_to_equal(run) -> None:
    loaded = load_model(run.path)
    card = loaded.card.model_copy(update={"calibration": Calibration(temperature=1e9)})
    images = torch.randint(0, 256, (50, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    flat = Predictor(LoadedModel(loaded.model, card), torch.device("cpu")).predict(images)
    assert [p.label for p in flat] == [p.label for p in Predictor(loaded, torch.device("cpu")).predict(images)]
    assert max(p.probability for p in flat) < 0.1001


def test_an_answers_certainty_is_its_own(run, digits) -> None:
    predictor = striate.load(run.path, device="cpu")
    images = digits.test.images[:20]
    together = predictor.predict(images)
    for image, whole in zip(images, together, strict=True):
        (alone,) = predictor.predict(image)
        assert (alone.label, alone.accepted, alone.unknown) == (whole.label, whole.accepted, whole.unknown)
        assert alone.probability == pytest.approx(whole.probability, abs=1e-5)
        assert alone.unknown_score == pytest.approx(whole.unknown_score, abs=1e-5)
