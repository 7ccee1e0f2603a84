"""Unknown pictures: scores against scikit-learn's neighbours, false alarms as stated, other pictures told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

import striate
from striate.core.settings import DataSettings, TrainSettings
from striate.data.dataset import ImageDataset
from striate.data.sources import load_data, open_data
from striate.evaluation.evaluate import evaluate
from striate.evaluation.unknown import (
    BANK_VALUES,
    Detector,
    forward_of,
    logits_and_scores,
    make_detector,
    needed_for_unknown,
    unknown_rule,
    unknown_scores,
)
from striate.models import Architecture, build

quick = settings(deadline=None, max_examples=40)


@quick
@given(st.integers(0, 2**32))
def test_the_score_is_the_cosine_distance_to_the_nearest_neighbour_of_scikit_learn(seed) -> None:
    rng = np.random.default_rng(seed)
    bank = rng.normal(1, 1, (30, 12))
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    features = rng.normal(1, 2, (9, 12))
    stored = torch.tensor(bank).half()
    expected, _ = NearestNeighbors(n_neighbors=1, metric="cosine").fit(stored.float().numpy()).kneighbors(features)
    scores = Detector("head", stored).scores(torch.tensor(features))
    np.testing.assert_allclose(scores, expected[:, -1], atol=2e-3)  # rows of the bank are of length 1 but for rounding
    scaled = Detector("head", stored).scores(torch.tensor(7 * features))
    torch.testing.assert_close(scaled, scores)


@pytest.mark.parametrize("count", [19, 40, 98, 99, 150, 199, 1000])
def test_pictures_like_the_held_out_ones_are_taken_for_unknown_as_seldom_as_stated(count: int) -> None:
    rng = np.random.default_rng(4)
    detector = Detector("head", torch.zeros(5, 1).half())
    alarms = []
    for _ in range(400):
        scores = torch.tensor(rng.exponential(size=count), dtype=torch.float32)
        rule = unknown_rule(detector, scores)
        assert rule is not None
        alarms.append(np.exp(-rule.threshold))  # the exact chance that a new score is above it
    assert rule.false_alarms == max(0.01, 1 / (count + 1))
    # exactly ⌊(n + 1) α⌋ / (n + 1) on average; four standard errors of the mean of Beta-distributed chances
    exact = int((count + 1) * rule.false_alarms + 1e-9) / (count + 1)
    assert abs(np.mean(alarms) - exact) < 4 * np.std(alarms) / 20
    assert exact <= rule.false_alarms


def test_too_few_held_out_pictures_set_no_threshold() -> None:
    detector = Detector("head", torch.zeros(5, 1).half())
    assert needed_for_unknown() == 19
    assert unknown_rule(detector, torch.rand(18)) is None
    assert unknown_rule(detector, torch.rand(19)) is not None


def pictures(count: int, side: int = 16, seed: int = 0) -> ImageDataset:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, side, side), dtype=torch.uint8, generator=generator)
    return ImageDataset(images, torch.arange(count) % 4, tuple("abcd"), [str(i) for i in range(count)])


@pytest.fixture
def network(make_spec):
    spec = make_spec(side=16, classes=4)
    torch.manual_seed(0)
    return build(Architecture(name="fast", options={"widths": [8, 16, 24]}), spec).eval(), spec


def test_the_bank_holds_what_the_last_layer_sees_of_evenly_spread_pictures(network, monkeypatch) -> None:
    model, spec = network
    data = pictures(100)
    monkeypatch.setattr("striate.evaluation.unknown.BANK_PICTURES", 10)
    model.train()
    detector = make_detector(model, data, spec)
    assert model.training, "the network is left as it was"
    model.eval()
    assert detector.layer == "classifier"
    chosen = data.images[::10]
    with torch.no_grad():
        features = model.features((chosen / 255 - 0.5) / 0.25).amax((2, 3))
    expected = features / features.norm(dim=1, keepdim=True)
    torch.testing.assert_close(detector.bank.float(), expected, atol=1e-3, rtol=0)
    monkeypatch.setattr("striate.evaluation.unknown.BANK_VALUES", 3 * 24)
    assert make_detector(model, data, spec).bank.shape == (3, 24)
    assert 2 * BANK_VALUES <= 2**20, "a mebibyte"


@pytest.mark.parametrize("views", [1, 2])
def test_scores_are_those_of_the_picture_itself_whatever_is_averaged_and_in_any_company(network, views) -> None:
    model, spec = network
    detector = make_detector(model, pictures(60), spec)
    spec = spec.model_copy(update={"views": views})
    others = pictures(30, seed=1)
    alone = unknown_scores(model, others, spec, detector)
    assert torch.equal(evaluate(model, others, spec, detector=detector).scores, alone)
    by_parts = evaluate(model, others, spec, detector=detector, batch_size=7).scores
    torch.testing.assert_close(by_parts, alone, atol=1e-6, rtol=0)
    logits, scores = logits_and_scores(forward_of(model, None), torch.zeros(2, 1, 16, 16), spec, None)
    assert scores is None
    assert logits.shape == (2, 4)
    assert evaluate(model, others, spec).scores is None


def test_training_pictures_themselves_are_near(network) -> None:
    model, spec = network
    data = pictures(60)
    detector = make_detector(model, data, spec)
    assert float(unknown_scores(model, data, spec, detector).max()) < 1e-3


# A network that knows digits


def strange(kind: str, digits: ImageDataset) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    if kind == "noise":
        return torch.randint(0, 256, digits.images.shape, dtype=torch.uint8, generator=generator)
    if kind == "negative":
        return 255 - digits.images
    pixels = digits.images.flatten(2)
    return pixels[:, :, torch.randperm(pixels.shape[2], generator=generator)].view_as(digits.images)  # kind: shuffled


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    run = striate.train("digits", out=tmp_path_factory.mktemp("runs"), epochs=8, precision="fp32", device="cpu")
    return striate.load(run.path, device="cpu")


@pytest.mark.parametrize(("kind", "least"), [("noise", 0.95), ("negative", 0.95), ("shuffled", 0.95)])
def test_a_network_of_digits_tells_what_is_no_digit(predictor, kind: str, least: float) -> None:
    digits = open_data("digits", TrainSettings(), 0).test
    known = predictor.predict(digits.images)
    other = predictor.predict(strange(kind, digits))
    alarms, told = (np.mean([p.unknown for p in some]) for some in (known, other))
    scores = [p.unknown_score for p in known + other]
    assert alarms <= 0.03  # stated: 0.01, on 359 pictures
    assert told > 10 * max(alarms, 0.01)
    assert roc_auc_score([0] * len(known) + [1] * len(other), scores) > least


def test_a_network_of_digits_tells_clothes(predictor, real_data) -> None:
    folder = real_data("fashion-mnist").parent
    images = load_data("fashion-mnist", DataSettings(data_dir=folder)).test.images[:1000]
    clothes = F.adaptive_avg_pool2d(images.float(), 8).byte()
    digits = open_data("digits", TrainSettings(), 0).test
    known, other = predictor.predict(digits.images), predictor.predict(clothes)
    assert np.mean([p.unknown for p in other]) > 10 * 0.01
    scores = [p.unknown_score for p in known + other]
    assert roc_auc_score([0] * len(known) + [1] * len(other), scores) > 0.9
