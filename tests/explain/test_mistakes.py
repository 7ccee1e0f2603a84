"""Mistakes by kind, uncertain answers and doubtful labels."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from striate.data.dataset import ImageDataset
from striate.evaluation import Evaluation
from striate.evaluation.evaluate import from_logits
from striate.explain.mistakes import confusions, confusions_figure, doubtful_labels, least_certain

CLASSES = ("cat", "dog", "owl")


def logits_of(answers: list[int], margins: list[float]) -> Tensor:
    logits = torch.zeros(len(answers), 3)
    logits[torch.arange(len(answers)), torch.tensor(answers)] = torch.tensor(margins)
    return logits


def measured() -> Evaluation:
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2])
    return from_logits(logits_of([1, 1, 0, 1, 2, 2, 1], [1, 3, 0.5, 2, 4, 5, 1.5]), labels, CLASSES, "test")


def several() -> Evaluation:
    labels = torch.tensor([[1, 0], [1, 0], [0, 0], [0, 1]]).bool()
    logits = torch.tensor([[-2.0, -1], [-3, 4], [5, -1], [-1, 1]])
    return from_logits(logits, labels, ("cat", "dog"), "test")


def test_confusions_are_the_cells_beside_the_diagonal_the_fullest_first():
    found = confusions(measured(), CLASSES)
    assert [(cell.true, cell.said, cell.numbers.tolist(), cell.of) for cell in found] == [
        ("cat", "dog", [1, 0], 3),  # the more confident first
        ("dog", "owl", [4], 2),
        ("owl", "dog", [6], 2),
    ]
    assert found[0].told == "cat taken for dog"
    matrix = measured().confusion
    assert sum(len(cell.numbers) for cell in found) == int(matrix.sum() - matrix.trace())


def test_with_any_number_of_classes_each_is_missed_or_seen_where_it_is_not():
    found = confusions(several(), ("cat", "dog"))
    assert [(cell.told, cell.numbers.tolist(), cell.of) for cell in found] == [
        ("cat missed", [1, 0], 2),  # the surest of its absence first
        ("cat seen where it is not", [2], 2),
        ("dog seen where it is not", [1], 3),
    ]


def test_the_least_certain_come_first():
    assert least_certain(measured()).tolist() == [2, 0, 6, 3, 1, 4, 5]


def test_labels_that_were_turned_are_doubted_and_only_they():
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(300) % 3
    logits = 5.0 * torch.nn.functional.one_hot(truth, 3) + 0.5 * torch.randn(300, 3, generator=generator)
    labels = truth.clone()
    turned = [7, 100, 251]
    logits[turned] *= 1.5  # surer than is usual, or they would count for nothing
    labels[turned] = (truth[turned] + 1) % 3
    doubts = doubtful_labels(from_logits(logits, labels, CLASSES, "test"))
    assert sorted(doubts.numbers.tolist()) == turned
    assert doubts.suggested.equal(truth[doubts.numbers])
    assert len(doubtful_labels(from_logits(logits, truth, CLASSES, "test")).numbers) == 0


def test_with_any_number_of_classes_the_doubtful_ones_are_turned_back():
    generator = torch.Generator().manual_seed(1)
    truth = torch.rand(200, 2, generator=generator) < 0.4
    logits = 4 * (2 * truth.float() - 1) + 0.3 * torch.randn(200, 2, generator=generator)
    labels = truth.clone()
    labels[5, 0] ^= True
    labels[9, 1] ^= True
    labels[40] ^= True
    doubts = doubtful_labels(from_logits(logits, labels, ("cat", "dog"), "test"))
    assert sorted(doubts.numbers.tolist()) == [5, 9, 40]
    assert doubts.suggested.equal(truth[doubts.numbers])


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_figure_has_a_row_for_each_with_the_probability_of_what_is_wrong():
    images = torch.zeros(7, 1, 8, 8, dtype=torch.uint8)
    result = measured()
    data = ImageDataset(images, result.labels, CLASSES, [str(number) for number in range(7)])
    said = words(confusions_figure(confusions(result, CLASSES), result, data, 1, "What is $wrong$"))
    assert said[0] == "What is $wrong$"
    assert "cat taken for dog: 2 of 3, the 1 most confident" in said
    assert f"{100 * float(result.probabilities[1, 1]):.1f} %" in said
    many = several()
    data = ImageDataset(images[:4], many.labels, ("cat", "dog"), list("abcd"))
    said = words(confusions_figure(confusions(many, ("cat", "dog")), many, data, 3, "Wrong"))
    assert f"{100 * float(many.probabilities[1, 0]):.1f} %" in said
