"""Every network can be explained by every method, from any mode of the caller, and is as it was afterwards."""

from __future__ import annotations

import pytest
import torch

from striate.explain.saliency.integrated_gradients import integrated_gradients
from striate.explain.saliency.maps import METHODS, saliency
from striate.explain.saliency.randomise import randomised

from .networks import OWN, as_after_training, every_model, pictures_of


def state_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@every_model
def test_every_network_gives_maps_and_stays_as_it_is(name):
    shape = (3, 33, 26) if name in OWN else (3, 64, 64)
    model, inputs = as_after_training(name, shape), pictures_of(shape)
    for parameter in list(model.parameters())[::2]:
        parameter.requires_grad_(False)
    list(model.modules())[-1].train()
    before, modes = state_of(model), [module.training for module in model.modules()]
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    hooks = sum(len(module._forward_hooks) for module in model.modules())
    random = torch.get_rng_state()
    for method in ("grad-cam", "grad-cam++"):
        maps = saliency(model, inputs, method)
        assert maps.values.shape == (2, *shape[1:])
        assert maps.values.isfinite().all()
        assert not maps.values.requires_grad
    values = integrated_gradients(model, inputs, steps=(2,)).values
    assert values.isfinite().all()
    assert values.any()
    after = state_of(model)
    assert all(before[key].equal(after[key]) for key in before)
    assert modes == [module.training for module in model.modules()]
    assert wanted == [parameter.requires_grad for parameter in model.parameters()]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert hooks == sum(len(module._forward_hooks) for module in model.modules())
    assert random.equal(torch.get_rng_state())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["fast", "bird-plane", "timm/test_vit2"])
def test_frozen_networks_in_inference_mode_give_the_same_maps(name, method):
    shape = (3, 32, 32)
    model, inputs = as_after_training(name, shape), pictures_of(shape)
    expected = saliency(model, inputs, method).values
    model.requires_grad_(False)
    with torch.inference_mode():
        seen = saliency(model, pictures_of(shape), method).values
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-6)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(saliency(model, inputs, method).values, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_pictures_map_does_not_depend_on_its_batch(method):
    shape = (1, 28, 28)
    model, inputs = as_after_training("fast", shape), pictures_of(shape, 3)
    together = saliency(model, inputs, method, layer="stage2" if METHODS[method].at_layer else None).values
    for one in range(3):
        alone = saliency(model, inputs[one : one + 1], method, layer="stage2" if METHODS[method].at_layer else None)
        torch.testing.assert_close(alone.values[0], together[one], rtol=1e-4, atol=1e-6)


@every_model
def test_a_randomised_copy_has_other_weights_everywhere_and_the_network_and_generator_keep_theirs(name):
    shape = (1, 32, 32)
    model = as_after_training(name, shape)
    before, random = state_of(model), torch.get_rng_state()
    twin, again, other = randomised(model, 1), randomised(model, 1), randomised(model, 2)
    assert random.equal(torch.get_rng_state())
    assert all(before[key].equal(tensor) for key, tensor in model.state_dict().items())
    drawn = {key: tensor for key, tensor in twin.named_parameters() if tensor.ndim > 1}
    assert all(not before[key].equal(tensor) for key, tensor in drawn.items() if before[key].unique().numel() > 1)
    assert all(tensor.equal(again.state_dict()[key]) for key, tensor in twin.state_dict().items())
    assert any(not tensor.equal(other.state_dict()[key]) for key, tensor in twin.state_dict().items())
    assert not any(module.training for module in twin.modules())
