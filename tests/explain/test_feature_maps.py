"""Feature maps of a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from striate import convolution
from striate.core.errors import SettingsError
from striate.explain.drawing import save_figure
from striate.explain.feature_maps import chapter, feature_map_figure, feature_maps, strength
from striate.explain.subject import Given

from .planted import BAR, CROSS, Planted, fingerprint, with_filters
from .subjects import untrained


def test_maps_are_those_of_a_numpy_convolution_before_and_after_a_relu_in_place():
    model = with_filters([BAR, CROSS])
    pictures = torch.randn(2, 1, 9, 10)
    kernels = torch.stack([BAR, CROSS])[:, None].numpy()
    maps = feature_maps(model, pictures)
    for number in range(2):
        expected = convolution.layer.feature_maps(pictures[number].numpy(), kernels)
        np.testing.assert_allclose(maps["stage1"][number], expected, atol=1e-5)
        np.testing.assert_allclose(maps["stage2"][number], expected.clip(0), atol=1e-5)


def test_maps_of_a_trained_network_and_its_batch_norm(digits_subject):
    model, body = digits_subject.model, digits_subject.model.body[0]
    inputs = digits_subject.inputs(digits_subject.pictures.images[:2])
    assert digits_subject.model.stem is None
    found = feature_maps(model, inputs, "body.0.conv")["body.0.conv"]
    expected = convolution.layer.feature_maps(inputs[0].numpy(), body.conv.weight.detach().numpy(), padding="same")
    np.testing.assert_allclose(found[0], expected, atol=1e-4)
    pooled = feature_maps(model, inputs, "body.0.pool")["body.0.pool"]
    norm = feature_maps(model, inputs, "body.0.norm")["body.0.norm"]  # a ReLU in place follows
    scale = body.norm.weight / (body.norm.running_var + body.norm.eps).sqrt()
    by_hand = (pooled - body.norm.running_mean[:, None, None]) * scale[:, None, None] + body.norm.bias[:, None, None]
    torch.testing.assert_close(norm, by_hand.detach(), atol=1e-4, rtol=1e-4)
    assert norm.min() < 0


def test_looking_changes_nothing(digits_subject):
    model = digits_subject.model
    before = fingerprint(model)
    feature_maps(model, digits_subject.inputs(digits_subject.pictures.images[:3]))
    chapter(digits_subject, "full")
    assert fingerprint(model) == before


def test_a_network_in_training_mode_stays_in_it():
    model = Planted([nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)]).train()
    before = fingerprint(model)
    feature_maps(model, torch.randn(2, 1, 8, 8))
    assert fingerprint(model) == before


def test_layers_without_maps_or_use_are_refused_by_name():
    model = with_filters([BAR, CROSS])
    with pytest.raises(SettingsError, match=r"has no output: unused"):
        feature_maps(model, torch.zeros(1, 1, 8, 8), "unused")
    rows = Planted([nn.Conv2d(1, 2, 3), nn.Flatten(2), nn.Unflatten(2, (6, 6))])
    with pytest.raises(SettingsError, match=r"\(2×36\) is no feature maps: stage2"):
        feature_maps(rows, torch.zeros(1, 1, 8, 8), "stage2")


def test_the_strongest_maps_come_first_and_empty_ones_not_at_all():
    maps = torch.zeros(40, 4, 5)
    for number in range(38):
        maps[number] = (number * 7) % 38 + 1.0
    figure = feature_map_figure(torch.zeros(3, 8, 9), maps, "maps")
    texts = [text.get_text() for text in figure.axes[0].texts]
    shown = [int(text) for text in texts if text.isdigit()][:32]
    assert shown == sorted(range(38), key=lambda number: -strength(maps)[number])[:32]
    few = feature_map_figure(torch.zeros(1, 8, 9), maps[36:], "maps")
    assert len(few.axes[0].images) == 1 + 2 + 1  # the picture, two maps and the scale


def test_empty_maps_alone_are_drawn_all_the_same(tmp_path):
    figure = feature_map_figure(torch.zeros(1, 8, 8), torch.zeros(3, 2, 2), "nothing")
    save_figure(figure, tmp_path / "nothing.png")


def test_signed_maps_have_zero_in_the_middle():
    maps = torch.tensor([[[-2.0, 0.0], [1.0, 2.0]]])
    figure = feature_map_figure(torch.zeros(1, 8, 8), maps, "maps")
    image = np.asarray(figure.axes[0].images[1].get_array()).astype(int)
    assert image[0, 1].min() >= 245
    assert "−2" in [text.get_text() for text in figure.axes[0].texts]


def test_chapter_shows_the_users_pictures(digits_subject):
    given = Given(digits_subject.pictures.images[:2], ["a $1$ name", "b.png"])
    found = chapter(replace(digits_subject, given=given), "full")
    layers = [name for name, value in found.values["layers"].items() if value["shape"][1] > 1]
    assert len(found.plates) == 2 * len(layers)
    assert len({plate.name for plate in found.plates}) == len(found.plates)
    texts = [text.get_text() for text in found.plates[0].figure.axes[0].texts]
    assert "a $1$ name" in texts


def test_chapter_of_one_picture_and_of_one_layer(make_spec):
    subject = untrained(make_spec(1, 28, 2), count=1)
    assert chapter(subject, "quick").plates
    name = list(subject.model.stages())[-1]
    (plate,) = chapter(replace(subject, layer=name), "quick").plates
    assert name in plate.name
