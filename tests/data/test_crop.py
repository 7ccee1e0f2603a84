"""The crop that the network sees: random and exact in training, torchvision's centre crop everywhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
import torchvision.transforms.v2.functional as tv
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torchvision.transforms import CenterCrop
from torchvision.transforms.functional import center_crop

from striate.core.settings import AugmentSettings
from striate.core.spec import ImageSpec
from striate.data.augment import Augment
from striate.data.augment.geometry import CROP_RATIO, Geometry, affine_matrix, apply_geometry, draw_geometry, resample
from striate.data.dataset import ImageDataset
from striate.data.decode import picture_to_spec
from striate.data.loader import Loader, in_order, normalize

CPU = torch.device("cpu")
OFF = AugmentSettings(flip=False, shift=0)


def spec_of(height: int, width: int, crop: tuple[int, int] | None, channels: int = 3) -> ImageSpec:
    return ImageSpec(
        channels=1 if channels == 1 else 3,
        height=height,
        width=width,
        classes=("a", "b"),
        mean=(0.4,) * channels,
        std=(0.2,) * channels,
        crop=crop,
    )


def pictures(count: int, height: int, width: int, channels: int = 3) -> Tensor:
    rng = np.random.default_rng(height * width)
    return torch.from_numpy(rng.integers(0, 256, (count, channels, height, width), dtype=np.uint8))


def dataset(count: int, height: int, width: int) -> ImageDataset:
    labels = torch.arange(count) % 2
    return ImageDataset(pictures(count, height, width), labels, ("a", "b"), [str(i) for i in range(count)])


# The centre


@given(sides=st.tuples(*[st.integers(1, 40)] * 2), cut=st.tuples(*[st.integers(0, 39)] * 2))
@settings(deadline=None, max_examples=150)
def test_the_centre_is_torchvisions_centre_crop(sides, cut):
    crop = (max(sides[0] - cut[0], 1), max(sides[1] - cut[1], 1))
    spec = spec_of(*sides, crop)
    images = pictures(1, *sides)
    assert torch.equal(images[:, :, *spec.centre], center_crop(images, list(crop)))
    assert spec.input_shape == (3, *crop)
    assert spec.picture_shape == (3, *sides)


def test_without_a_crop_all_is_seen():
    spec = spec_of(9, 7, None)
    images = pictures(2, 9, 7)
    assert torch.equal(images[:, :, *spec.centre], images)
    assert spec.input_shape == spec.picture_shape == (3, 9, 7)


@pytest.mark.parametrize("crop", [(9, 8), (8, 10), (0, 4), (4, -1)])
def test_a_crop_that_does_not_fit_into_the_picture_is_no_spec(crop):
    with pytest.raises(ValueError, match="crop"):
        spec_of(8, 9, crop)


def test_evaluation_sees_the_centres():
    data, spec = dataset(7, 12, 11), spec_of(12, 11, (7, 8))
    seen = torch.cat(list(in_order(data, spec, 3, CPU)))
    assert torch.equal(seen, normalize(center_crop(data.images, [7, 8]), spec))
    cut = replace(data, images=center_crop(data.images, [7, 8]))  # as the decoder gives them
    assert torch.equal(torch.cat(list(in_order(cut, spec, 3, CPU))), seen)


def test_a_decoded_picture_is_resized_and_then_cut():
    array = pictures(1, 30, 40)[0].permute(1, 2, 0).numpy()
    spec = spec_of(15, 20, (9, 12))
    whole = picture_to_spec(Image.fromarray(array), spec_of(15, 20, None))
    expected = np.asarray(CenterCrop((9, 12))(Image.fromarray(whole)))
    assert np.array_equal(picture_to_spec(Image.fromarray(array), spec), expected)


# The window in training


def window(places: list[tuple[int, int]], mirror: bool = False, flip: bool = False, shift=(0, 0)) -> Geometry:
    count = len(places)
    return Geometry(
        mirror=torch.full((count,), mirror),
        flip=torch.full((count,), flip),
        shift=torch.tensor([shift] * count),
        window=torch.tensor(places),
    )


@pytest.mark.parametrize(("mirror", "flip"), [(False, False), (True, False), (False, True), (True, True)])
def test_a_window_is_torchvisions_crop_then_flip_byte_for_byte(mirror, flip):
    images = pictures(3, 13, 17)
    places = [(0, 0), (8, 5), (3, 2)]  # left, top
    seen = apply_geometry(images, window(places, mirror, flip), "reflect", (8, 9))
    assert seen.dtype == torch.uint8
    for ours, image, (left, top) in zip(seen, images, places, strict=True):
        theirs = tv.crop(image, top, left, 8, 9)
        theirs = tv.horizontal_flip(theirs) if mirror else theirs
        assert torch.equal(ours, tv.vertical_flip(theirs) if flip else theirs)


@given(
    side=st.tuples(st.integers(2, 12), st.integers(2, 12)),
    cut=st.tuples(st.integers(0, 11), st.integers(0, 11)),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    shift=st.tuples(st.integers(-6, 6), st.integers(-6, 6)),
    mirror=st.booleans(),
    flip=st.booleans(),
    edges=st.sampled_from(["reflect", "zero"]),
)
@settings(deadline=None, max_examples=100)
def test_gathering_a_window_equals_resampling_it(side, cut, place, shift, mirror, flip, edges):
    size = (max(side[0] - cut[0], 1), max(side[1] - cut[1], 1))
    left, top = round(place[0] * (side[1] - size[1])), round(place[1] * (side[0] - size[0]))
    images, geometry = pictures(2, *side), window([(left, top)] * 2, mirror, flip, shift)
    gathered = apply_geometry(images, geometry, edges, size)
    resampled = resample(images, affine_matrix(geometry, side, size), edges, size)
    torch.testing.assert_close(gathered.float(), resampled, rtol=0, atol=0.05)


def test_a_rotated_window_sees_the_picture_around_it():
    images = pictures(1, 20, 24)
    geometry = Geometry(
        mirror=torch.tensor([False]),
        flip=torch.tensor([False]),
        shift=torch.zeros(1, 2, dtype=torch.int64),
        angle=torch.tensor([90.0]),
        window=torch.tensor([(5, 3)]),
    )
    seen = apply_geometry(images, geometry, "zero", (10, 8))
    # a quarter turn about the window's centre needs a part of 8 × 10 there
    expected = torch.rot90(tv.crop(images, top=4, left=4, height=8, width=10), 1, (2, 3))
    torch.testing.assert_close(seen, expected.float(), rtol=0, atol=0.05)


def test_windows_are_uniform_over_all_places_and_differ_between_epochs_and_seeds():
    indices = torch.arange(6000)
    drawn = draw_geometry(OFF, (12, 10), 0, 0, indices, (9, 8))
    assert drawn.is_exact
    places = drawn.window[:, 0] + 3 * drawn.window[:, 1]
    counts = torch.bincount(places, minlength=12)
    assert len(counts) == 12
    assert scipy.stats.chisquare(counts.numpy()).pvalue > 0.001
    for seed, epoch in [(1, 0), (0, 1)]:
        assert not torch.equal(draw_geometry(OFF, (12, 10), seed, epoch, indices, (9, 8)).window, drawn.window)


@given(order=st.permutations(range(10)), cut=st.integers(0, 10))
@settings(deadline=None, max_examples=20)
def test_windows_do_not_depend_on_the_batch(order, cut):
    whole = draw_geometry(OFF, (30, 30), 3, 1, torch.arange(10), (8, 8)).window
    parts = [
        draw_geometry(OFF, (30, 30), 3, 1, torch.tensor(part, dtype=torch.int64), (8, 8)).window
        for part in (order[:cut], order[cut:])
    ]
    assert torch.equal(torch.cat(parts), whole[order])


def test_a_resized_crop_lies_inside_the_window():
    size, seen, indices = (40, 50), (20, 24), torch.arange(500)
    scaled = AugmentSettings(flip=False, shift=0, crop_scale=0.3)
    places = draw_geometry(OFF, size, 0, 0, indices, seen).window
    geometry = draw_geometry(scaled, size, 0, 0, indices, seen)
    assert geometry.window is None
    corner = geometry.crop[:, :2] - places
    assert bool((corner >= 0).all())
    assert bool((corner + geometry.crop[:, 2:] <= torch.tensor([24, 20])).all())
    ratio = geometry.crop[:, 2] / geometry.crop[:, 3]
    assert CROP_RATIO[0] * 0.8 < ratio.min() < ratio.max() < CROP_RATIO[1] * 1.25


def test_batches_hold_windows_of_the_pictures_byte_for_byte():
    data, spec = dataset(9, 12, 10), spec_of(12, 10, (8, 7))
    loader = Loader(data, spec, OFF, 4, 0, CPU)
    tops = set()
    for epoch in range(3):
        for batch in loader.epoch(epoch):
            assert batch.images.shape[1:] == spec.input_shape
            left, top = draw_geometry(OFF, (12, 10), 0, epoch, batch.indices, (8, 7)).window.unbind(1)
            tops.update(top.tolist())
            for seen, index, x, y in zip(batch.images, batch.indices, left, top, strict=True):
                cut = tv.crop(data.images[index], int(y), int(x), 8, 7)[None]
                assert torch.equal(seen, normalize(cut, spec)[0])
    assert len(tops) > 2


@pytest.mark.parametrize(
    "changes",
    [
        AugmentSettings(flip=True, shift=2, erase=1.0),
        AugmentSettings(rotate=20, zoom=0.1, erase=1.0, brightness=0.3),
        AugmentSettings(crop_scale=0.4, cutmix=1.0),
        AugmentSettings(mixup=1.0),
    ],
)
def test_every_other_change_happens_in_what_is_seen(changes):
    spec = spec_of(12, 10, (8, 7))
    for batch in Loader(dataset(9, 12, 10), spec, changes, 4, 0, CPU).epoch(1):
        assert batch.images.shape[1:] == (3, 8, 7)
        assert bool(torch.isfinite(batch.images).all())


def test_a_crop_as_large_as_the_picture_changes_nothing():
    images, indices = pictures(5, 9, 11), torch.arange(5)
    for changes in (AugmentSettings(flip=True, shift=2), AugmentSettings(flip=True, rotate=10, crop_scale=0.5)):
        plain = Augment(changes, (9, 11), (0.5,) * 3)
        cropped = Augment(changes, (9, 11), (0.5,) * 3, crop=(9, 11))
        assert torch.equal(
            cropped.apply(images, cropped.draw(0, 0, indices)), plain.apply(images, plain.draw(0, 0, indices))
        )
