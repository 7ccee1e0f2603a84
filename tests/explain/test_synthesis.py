"""Pictures made to excite a channel or a class."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from striate.core.errors import SettingsError
from striate.data.loader import normalize
from striate.explain.feature_maps import feature_maps
from striate.explain.synthesis import Target, synthesise
from striate.models import Architecture, build

from .planted import BAR, CROSS, Planted, fingerprint, with_filters


def network(spec):
    torch.manual_seed(0)
    return build(Architecture(name="fast"), spec).eval()


def answering(model, spec, stage) -> int:
    """Return the channel that answers most to noise: in a network that nobody trained some never answer."""
    noise = torch.randn(20, *spec.input_shape, generator=torch.Generator().manual_seed(0))
    return int(feature_maps(model, noise, stage)[stage].mean((0, 2, 3)).argmax())


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (1, 28), (3, 9), (3, 32)])
def test_excitation_rises_on_pictures_of_any_size_and_is_that_of_the_picture(make_spec, channels, side):
    spec = make_spec(channels, side, 3)
    model = network(spec)
    before = fingerprint(model)
    stages = list(model.stages())
    targets = [Target(0, stages[0]), Target(answering(model, spec, stages[-1]), stages[-1]), Target(2)]
    made = synthesise(model, spec, targets, steps=25)
    assert fingerprint(model) == before
    assert made.images.shape == (3, *spec.input_shape)
    assert made.images.dtype == torch.uint8
    assert (made.after > made.before).all()
    with torch.no_grad():
        inputs = normalize(made.images, spec)
        maps = model.stages()[stages[0]](inputs)[0, 0]
        assert float(made.after[0]) == pytest.approx(float(maps.mean()), rel=1e-3)
        assert float(made.after[2]) == pytest.approx(float(model(inputs)[2, 2]), rel=1e-3)


def test_sides_may_differ_and_pictures_be_normalised_by_themselves(make_spec):
    for changed in ({"width": 20}, {"whiten": True}, {"crop": (10, 12)}):
        spec = make_spec(1, 12, 2).model_copy(update=changed)
        made = synthesise(network(spec), spec, [Target(1)], steps=40)
        assert made.images.shape[1:] == spec.input_shape
        assert (made.after > made.before).all()


def test_a_picture_depends_on_seed_and_target_alone(make_spec):
    spec = make_spec(1, 16, 4)
    model = network(spec)
    alone = synthesise(model, spec, [Target(3)], steps=12, seed=5).images
    again = synthesise(model, spec, [Target(0), Target(3)], steps=12, seed=5).images
    other = synthesise(model, spec, [Target(3)], steps=12, seed=6).images
    assert (alone[0].int() - again[1].int()).abs().max() <= 2
    assert (alone[0].int() - other[0].int()).abs().max() > 10


def test_the_picture_shows_the_planted_pattern_as_noise_never_does(make_spec):
    spec = make_spec(1, 16, 2)
    model = with_filters([BAR, BAR.mT])
    made = synthesise(model, spec, [Target(0, "stage2"), Target(1, "stage2")], steps=80)
    noise = torch.randint(0, 256, (500, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        of_noise = model.features(normalize(noise.byte(), spec)).mean((2, 3)).amax(0)
        of_made = model.features(normalize(made.images, spec)).mean((2, 3))
    assert of_made[0, 0] > 1.1 * of_noise[0]
    assert of_made[1, 1] > 1.1 * of_noise[1]
    assert of_made[0, 0] > of_made[1, 0]  # each its own
    assert of_made[1, 1] > of_made[0, 1]


def test_a_target_that_is_silent_at_the_start_is_woken(make_spec):
    spec = make_spec(1, 16, 2)
    convolution = nn.Conv2d(1, 1, 3)
    convolution.weight.data = BAR[None, None]
    convolution.bias.data.fill_(-2.0)  # low contrasts stay below
    made = synthesise(Planted([convolution, nn.ReLU()]).eval(), spec, [Target(0, "stage2")], steps=30)
    assert made.after > made.before
    assert made.after > 0.1


def test_what_cannot_be_excited_keeps_its_start(make_spec):
    spec = make_spec(1, 8, 2)
    model = with_filters([0 * BAR, BAR])
    made = synthesise(model, spec, [Target(0, "stage2")], steps=3)
    assert float(made.after) == float(made.before) == 0.0


@pytest.mark.parametrize(
    ("target", "message"), [(Target(9), "no such class: 9"), (Target(7, "stage1"), "no such channel of stage1: 7")]
)
def test_unknown_targets_are_refused(make_spec, target, message):
    with pytest.raises(SettingsError, match=message):
        synthesise(with_filters([BAR, CROSS]), make_spec(1, 8, 2), [target], steps=1)


def test_an_unknown_layer_is_refused(make_spec):
    with pytest.raises(SettingsError, match="no such layer"):
        synthesise(with_filters([BAR]), make_spec(1, 8, 2), [Target(0, "stage7")], steps=1)
