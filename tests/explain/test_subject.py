"""The subject, and the hooks by which a network is looked into."""

from __future__ import annotations

import pytest
import torch

from striate.core.errors import SettingsError
from striate.data.loader import normalize
from striate.explain.hooks import find_layer, outputs_of
from striate.explain.subject import Subject


def hooks_of(subject: Subject) -> int:
    return sum(len(module._forward_hooks) for module in subject.model.modules())


def test_outputs_of_stages_chain_to_the_logits(digits_subject):
    inputs = digits_subject.inputs(digits_subject.pictures.images[:3])
    with torch.inference_mode(), outputs_of(digits_subject.model.stages()) as outputs:
        logits = digits_subject.model(inputs)
        torch.testing.assert_close(digits_subject.model.head(list(outputs.values())[-1]), logits)
    assert list(outputs) == list(digits_subject.model.stages())
    assert hooks_of(digits_subject) == 0


def test_hooks_are_gone_after_an_error(digits_subject):
    with pytest.raises(RuntimeError), outputs_of(digits_subject.model.stages()):
        digits_subject.model(torch.zeros(1, 7, 8, 8))
    assert hooks_of(digits_subject) == 0


def test_a_layer_is_found_by_stage_or_module_and_the_last_stage_by_default(digits_subject):
    stages = digits_subject.model.stages()
    last = list(stages)[-1]
    assert find_layer(digits_subject.model, None) == (last, stages[last])
    path, module = list(digits_subject.model.named_modules())[3]
    assert find_layer(digits_subject.model, path)[1] is module
    with pytest.raises(SettingsError, match="no such layer") as caught:
        find_layer(digits_subject.model, last + "x")
    assert f"'{last}'" in str(caught.value)


def test_inputs_are_the_normalised_pictures(digits_subject):
    images = digits_subject.pictures.images[:5]
    assert digits_subject.inputs(images).equal(normalize(images, digits_subject.spec))


def test_examples_are_different_pictures_and_begin_with_the_most_confident_mistake(digits_subject):
    chosen = digits_subject.examples(12).tolist()
    assert len(chosen) == len(set(chosen)) == 12
    wrong = (digits_subject.evaluation.predictions != digits_subject.evaluation.labels).nonzero().squeeze(1)
    probabilities = digits_subject.evaluation.probabilities.amax(1)
    assert chosen[0] == int(wrong[probabilities[wrong].argmax()])
