"""Averaged views: the definition written out, and the same answer on every surface."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tv
from torch import Tensor

import striate
from striate.core.errors import SettingsError
from striate.core.settings import TrainSettings
from striate.data.sources import open_data
from striate.deploy.measure import measure
from striate.evaluation import evaluate
from striate.evaluation.views import other_views, view_logits, weights
from striate.models import MODELS, Classifier
from striate.training.plan import make_plan


def by_hand(images: Tensor, views: int) -> list[tuple[float, Tensor]]:
    """Return each view with its weight, cut by torchvision."""
    moved = {}
    for name, source in {"": images, "mirrored": tv.horizontal_flip(images)}.items():
        padded = tv.pad(source, [1, 1, 1, 1], padding_mode="edge")
        height, width = images.shape[2:]
        moved[name] = [tv.crop(padded, 0, 0, height, width), tv.crop(padded, 2, 2, height, width)]
    mirror = tv.horizontal_flip(images)
    return {
        1: [(1.0, images)],
        2: [(0.5, images), (0.5, mirror)],
        3: [(0.5, images), *((0.25, view) for view in moved[""])],
        6: [(0.25, images), (0.25, mirror), *((0.125, view) for view in moved[""] + moved["mirrored"])],
    }[views]


@pytest.fixture
def network() -> Classifier:
    torch.manual_seed(0)
    return MODELS["fast"]((3, 12, 16), 5).eval().requires_grad_(False)


def inputs(count: int = 9) -> Tensor:
    return torch.randn(count, 3, 12, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("views", [1, 2, 3, 6])
def test_logits_are_the_weighted_mean_over_torchvisions_views(network, make_spec, views) -> None:
    spec = make_spec(channels=3, classes=5).model_copy(update={"views": views})
    wanted = sum(weight * network(view) for weight, view in by_hand(inputs(), views))
    torch.testing.assert_close(view_logits(network, inputs(), spec), wanted)
    assert len(weights(views)) == views
    assert sum(weights(views)) == 1
    assert views == 1 or len(other_views(inputs(), views)) == views - 1


def test_only_pictures_below_the_threshold_get_the_other_views_in_any_company(network, make_spec) -> None:
    single = view_logits(network, inputs(), make_spec(channels=3, classes=5))
    certainty = single.softmax(1).amax(1)
    threshold = float(certainty.sort().values[3:5].mean())
    spec = make_spec(channels=3, classes=5).model_copy(update={"views": 6, "views_below": threshold})
    every = view_logits(network, inputs(), spec.model_copy(update={"views_below": 1.0}))
    chosen = view_logits(network, inputs(), spec)
    torch.testing.assert_close(chosen, torch.where((certainty < threshold)[:, None], every, single))
    alone = torch.cat([view_logits(network, one[None], spec) for one in inputs()])
    torch.testing.assert_close(alone, chosen, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(chosen, single)
    assert not torch.allclose(chosen, every)


def test_a_certain_picture_gets_all_views_where_no_threshold_is_set(network, make_spec) -> None:
    spec = make_spec(channels=3, classes=5).model_copy(update={"views": 2})
    network.classifier.weight.mul_(1e4)  # softmax is 1 in float32
    wanted = sum(weight * network(view) for weight, view in by_hand(inputs(), 2))
    assert float(network(inputs()).softmax(1).amax(1).max()) == 1
    torch.testing.assert_close(view_logits(network, inputs(), spec), wanted, rtol=1e-5, atol=1e-3)


def test_validation_evaluation_and_prediction_average_the_same_views(picture_folder, tmp_path) -> None:
    folder = picture_folder(side=20, cats=16, dogs=16)
    run = striate.train(
        folder, out=tmp_path, epochs=2, views=6, views_below=0.9, val_share=0.3, precision="fp32", device="cpu",
        optimizer="sgd", lr=0.01,
    )  # fmt: skip
    predictor = striate.load(run.path, device="cpu")
    assert (predictor.spec.views, predictor.spec.views_below) == (6, 0.9)
    for part in ("val", "test"):
        measured = measure(run.path, part=part, device="cpu")
        predictions = predictor.predict([folder / name for name in measured.pictures.names])
        for prediction, row in zip(predictions, measured.result.probabilities.tolist(), strict=True):
            np.testing.assert_allclose(list(prediction.probabilities.values()), row, atol=1e-5)
        if part == "val":
            assert run.metrics()[-1]["val_loss"] == pytest.approx(measured.result.loss, abs=1e-6)
    single = predictor.spec.model_copy(update={"views": 1})
    assert evaluate(predictor.model, measured.pictures, single).loss != measured.result.loss


def test_views_that_mirror_are_refused_where_mirroring_changes_labels() -> None:
    def plan(**settings):
        parsed = TrainSettings.parse({"first": 100, **settings})
        return make_plan(parsed, open_data("digits", parsed, 0))

    for views in (2, 6):
        with pytest.raises(SettingsError, match="mirrored"):
            plan(views=views)
        assert plan(views=views, flip=True).spec.views == views
    assert plan(views=3).spec.views == 3
    with pytest.raises(SettingsError, match="--views 2, 3 or 6"):
        plan(views_below=0.9)
