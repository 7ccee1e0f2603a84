"""How stable answers are, of networks of which it is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset
from striate.evaluation import evaluate
from striate.evaluation.calibration import Calibration
from striate.evaluation.metrics import wilson_interval
from striate.explain.changes import usual_changes
from striate.explain.stability import answer_curves, kept_shares
from striate.models import Classifier

from .subjects import untrained

SIDE = 28


def spec(**values: object) -> ImageSpec:
    return ImageSpec.model_validate(
        {"channels": 1, "height": SIDE, "width": SIDE, "classes": ("dark", "light"), "mean": (0.0,), "std": (1.0,)}
        | values
    )


class Sum(Classifier):
    """Answers by a weighted sum over the picture: with equal weights, where things are makes no difference."""

    def __init__(self, weights: Tensor, limit: float) -> None:
        super().__init__()
        self.weights, self.limit = nn.Parameter(weights), limit
        self.whole = nn.Identity()

    def features(self, images: Tensor) -> Tensor:
        return self.whole(images)

    def head(self, features: Tensor) -> Tensor:
        z = (features * self.weights).sum((1, 2, 3)) - self.limit
        return torch.stack([-z, z], 1)

    def stages(self) -> dict[str, nn.Module]:
        return {"whole": self.whole}

    def replace_head(self, classes: int) -> None:
        raise NotImplementedError


def spots(count: int = 10) -> Tensor:
    """Return black pictures with a white square in the middle, larger from picture to picture."""
    images = torch.zeros(count, 1, SIDE, SIDE, dtype=torch.uint8)
    for number in range(count):
        half = 1 + number // 2
        images[number, 0, 14 - half : 14 + half, 14 - half : 14 + half] = 255
    return images


def named(model: Classifier, images: Tensor, **options: object) -> dict:
    return {one.change.name: one for one in answer_curves(model, images, spec(**options), usual_changes(SIDE))}


def test_a_shift_invariant_network_keeps_every_answer_and_its_probability():
    found = named(Sum(torch.ones(1, 1, 1), 30.0), spots())
    for name in ("shift right", "shift down"):
        assert found[name].kept.all()
        assert found[name].kept_interval == [wilson_interval(10, 10)] * 9
        torch.testing.assert_close(found[name].probability, found[name].probability[4].expand(9, -1))
        assert found[name].first_turned(0) is None
    assert not found["brightness"].kept.all()


def test_a_network_that_looks_at_one_place_turns_when_the_spot_has_left_it():
    weights = torch.zeros(1, SIDE, SIDE)
    weights[0, 14, 14] = 1
    found = named(Sum(weights, 0.5), spots(4))  # squares from 13 and 12 to 14 and 15 on each side
    across = found["shift right"]
    # the pixel right of the middle sees what was s to its left: white from 14 − half to 13 + half
    white = [[14 - half <= 14 - shift <= 13 + half for half in (1, 1, 2, 2)] for shift in range(-4, 5)]
    assert across.answers.bool().tolist() == white
    assert across.kept.tolist() == [[one == base for one, base in zip(row, white[4], strict=True)] for row in white]
    assert across.kept_share.tolist() == pytest.approx([sum(row) / 4 for row in across.kept.tolist()])


def test_brightness_turns_the_answer_where_the_sum_crosses_the_limit():
    images = spots(2)  # four white pixels each
    found = named(Sum(torch.ones(1, 1, 1), 2.4), images)["brightness"]  # light from a factor above 0.6 on
    assert found.answers[:, 0].tolist() == [0, 1, 1, 1, 1, 1, 1, 1, 1]
    z = 4 * 0.5 - 2.4
    assert found.probability[0, 0].item() == pytest.approx(torch.tensor([-z, z]).softmax(0)[1].item(), abs=1e-5)
    assert found.confidence[0, 0].item() == pytest.approx(torch.tensor([-z, z]).softmax(0)[0].item(), abs=1e-5)
    assert found.first_turned(0) == 0


def test_the_unchanged_answers_are_those_of_measuring_calibrated_by_all_views():
    what = untrained(spec(views=2), count=12)
    calibration = Calibration(temperature=2.0, count=5, fingerprint="x")
    measured = evaluate(what.model, what.pictures, what.spec, calibration=calibration)
    curves = answer_curves(
        what.model, what.pictures.images, what.spec, usual_changes(SIDE, every=4), calibration=calibration
    )
    for one in curves:
        middle = one.change.strengths.index(one.change.neutral)
        assert one.answers[middle].equal(measured.predictions)
        torch.testing.assert_close(one.probability[middle], measured.probabilities.amax(1))
        assert one.kept[middle].all()
        assert one.right(measured.labels)[middle].equal(measured.predictions == measured.labels)


def test_a_pictures_curves_are_the_same_in_any_company():
    what = untrained(spec(multi_label=True, crop=(24, 20)), count=6)
    changes = usual_changes(SIDE, every=2)
    together = answer_curves(what.model, what.pictures.images, what.spec, changes)
    alone = answer_curves(what.model, what.pictures.images[3:4], what.spec, changes, numbers=torch.tensor([3]))
    for one, other in zip(together, alone, strict=True):
        assert one.answers.shape == (len(one.change.strengths), 6, 2)
        torch.testing.assert_close(one.probability[:, 3:4], other.probability, atol=1e-5, rtol=1e-4)


def test_every_change_counts_alike_in_what_a_picture_keeps():
    found = answer_curves(Sum(torch.ones(1, 1, 1), 30.0), spots(), spec(), usual_changes(SIDE))
    expected = torch.stack(
        [
            torch.stack([one.kept[s] for s, value in enumerate(one.change.strengths) if value != one.change.neutral])
            .double()
            .mean(0)
            for one in found
        ]
    ).mean(0)
    torch.testing.assert_close(kept_shares(found), expected)


def test_nothing_is_changed_in_the_network():
    what = untrained(spec(), count=4)
    what.model.train()
    before = {name: tensor.clone() for name, tensor in what.model.state_dict().items()}
    answer_curves(what.model, what.pictures.images, what.spec, usual_changes(SIDE, every=4))
    assert what.model.training
    assert all(tensor.equal(before[name]) for name, tensor in what.model.state_dict().items())
    assert isinstance(what.pictures, ImageDataset)
