"""Confident learning, against the paper's definitions written out in plain NumPy, picture by picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.explain.confident import confident_joint, estimated_joint, label_errors, thresholds


def noisy(count: int, classes: int, seed: int, share: float = 0.1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Given labels, probabilities of a fair judge, and which labels were turned."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, count)
    given_ = true.copy()
    turned = rng.uniform(size=count) < share
    given_[turned] = (true[turned] + rng.integers(1, classes, turned.sum())) % classes
    logits = rng.normal(0, 1, (count, classes))
    logits[np.arange(count), true] += 3
    probabilities = np.exp(logits)
    return given_, (probabilities / probabilities.sum(1, keepdims=True)).astype(np.float32), turned


def paper_thresholds(labels: np.ndarray, p: np.ndarray) -> list[float]:
    return [
        float(np.mean([float(p[x, j]) for x in range(len(labels)) if labels[x] == j]))
        if (labels == j).any()
        else np.inf
        for j in range(p.shape[1])
    ]


def paper_joint(labels: np.ndarray, p: np.ndarray) -> np.ndarray:
    t, classes = paper_thresholds(labels, p), p.shape[1]
    joint = np.zeros((classes, classes), int)
    for x, given_ in enumerate(labels):
        confident = [j for j in range(classes) if float(p[x, j]) >= t[j]]
        if confident:
            joint[given_, max(confident, key=lambda j, x=x: p[x, j])] += 1
    return joint


def paper_errors(labels: np.ndarray, p: np.ndarray) -> set[int]:
    joint, classes = paper_joint(labels, p).astype(float), p.shape[1]
    found = set()
    for i in range(classes):
        members = [x for x in range(len(labels)) if labels[x] == i]
        total = joint[i].sum()
        for j in range(classes):
            if i != j and total:
                number = round(joint[i, j] / total * len(members))
                by_margin = sorted(members, key=lambda x, i=i, j=j: float(p[x, j]) - float(p[x, i]), reverse=True)
                found |= set(by_margin[:number])
    return {x for x in found if p[x].argmax() != labels[x]}


@settings(max_examples=25, deadline=None)
@given(count=st.integers(2, 150), classes=st.integers(2, 6), seed=st.integers(0, 10**6))
def test_joint_and_errors_are_those_of_the_papers_definitions(count: int, classes: int, seed: int) -> None:
    labels, p, _ = noisy(count, classes, seed)
    ours = torch.from_numpy(labels), torch.from_numpy(p)
    np.testing.assert_allclose(thresholds(*ours).numpy(), paper_thresholds(labels, p))
    np.testing.assert_array_equal(confident_joint(*ours).numpy(), paper_joint(labels, p))
    assert set(label_errors(*ours).tolist()) == paper_errors(labels, p)


def test_the_estimated_joint_keeps_the_number_of_each_given_label() -> None:
    labels, p, _ = noisy(400, 5, 1)
    joint = estimated_joint(torch.from_numpy(labels), torch.from_numpy(p))
    np.testing.assert_allclose(joint.sum(1).numpy(), np.bincount(labels, minlength=5))
    assert (joint >= 0).all()


def test_turned_labels_are_found_and_come_first() -> None:
    labels, p, turned = noisy(3000, 4, 2)
    found = label_errors(torch.from_numpy(labels), torch.from_numpy(p)).numpy()
    assert turned[found].mean() > 0.75
    assert turned[found].sum() > 0.75 * turned.sum()
    assert turned[found[:50]].mean() > 0.95
    assert (np.diff(p[found, labels[found]]) >= 0).all(), "by the probability of the given class"


def test_labels_that_the_judge_agrees_with_are_not_suspected() -> None:
    labels = torch.arange(60) % 3
    p = torch.full((60, 3), 0.05)
    p[torch.arange(60), labels] = 0.9
    assert len(label_errors(labels, p)) == 0


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [1, 1, 0, 0]])
def test_a_class_without_pictures_suspects_nobody(labels: list[int]) -> None:
    p = torch.tensor([[0.6, 0.1, 0.3]] * 4)
    found = label_errors(torch.tensor(labels), p)
    assert set(found.tolist()) <= {0, 1, 2, 3}
    assert 2 not in p[found].argmax(1).tolist()
