"""The pictures that excite channels most, beside all pictures sorted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from striate.core.errors import SettingsError
from striate.explain.channels import telling_channels
from striate.explain.excitation import most_exciting
from striate.models.receptive import receptive_fields

from .planted import BAR, CROSS, Planted, fingerprint, with_filters


def small_network() -> Planted:
    torch.manual_seed(0)
    return Planted([nn.Conv2d(2, 5, 3, stride=2), nn.ReLU(inplace=True), nn.Conv2d(5, 3, 2)]).eval()


@settings(max_examples=20)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(1, 5))
def test_as_sorting_all_pictures_by_hand(sizes, count):
    model = small_network()
    pictures = torch.randint(0, 3, (sum(sizes), 2, 8, 9), generator=torch.Generator().manual_seed(1)).float()
    found = most_exciting(model, pictures.split(sizes), model.stages(), count)
    with torch.no_grad():
        first = model.body[0](pictures)
        maps = {"stage1": first, "stage2": first.relu(), "stage3": model.body[2](first.relu())}
    for name, all_maps in maps.items():
        values = all_maps.flatten(2).numpy()  # N F h·w
        peaks = values.max(2)
        order = np.argsort(-peaks, axis=0, kind="stable")[:count]
        ours = found[name]
        np.testing.assert_allclose(ours.values, np.take_along_axis(peaks, order, 0).T, atol=1e-5)
        np.testing.assert_allclose(ours.mean, peaks.mean(0), atol=1e-5)
        np.testing.assert_allclose(ours.deviation, peaks.std(0), atol=1e-4)
        assert ours.map_size == tuple(all_maps.shape[2:])
        assert ours.count == len(pictures)
        for channel, numbers in enumerate(ours.pictures.tolist()):
            for kept, number in enumerate(numbers):
                row, column = ours.places[channel, kept].tolist()
                assert all_maps[number, channel, row, column] == pytest.approx(peaks[number, channel], abs=1e-5)
                np.testing.assert_allclose(ours.maps[channel, kept], all_maps[number, channel], atol=1e-5)


def test_batches_do_not_matter_and_earlier_pictures_win():
    model = small_network()
    pictures = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(2)).repeat(3, 1, 1, 1)  # each thrice
    whole = most_exciting(model, [pictures], model.stages(), 2)
    for size in (1, 5):
        parts = most_exciting(model, pictures.split(size), model.stages(), 2)
        for name in whole:
            torch.testing.assert_close(parts[name].values, whole[name].values)
    assert set(whole["stage1"].pictures[:, 0].tolist()) <= {0, 1, 2, 3}


def test_planted_patterns_are_found_with_their_places():
    model = with_filters([BAR, CROSS])
    pictures = 0.05 * torch.randn(30, 1, 16, 18, generator=torch.Generator().manual_seed(3))
    pictures[7, 0, 4:7, 9:12] = BAR
    pictures[21, 0, 12:15, 2:5] = CROSS
    before = fingerprint(model)
    found = most_exciting(model, pictures.split(8), model.stages(), 3)["stage2"]
    assert fingerprint(model) == before
    assert found.pictures[:, 0].tolist() == [7, 21]
    assert found.places[:, 0].tolist() == [[4, 9], [12, 2]]
    rows, columns = receptive_fields(model, model.stages(), (1, 16, 18))["stage2"]
    assert (rows.span(4), columns.span(9)) == ((4, 7), (9, 12))
    assert found.values[:, 0].tolist() == pytest.approx([float(BAR.square().sum()), 9.0], abs=1e-3)


def test_channels_without_an_answer_are_known_and_never_shown():
    model = with_filters([BAR, 0 * CROSS, CROSS])
    found = most_exciting(model, [torch.randn(9, 1, 8, 8)], model.stages(), 4)["stage2"]
    assert found.silent.tolist() == [False, True, False]
    assert sorted(telling_channels(found, 5).tolist()) == [0, 2]


def test_large_maps_are_kept_small_by_their_maxima():
    model = with_filters([BAR])
    pictures = torch.randn(3, 1, 58, 16)  # maps of 56×14
    found = most_exciting(model, [pictures], model.stages(), 3)["stage1"]
    with torch.no_grad():
        maps = model.body[0](pictures)[found.pictures[0], 0]
    np.testing.assert_allclose(found.maps[0], maps.unflatten(2, (7, 2)).unflatten(1, (7, 8)).amax((2, 4)), atol=1e-5)


def test_dense_layers_are_maps_of_one_pixel_and_others_are_refused():
    model = Planted([nn.Conv2d(1, 2, 8), nn.Flatten(), nn.Linear(2, 4), nn.Unflatten(1, (4, 1, 1))]).eval()
    found = most_exciting(model, [torch.randn(5, 1, 8, 8)], {"dense": model.body[2]}, 9)["dense"]
    assert found.values.shape == (4, 5)
    assert found.map_size == (1, 1)
    with pytest.raises(SettingsError, match="unused"):
        most_exciting(model, [torch.randn(5, 1, 8, 8)], {"unused": model.unused})
