"""Every network's hidden layer can be looked at, and its answers to changed pictures asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from striate.data.dataset import ImageDataset
from striate.data.loader import normalize
from striate.explain.affordable import affordable
from striate.explain.changes import usual_changes
from striate.explain.embedding import hidden_values
from striate.explain.stability import answer_curves
from striate.models import Architecture, Classifier, build
from striate.models.last_layer import inputs_of, last_linear

from .networks import CLASSES, as_after_training, every_model, small, spec_of_shape


def pictures(shape: tuple[int, int, int], classes: int = CLASSES) -> ImageDataset:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, *shape), dtype=torch.uint8, generator=generator)
    names = spec_of_shape(shape, classes).classes
    return ImageDataset(images, torch.zeros(3, dtype=torch.int64), names, ["a", "b", "c"])


def seen_by_last_layer(model: Classifier, inputs: Tensor) -> Tensor:
    layer = last_linear(model, inputs)
    assert layer is not None
    with torch.no_grad(), inputs_of(model, layer) as seen:
        model(inputs)
    return seen[0]


@every_model
def test_hidden_values_are_what_the_last_layer_sees_and_answers_can_be_asked_for(name) -> None:
    model, shape = as_after_training(name), small(name)
    spec, data = spec_of_shape(shape), pictures(shape)
    found = hidden_values(model, data, spec)
    torch.testing.assert_close(found, seen_by_last_layer(model, normalize(data.images, spec)), rtol=2e-3, atol=1e-3)
    assert affordable(model, spec, 1e15, 7) == 7
    (shifts,) = answer_curves(model, data.images, spec, usual_changes(min(shape[1:]), every=4)[:1])
    assert shifts.kept[shifts.change.strengths.index(0)].all()
    with torch.no_grad():
        answers = model(normalize(data.images, spec)).argmax(1)
    assert shifts.answers[shifts.change.strengths.index(0)].equal(answers)


def test_so_can_a_network_of_one_logit() -> None:
    spec = spec_of_shape((1, 16, 16), 2)
    model = build(Architecture(name="fast", one_logit=True), spec).eval()
    data = pictures((1, 16, 16), 2)
    found = hidden_values(model, data, spec)
    torch.testing.assert_close(found, seen_by_last_layer(model, normalize(data.images, spec)), rtol=1e-3, atol=1e-4)
