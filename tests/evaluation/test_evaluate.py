"""evaluate(): equal to a plain loop, whatever the batch size, and without traces."""

from __future__ import annotations

import copy
import json
from hashlib import blake2b

import pytest
import torch
from torch import nn

from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset
from striate.evaluation import Evaluation, evaluate
from striate.evaluation.evaluate import from_logits, prediction_header, prediction_rows
from striate.models import MODELS, Classifier

COUNT = 37
CLASSES = ("cat", "dog", "a,b")


@pytest.fixture
def data() -> ImageDataset:
    generator = torch.Generator().manual_seed(3)
    return ImageDataset(
        images=torch.randint(0, 256, (COUNT, 3, 12, 10), generator=generator, dtype=torch.uint8),
        labels=torch.randint(0, 3, (COUNT,), generator=generator),
        classes=CLASSES,
        names=[f"photos/{number}.png" for number in range(COUNT)],
    )


@pytest.fixture
def spec() -> ImageSpec:
    return ImageSpec(channels=3, height=12, width=10, classes=CLASSES, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


@pytest.fixture
def model() -> Classifier:
    torch.manual_seed(4)
    model = MODELS["fast"]((3, 12, 10), 3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():
        model.classifier.weight.mul_(20)  # so that the pictures differ clearly
    return model.train()


def plain_logits(model: Classifier, data: ImageDataset, spec: ImageSpec) -> torch.Tensor:
    """Return the logits of one picture at a time, normalised by its definition in float64."""
    model = copy.deepcopy(model).double().eval()
    rows = []
    for picture in data.images:
        channels = [(picture[c].double() / 255 - spec.mean[c]) / spec.std[c] for c in range(spec.channels)]
        with torch.no_grad():
            rows.append(model(torch.stack(channels)[None])[0])
    return torch.stack(rows)


def test_evaluation_equals_a_plain_loop(model, data, spec):
    result = evaluate(model, data, spec, "val", batch_size=10)
    logits = plain_logits(model, data, spec)
    assert logits.std() > 0.1
    torch.testing.assert_close(result.probabilities.double(), logits.softmax(1), rtol=0, atol=1e-5)
    right = [int(row.argmax()) == label for row, label in zip(logits, data.labels.tolist(), strict=True)]
    assert result.part == "val"
    assert result.count == COUNT
    assert result.correct == sum(right)
    assert 0 < result.correct < COUNT
    assert result.accuracy == sum(right) / COUNT
    losses = [-float(row.log_softmax(0)[label]) for row, label in zip(logits, data.labels.tolist(), strict=True)]
    assert result.loss == pytest.approx(sum(losses) / COUNT, rel=1e-5)
    assert torch.equal(result.labels, data.labels)


@pytest.mark.parametrize("training", [True, False])
def test_mode_weights_and_statistics_are_as_before(model, data, spec, training):
    model.train(training)
    weights = copy.deepcopy(model.state_dict())
    evaluate(model, data, spec)
    assert all(module.training is training for module in model.modules())
    assert all(torch.equal(tensor, weights[key]) for key, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_part_in_evaluation_mode_stays_so(model, data, spec):
    model.train()
    model.body[0].eval()  # frozen, as in transfer learning
    modes = [module.training for module in model.modules()]
    evaluate(model, data, spec)
    assert [module.training for module in model.modules()] == modes


def test_mode_is_restored_after_an_error(model, data, spec):
    model.train()
    wrong = spec.model_copy(update={"channels": 1, "mean": (0.5,) * 2, "std": (0.5,) * 2})
    with pytest.raises(RuntimeError):
        evaluate(model, data, wrong)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("batch_size", [1, 2, 36, 37, 1000])
def test_result_does_not_depend_on_the_batch_size(model, data, spec, batch_size):
    expected = evaluate(model, data, spec, batch_size=10)
    result = evaluate(model, data, spec, batch_size=batch_size)
    torch.testing.assert_close(result.probabilities, expected.probabilities, rtol=0, atol=1e-6)
    assert result.loss == pytest.approx(expected.loss, abs=1e-6)
    assert torch.equal(result.confusion, expected.confusion)


def test_two_evaluations_are_equal_bit_for_bit(model, data, spec):
    first, second = evaluate(model, data, spec), evaluate(model, data, spec)
    assert torch.equal(first.probabilities, second.probabilities)
    assert first.summary() == second.summary()


def test_bf16_is_close_to_fp32_and_gives_fp32_probabilities(model, data, spec):
    exact, rough = evaluate(model, data, spec), evaluate(model, data, spec, bf16=True)
    assert rough.probabilities.dtype == torch.float32
    assert not torch.equal(rough.probabilities, exact.probabilities)
    torch.testing.assert_close(rough.probabilities, exact.probabilities, rtol=0, atol=0.1)


def test_summary_is_plain_json_that_agrees_with_the_pictures(model, data, spec):
    result = evaluate(model, data, spec)
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert summary["correct"] == sum(summary["confusion"][i][i] for i in range(3))
    assert [sum(row) for row in summary["confusion"]] == data.class_counts()
    assert [score["name"] for score in summary["per_class"]] == list(CLASSES)
    assert summary["interval_95"][0] <= summary["accuracy"] <= summary["interval_95"][1]
    assert summary["top_k"] == {"1": summary["accuracy"], "3": 1.0}


def test_prediction_rows_hold_each_picture_under_its_columns(model, data, spec):
    result = evaluate(model, data, spec, "test")
    header = prediction_header(CLASSES)
    own = ["path", "part", "index", "label", "prediction", "accepted", "unknown"]
    assert header == [*own, "p(cat)", "p(dog)", "p(a,b)", "pixels"]
    rows = [dict(zip(header, row, strict=True)) for row in prediction_rows(result, data)]
    assert [row["path"] for row in rows] == data.names
    assert [row["index"] for row in rows] == list(range(COUNT))
    assert {row["part"] for row in rows} == {"test"}
    assert [row["label"] for row in rows] == [CLASSES[label] for label in data.labels]
    assert sum(row["label"] == row["prediction"] for row in rows) == result.correct
    hashes = [blake2b(image.numpy().tobytes(), digest_size=8).digest() for image in data.images]
    assert [bytes.fromhex(str(row["pixels"]))[::-1] for row in rows] == hashes
    for row, probabilities in zip(rows, plain_logits(model, data, spec).softmax(1).tolist(), strict=True):
        assert row["prediction"] == CLASSES[probabilities.index(max(probabilities))]
        shares = [row[f"p({name})"] for name in CLASSES]
        assert all(isinstance(share, str) and len(share.split(".")[1]) == 6 for share in shares)
        assert [float(share) for share in shares] == pytest.approx(probabilities, abs=1e-5)


def rows_and_evaluation(logits: list[list[float]], labels: list[int]) -> tuple[list[list[object]], Evaluation]:
    count = len(labels)
    pictures = ImageDataset(
        torch.zeros(count, 1, 2, 2, dtype=torch.uint8), torch.tensor(labels), ("a", "b"), [str(i) for i in range(count)]
    )
    result = from_logits(torch.tensor(logits), pictures.labels, pictures.classes, "test")
    return list(prediction_rows(result, pictures)), result


def test_predictions_of_single_pictures_agree_with_the_accuracy_where_probabilities_round_to_equal():
    rows, result = rows_and_evaluation([[1e-9, 2e-9], [2e-9, 1e-9], [0.0, 0.0]], [1, 0, 0])
    assert [row[4] for row in rows] == ["b", "a", "a"]
    assert result.correct == 3
