"""Figures of pictures of any number of classes each, against scikit-learn."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn import metrics as reference

from striate.data.dataset import ImageDataset
from striate.evaluation import MultiLabelEvaluation
from striate.evaluation.decision import confidence, decide, is_right, to_probabilities
from striate.evaluation.evaluate import from_logits, prediction_header, prediction_rows
from striate.evaluation.metrics import wilson_interval
from striate.evaluation.multi_label import average_precision

quick = settings(deadline=None, max_examples=60)


@st.composite
def logits_and_flags(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw logits, some of them equal, and labels, bool N K; a class may have no picture."""
    count, classes = draw(st.integers(2, 40)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    flags = rng.random((count, classes)) < draw(st.sampled_from([0.02, 0.4, 0.9]))
    logits = rng.normal(0, 2, (count, classes)) + 2 * flags
    if draw(st.booleans()):
        logits = np.round(logits)
    return torch.tensor(logits, dtype=torch.float32), torch.tensor(flags)


def evaluated(logits: torch.Tensor, flags: torch.Tensor) -> MultiLabelEvaluation:
    result = from_logits(logits, flags, tuple("abcde"[: flags.shape[1]]), "test")
    assert isinstance(result, MultiLabelEvaluation)
    return result


@quick
@given(logits_and_flags())
def test_figures_over_all_classes_are_scikit_learns(drawn):
    logits, flags = drawn
    result = evaluated(logits, flags)
    predicted = expit(logits.numpy()) >= 0.5
    assert np.array_equal(result.predictions.numpy(), predicted)
    assert result.accuracy == pytest.approx(reference.accuracy_score(flags, predicted))
    assert result.correct == reference.accuracy_score(flags, predicted, normalize=False)
    assert result.interval == wilson_interval(result.correct, len(flags))
    assert result.hamming_accuracy == pytest.approx(1 - reference.hamming_loss(flags, predicted))
    losses = [
        reference.log_loss(f, p, labels=[0, 1]) for f, p in zip(flags.T, expit(logits.double().numpy()).T, strict=True)
    ]
    assert result.loss == pytest.approx(np.mean(losses), rel=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        each = reference.f1_score(flags, predicted, average=None, zero_division=0)
        micro = reference.f1_score(flags, predicted, average="micro", zero_division=np.nan)
    defined = flags.any(0).numpy()
    assert result.macro_f1 == (pytest.approx(each[defined].mean()) if defined.any() else None)
    assert result.micro_f1 == (None if math.isnan(micro) else pytest.approx(micro))


@quick
@given(logits_and_flags())
def test_figures_of_each_class_are_scikit_learns_where_they_are_defined(drawn):
    logits, flags = drawn
    predicted = expit(logits.numpy()) >= 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, count = reference.precision_recall_fscore_support(flags, predicted, zero_division=0)
        precisions = [reference.average_precision_score(flags[:, k], logits[:, k]) for k in range(len(count))]
    for k, score in enumerate(evaluated(logits, flags).per_class):
        assert score.count == count[k]
        assert score.precision == (pytest.approx(precision[k]) if predicted[:, k].any() else None)
        assert score.recall == (pytest.approx(recall[k]) if count[k] else None)
        assert score.f1 == (pytest.approx(f1[k]) if count[k] else None)
        assert score.average_precision == (pytest.approx(precisions[k]) if count[k] else None)


def test_average_precision_of_a_known_example_and_of_equal_scores():
    # the example of scikit-learn's documentation of average_precision_score
    assert average_precision(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1]).bool()) == pytest.approx(
        0.5 + 0.5 * 2 / 3
    )
    assert average_precision(torch.zeros(4), torch.tensor([True, False, False, False])) == 0.25
    assert average_precision(torch.zeros(4), torch.zeros(4, dtype=torch.bool)) is None


def test_the_probability_of_a_label_set_is_the_product_of_its_answers():
    probabilities = to_probabilities(torch.tensor([[2.0, -1.0, 0.0]]), multi_label=True)
    assert probabilities[0].tolist() == pytest.approx(expit([2.0, -1.0, 0.0]).tolist())
    predicted = decide(torch.tensor([[2.0, -1.0, 0.0]]), multi_label=True)
    assert predicted.tolist() == [[True, False, True]]
    assert float(confidence(probabilities, predicted)[0]) == pytest.approx(expit(2.0) * (1 - expit(-1.0)) * 0.5)
    assert is_right(predicted, torch.tensor([[True, False, True]])).tolist() == [True]
    assert is_right(predicted, torch.tensor([[True, True, True]])).tolist() == [False]
    # the probabilities of all sets sum to one
    sets = torch.cartesian_prod(*[torch.tensor([False, True])] * 3)
    assert float(confidence(probabilities.expand(8, 3), sets).sum()) == pytest.approx(1)


def test_the_summary_names_what_it_counts_and_leaves_out_what_does_not_apply():
    flags = torch.tensor([[True, False], [False, False], [True, True]])
    summary = json.loads(json.dumps(evaluated(torch.tensor([[1.0, -1], [-1, -1], [1, -1]]), flags).summary()))
    assert summary["exact_match"] == summary["accuracy"] == pytest.approx(2 / 3)
    assert summary["hamming_accuracy"] == pytest.approx(5 / 6)
    assert "confusion" not in summary
    assert "top_k" not in summary
    assert list(summary["per_class"][0]) == ["name", "count", "precision", "recall", "f1", "average_precision"]
    assert summary["per_class"][1]["precision"] is None
    assert [score["count"] for score in summary["per_class"]] == [2, 1]


def test_prediction_rows_hold_the_names_of_all_classes():
    flags = torch.tensor([[True, True, False], [False, False, False]])
    data = ImageDataset(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), flags, ("a,x", "b", "c"), ["p", "q"])
    result = from_logits(torch.tensor([[2.0, -1.0, 3.0], [-1.0, -2.0, -3.0]]), flags, data.classes, "val")
    assert prediction_header(data.classes)[7:] == ["p(a,x)", "p(b)", "p(c)", "pixels"]
    first, second = prediction_rows(result, data)
    assert first[:5] == ["p", "val", 0, "a,x|b", "a,x|c"]
    assert second[:5] == ["q", "val", 1, "", ""]
    assert [float(cell) for cell in first[7:-1]] == pytest.approx(expit([2.0, -1.0, 3.0]).tolist(), abs=1e-6)
