"""The Classifier contract: one logit per class, the same however a picture comes to the network."""

from __future__ import annotations

import copy

import pytest
import torch

from striate.models import place

from .networks import CLASSES, as_after_training, every_model, every_own_model, every_shape, made, pictures_of, small


@every_shape
def test_forward_gives_one_logit_per_class(name, shape):
    with torch.no_grad():
        logits = made(name, shape).eval()(pictures_of(shape, 3))
    assert logits.shape == (3, CLASSES)
    assert logits.dtype == torch.float32
    assert bool(torch.isfinite(logits).all())


@every_model
def test_evaluation_mode_is_deterministic_and_changes_no_statistics(name):
    model, pictures = as_after_training(name), pictures_of(small(name), 4)
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model(pictures), model(pictures))
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


@every_model
def test_a_picture_alone_gets_the_logits_it_gets_in_a_batch(name):
    model, pictures = as_after_training(name), pictures_of(small(name), 5)
    with torch.no_grad():
        together = model(pictures)
        alone = torch.cat([model(picture[None]) for picture in pictures])
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-5)


@every_model
def test_memory_layout_of_the_filters_does_not_change_the_logits(name):
    model, pictures = as_after_training(name, small(name, 3)), pictures_of(small(name, 3))
    with torch.no_grad():
        before = model(pictures)
        placed = place(model, torch.device("cpu"))
        after = placed(pictures.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
@every_own_model
def test_memory_layout_of_the_pictures_does_not_change_a_bit_of_the_logits(name, channels):
    model = place(as_after_training(name, small(name, channels)), torch.device("cpu"))
    pictures = pictures_of(small(name, channels)).contiguous()
    last = pictures.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).permute(0, 3, 1, 2)
    assert pictures.stride() != last.stride()
    with torch.no_grad():
        assert torch.equal(model(pictures), model(last))
        maps = model.features(pictures)
    assert maps.is_contiguous(memory_format=torch.channels_last)
