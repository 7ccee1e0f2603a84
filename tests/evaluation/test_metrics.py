"""Metrics against scikit-learn and scipy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn import metrics as reference

from striate.evaluation.evaluate import from_logits
from striate.evaluation.metrics import class_scores, confusion_matrix, top_k_accuracy, wilson_interval

quick = settings(deadline=None, max_examples=60)


@st.composite
def classifications(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Draw true and predicted classes, some of which may not occur."""
    classes = draw(st.integers(2, 6))  # scikit-learn warns of one
    pairs = draw(st.lists(st.tuples(*[st.integers(0, classes - 1)] * 2), min_size=1, max_size=60))
    labels, predictions = zip(*pairs, strict=True)
    return torch.tensor(labels), torch.tensor(predictions), classes


@st.composite
def logits_and_labels(draw: st.DrawFn, least: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw logits without equal values in a row, and labels."""
    classes, count = draw(st.integers(least, 8)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([0.1, 1.0, 30.0]))
    values = np.stack([rng.permutation(classes) for _ in range(count)]) * scale / classes
    return torch.tensor(values, dtype=torch.float32), torch.tensor(rng.integers(0, classes, count))


@quick
@given(classifications())
def test_confusion_matrix_is_scikit_learns(drawn):
    labels, predictions, classes = drawn
    ours = confusion_matrix(labels, predictions, classes)
    assert ours.dtype == torch.int64
    assert ours.tolist() == reference.confusion_matrix(labels, predictions, labels=range(classes)).tolist()


def test_confusion_matrix_has_true_classes_in_rows():
    assert confusion_matrix(torch.tensor([0, 0, 1]), torch.tensor([2, 2, 1]), 3).tolist() == [
        [0, 0, 2],
        [0, 1, 0],
        [0, 0, 0],
    ]


@quick
@given(classifications())
def test_class_scores_are_scikit_learns_where_they_are_defined(drawn):
    labels, predictions, classes = drawn
    scores = class_scores(confusion_matrix(labels, predictions, classes), [f"c{i}" for i in range(classes)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = reference.precision_recall_fscore_support(
            labels, predictions, labels=range(classes), zero_division=np.nan
        )
    for i, (score, precision, recall, f1, count) in enumerate(zip(scores, *expected, strict=True)):
        assert score.name == f"c{i}"
        assert score.count == count
        assert (score.precision is None) == (i not in predictions)
        assert (score.recall is None) == (i not in labels)
        assert (score.f1 is None) == (i not in labels)
        for ours, theirs in ((score.precision, precision), (score.recall, recall), (score.f1, f1)):
            if ours is not None:
                assert ours == pytest.approx(theirs, abs=1e-12)


def test_scores_that_are_not_defined_are_none_and_bad_ones_zero():
    # class 0 is never predicted, class 1 has no picture, class 2 neither
    never_predicted, no_picture, neither = class_scores(torch.tensor([[0, 3, 0], [0, 0, 0], [0, 0, 0]]), "abc")
    assert (never_predicted.precision, never_predicted.recall, never_predicted.f1) == (None, 0.0, 0.0)
    assert (no_picture.precision, no_picture.recall, no_picture.f1) == (0.0, None, None)
    assert (neither.precision, neither.recall, neither.f1) == (None, None, None)


@quick
@given(logits_and_labels(), st.integers(1, 7))
def test_top_k_accuracy_is_scikit_learns(drawn, k):
    logits, labels = drawn
    k = min(k, logits.shape[1] - 1)
    expected = reference.top_k_accuracy_score(labels, logits.numpy(), k=k, labels=range(logits.shape[1]))
    assert top_k_accuracy(logits, labels, k) == pytest.approx(expected, abs=1e-12)


def test_top_of_all_classes_is_always_right():
    assert top_k_accuracy(torch.randn(9, 4), torch.arange(9) % 4, 4) == 1.0


def test_equal_logits_give_the_first_class_everywhere():
    logits, labels = torch.zeros(40, 8), torch.arange(40) % 8
    result = from_logits(logits, labels, tuple("abcdefgh"), "test")
    assert result.correct == 5
    assert result.top_k[1] == result.accuracy == 5 / 40
    assert result.top_k[5] == 5 / 8
    assert result.confusion[:, 0].tolist() == [5] * 8


def test_equal_logits_of_many_classes_give_the_first_ones():
    # torch's topk and its unstable sort take others
    assert top_k_accuracy(torch.zeros(5, 1000), torch.arange(5), 5) == 1.0
    assert top_k_accuracy(torch.zeros(995, 1000), torch.arange(5, 1000), 5) == 0.0


@pytest.mark.parametrize(("correct", "count"), [(0, 1), (1, 1), (0, 50), (50, 50), (1, 50), (37, 50), (9_950, 10_000)])
def test_wilson_interval_is_scipys(correct, count):
    expected = binomtest(correct, count).proportion_ci(0.95, method="wilson")
    assert wilson_interval(correct, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


@quick
@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_is_scipys_everywhere_and_stays_in_zero_to_one(drawn):
    correct, count = drawn
    low, high = wilson_interval(correct, count)
    expected = binomtest(correct, count).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= correct / count <= high <= 1


def test_wilson_interval_is_the_published_one():
    # Newcombe, "Two-sided confidence intervals for the single proportion", Stat. Med. 17 (1998), table I, method 3
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (correct, count), interval in published.items():
        assert tuple(round(bound, 4) for bound in wilson_interval(correct, count)) == interval


def test_wilson_interval_of_no_picture_is_everything():
    assert wilson_interval(0, 0) == (0.0, 1.0)


@quick
@given(logits_and_labels())
def test_loss_accuracy_and_probabilities_are_the_references(drawn):
    logits, labels = drawn
    names = tuple(f"c{i}" for i in range(logits.shape[1]))
    result = from_logits(logits, labels, names, "val")
    exact = softmax(logits.double().numpy(), axis=1)
    assert np.allclose(result.probabilities.numpy(), exact, atol=1e-6)
    # a float32 logarithm near 0 has the absolute error of its argument near 1
    assert result.loss == pytest.approx(reference.log_loss(labels, exact, labels=range(len(names))), rel=1e-5, abs=1e-6)
    predicted = logits.numpy().argmax(1)
    assert result.predictions.tolist() == predicted.tolist()
    assert result.accuracy == pytest.approx(reference.accuracy_score(labels, predicted), abs=1e-12)
    assert result.correct == reference.accuracy_score(labels, predicted, normalize=False)
    assert result.top_k[1] == pytest.approx(result.accuracy, abs=1e-12)
    assert result.confusion.sum() == result.count == len(labels)
    assert result.confusion.trace() == result.correct


def test_top_five_is_right_where_probabilities_round_to_zero():
    # e^-200 is no float32: as probabilities, all classes but the first would be equally likely
    logits = torch.tensor([[0.0, *(-200.0 - i for i in range(9, 0, -1))]])
    assert from_logits(logits, torch.tensor([9]), tuple("abcdefghij"), "test").top_k == {1: 0.0, 5: 1.0}
    assert from_logits(logits, torch.tensor([1]), tuple("abcdefghij"), "test").top_k == {1: 0.0, 5: 0.0}


@pytest.mark.parametrize(("classes", "tops"), [(1, [1]), (2, [1, 2]), (5, [1, 5]), (10, [1, 5])])
def test_top_k_is_of_one_and_at_most_five(classes, tops):
    result = from_logits(torch.randn(6, classes), torch.zeros(6, dtype=torch.int64), tuple("abcdefghij"[:classes]), "x")
    assert list(result.top_k) == tops
