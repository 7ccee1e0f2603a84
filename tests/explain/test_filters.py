"""Filters as pictures."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from striate.convolution.layer import feature_maps
from striate.core.errors import SettingsError
from striate.explain.filters import (
    chapter,
    filter_figure,
    filter_order,
    filters_of,
    is_mirrored,
    pixel_filters,
)
from striate.explain.tiles import signed_colours
from striate.models import Architecture, build

from .planted import BAR, CROSS, Planted, fingerprint, with_filters
from .subjects import untrained


def test_filters_of_a_layer_are_its_weights(digits_subject):
    model = digits_subject.model
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    assert filters_of(model).equal(first.weight)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            assert filters_of(model, name).equal(module.weight)
    assert filters_of(model, next(iter(model.stages()))).equal(first.weight)
    with pytest.raises(SettingsError, match="no convolution in this layer"):
        filters_of(model, "classifier")
    with pytest.raises(SettingsError, match="no such layer"):
        filters_of(model, "nothing")


@settings(max_examples=40)
@given(st.integers(0, 2**31), st.integers(1, 12))
def test_orders_are_those_of_numpy(seed, count):
    filters = torch.randn(count, 2, 3, 3, generator=torch.Generator().manual_seed(seed))
    flat = filters.flatten(1).double().numpy()
    norms = np.linalg.norm(flat, axis=1)
    assert filter_order(filters).tolist() == np.argsort(-norms, kind="stable").tolist()
    assert filter_order(filters, "number").tolist() == list(range(count))
    chain = filter_order(filters, "similarity").tolist()
    assert sorted(chain) == list(range(count))
    assert chain[0] == norms.argmax()
    cosines = (flat / norms[:, None]) @ (flat / norms[:, None]).T
    for place, number in enumerate(chain[1:], 1):
        assert cosines[chain[place - 1], number] >= max(cosines[chain[place - 1], other] for other in chain[place:])


def test_similar_filters_stand_together():
    generator = torch.Generator().manual_seed(0)
    families = torch.randn(3, 1, 5, 5, generator=generator)
    filters = torch.cat([families * size for size in (1.0, 0.3, 2.0)])  # 0 3 6, 1 4 7 and 2 5 8 are alike
    order = [number % 3 for number in filter_order(filters, "similarity").tolist()]
    assert sum(before != after for before, after in pairwise(order)) == 2


def test_pixel_filters_of_linear_layers_do_what_the_layers_do():
    torch.manual_seed(0)
    model = Planted([nn.Conv2d(3, 5, 2), nn.Conv2d(5, 4, 1), nn.Conv2d(4, 6, 3, bias=False)]).eval()
    inputs = torch.randn(4, 3, 11, 12)
    filters = pixel_filters(model, "stage3", inputs)
    assert filters.shape == (6, 3, 4, 4)
    with torch.no_grad():
        bias = model(torch.zeros(1, 3, 11, 12))[0].numpy()  # of a zero picture only the biases are left
        maps = model.features(inputs[:1])[0].numpy()
    np.testing.assert_allclose(feature_maps(inputs[0].numpy(), filters.numpy(), bias=bias), maps, atol=1e-4)


def test_pixel_filters_behind_a_whitening_stem_are_its_linear_part():
    architecture = Architecture(name="fast", options={"stem": "whitened", "widths": [8, 8], "depth": 1})
    subject = untrained(_colour_spec(), count=4)
    torch.manual_seed(0)
    model = build(architecture, subject.spec).eval()
    assert model.stem is not None
    model.prepare([torch.randn(8, 3, 32, 32)])
    model.stem.conv.bias.data.zero_()
    pictures = torch.randn(6, 3, 32, 32)
    found = pixel_filters(model, "body.0.conv", torch.cat([pictures, -pictures]))
    # of a picture and its negative each ReLU is open in exactly one, so on average it is half a line
    stem, weight = model.stem.conv.weight.detach().numpy(), model.body[0].conv.weight.detach().numpy() / 2
    expected = np.zeros(found.shape)
    for row, column in np.ndindex(3, 3):
        expected[:, :, row : row + 2, column : column + 2] += np.einsum(
            "fk,kcij->fcij", weight[:, :, row, column], stem
        )
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)
    assert is_mirrored(model.stem.conv.weight)


def _colour_spec():
    from ..conftest import spec_of

    return spec_of(3, 32, 4)


def test_zero_is_white_blue_positive_and_red_negative():
    zero, positive, negative = signed_colours(torch.tensor([[0.0, 1.0, -1.0]]), 1.0)[0].astype(int)
    assert zero.min() >= 245
    assert positive[2] > positive[0] + 50
    assert negative[0] > negative[2] + 50


def shown_tiles(figure) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for image in figure.axes[0].images]


def test_figure_shows_colours_on_grey_and_leaves_nearly_zero_filters_so():
    filters = torch.zeros(3, 3, 2, 2)
    filters[0, 0, 0, 0] = 2.0  # red above grey
    filters[1, 2, 1, 1] = -1.0  # blue below
    filters[2] = 1e-9
    figure = filter_figure(filters, "filters")
    first, second, third = shown_tiles(figure)
    assert first[0, 0].tolist() == [255, 128, 128]
    assert second[1, 1].tolist() == [128, 128, 0]
    assert (third == 128).all()
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"0: 2", "1: 1", "2: ≈ 0"} <= set(texts)


def test_figure_shows_a_channel_that_exists_and_refuses_another():
    filters = torch.randn(20, 7, 3, 3)
    figure = filter_figure(filters, "filters", channel=6, count=16)
    assert len(shown_tiles(figure)) == 16 + 1  # and the scale
    with pytest.raises(SettingsError, match="no such channel"):
        filter_figure(filters, "filters", channel=7)


def test_chapter_tells_what_is_nearly_zero_and_changes_nothing(digits_subject):
    before = fingerprint(digits_subject.model)
    found = chapter(digits_subject, "full")
    assert fingerprint(digits_subject.model) == before
    assert found.plates[0].name == "filters-first"
    assert len({plate.name for plate in found.plates}) == len(found.plates)


def test_silent_filters_are_counted(make_spec):
    subject = untrained(make_spec(1, 12, 2), count=4)
    model = with_filters([BAR, CROSS, 1e-6 * CROSS], relu=False)
    object.__setattr__(subject, "model", model)
    found = chapter(subject, "quick")
    assert found.values["layers"]["body.0"]["nearly_zero"] == 1
    assert "1 of 3 in body.0" in found.text[-1]


def test_a_network_without_a_convolution_is_told(make_spec):
    subject = untrained(make_spec(1, 12, 2), count=4)
    model = Planted([nn.Identity()])
    del model.unused
    model.weight = nn.Parameter(torch.zeros(1))
    object.__setattr__(subject, "model", model)
    assert "no convolution" in chapter(subject, "quick").text[0]
