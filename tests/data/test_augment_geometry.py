"""Flip, shift, rotation, zoom and crop against torchvision on the same parameters."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
import torchvision.transforms.v2.functional as tv
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms import InterpolationMode

from striate.core.settings import AugmentSettings
from striate.data.augment.geometry import (
    CROP_RATIO,
    Geometry,
    affine_matrix,
    apply_geometry,
    draw_geometry,
    resample,
)

BILINEAR = InterpolationMode.BILINEAR
CLOSE = 0.02  # of 255: both sides interpolate in float32


def pictures(count: int = 3, channels: int = 3, height: int = 13, width: int = 17, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (count, channels, height, width), dtype=np.uint8))


def moves(
    count: int,
    mirror: bool = False,
    flip: bool = False,
    shift: tuple[int, int] = (0, 0),
    angle: float | None = None,
    zoom: float | None = None,
    crop: tuple[int, int, int, int] | None = None,
) -> Geometry:
    return Geometry(
        mirror=torch.full((count,), mirror),
        flip=torch.full((count,), flip),
        shift=torch.tensor([shift] * count),
        angle=None if angle is None else torch.full((count,), angle),
        zoom=None if zoom is None else torch.full((count,), zoom),
        crop=None if crop is None else torch.tensor([crop] * count, dtype=torch.float32),
    )


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours.float(), theirs.float(), rtol=0, atol=CLOSE)


@pytest.mark.parametrize("edges", ["reflect", "zero"])
def test_mirroring_equals_torchvisions_horizontal_flip_byte_for_byte(edges):
    images = pictures()
    moved = apply_geometry(images, moves(3, mirror=True), edges)
    assert moved.dtype == torch.uint8
    assert torch.equal(moved, tv.horizontal_flip(images))


@pytest.mark.parametrize("edges", ["reflect", "zero"])
def test_flipping_equals_torchvisions_vertical_flip_byte_for_byte(edges):
    images = pictures()
    assert torch.equal(apply_geometry(images, moves(3, flip=True), edges), tv.vertical_flip(images))


def test_each_sample_has_its_own_parameters():
    images = pictures(4)
    geometry = Geometry(
        mirror=torch.tensor([False, True, False, True]),
        flip=torch.tensor([False, False, True, True]),
        shift=torch.zeros(4, 2, dtype=torch.int64),
    )
    expected = [
        images[0],
        tv.horizontal_flip(images[1]),
        tv.vertical_flip(images[2]),
        tv.vertical_flip(tv.horizontal_flip(images[3])),
    ]
    assert torch.equal(apply_geometry(images, geometry), torch.stack(expected))


@pytest.mark.parametrize("angle", [7.5, -37.0, 90.0, 180.0, -135.0])
def test_rotation_equals_torchvisions_counter_clockwise_rotation(angle):
    images = pictures().float()
    assert_close(apply_geometry(images, moves(3, angle=angle), "zero"), tv.rotate(images, angle, BILINEAR))


@pytest.mark.parametrize(("shift", "zoom"), [((3, -2), 1.3), ((-5, 4), 0.7), ((0, 0), 1.15), ((2, 2), 1.0)])
def test_zoom_and_shift_equal_torchvisions_affine(shift, zoom):
    images = pictures().float()
    theirs = tv.affine(images, angle=0, translate=list(shift), scale=zoom, shear=[0, 0], interpolation=BILINEAR)
    assert_close(apply_geometry(images, moves(3, shift=shift, zoom=zoom), "zero"), theirs)


def test_rotation_zoom_and_shift_together_equal_torchvisions_affine():
    images = pictures(height=20, width=14).float()
    ours = apply_geometry(images, moves(3, shift=(2, -3), angle=25.0, zoom=1.2), "zero")
    # torchvision's affine turns clockwise where its rotate turns counter-clockwise
    theirs = tv.affine(images, angle=-25, translate=[2, -3], scale=1.2, shear=[0, 0], interpolation=BILINEAR)
    assert_close(ours, theirs)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("crop", [(2, 3, 9, 7), (0, 0, 12, 10), (5, 1, 12, 12), (3, 4, 1, 1)])
def test_crop_equals_torchvisions_resized_crop_where_it_reads_inside_the_box(crop, mirror):
    images = pictures().float()
    left, top, width, height = crop
    ours = apply_geometry(images, moves(3, mirror=mirror, crop=crop))
    theirs = tv.resized_crop(images, top, left, height, width, [13, 17], BILINEAR, antialias=False)
    if mirror:
        theirs = tv.horizontal_flip(theirs)
    # torchvision cuts first, so beyond the outermost pixel centres of the box it repeats the box's edge;
    # a single resampling sees the picture's own next pixel there
    rows = (torch.arange(13) + 0.5) * height / 13 - 0.5
    columns = (torch.arange(17) + 0.5) * width / 17 - 0.5
    inside = ((rows >= 0) & (rows <= height - 1))[:, None] & ((columns >= 0) & (columns <= width - 1))[None]
    assert inside.any()
    assert_close(ours[:, :, inside], theirs[:, :, inside])


@pytest.mark.parametrize("size", [(13, 17), (26, 30), (9, 40)])
def test_crop_of_the_whole_picture_equals_torchvisions_resize_up_to_the_edge(size):
    images = pictures().float()
    ours = apply_geometry(images, moves(3, crop=(0, 0, 17, 13)), "reflect", size)
    assert_close(ours, tv.resize(images, list(size), BILINEAR, antialias=False))


@pytest.mark.parametrize("shift", [(0, 0), (4, 0), (0, -4), (3, 4), (-4, -1)])
@pytest.mark.parametrize(("edges", "padding"), [("reflect", "symmetric"), ("zero", "constant")])
def test_shift_equals_padding_and_cropping_in_torchvision(shift, edges, padding):
    images = pictures()
    padded = tv.pad(images, [4], padding_mode=padding)
    theirs = tv.crop(padded, top=4 - shift[1], left=4 - shift[0], height=13, width=17)
    assert torch.equal(apply_geometry(images, moves(3, shift=shift), edges), theirs)


@given(
    side=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    shift=st.tuples(st.integers(-20, 20), st.integers(-20, 20)),
    mirror=st.booleans(),
    flip=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_shift_of_any_length_equals_numpys_symmetric_padding(side, shift, mirror, flip):
    images = pictures(2, 1, *side)
    flipped = images.numpy()[:, :, :: -1 if flip else 1, :: -1 if mirror else 1]
    padded = np.pad(flipped, [(0, 0), (0, 0), (20, 20), (20, 20)], mode="symmetric")
    top, left = 20 - shift[1], 20 - shift[0]
    expected = padded[:, :, top : top + side[0], left : left + side[1]]
    assert np.array_equal(apply_geometry(images, moves(2, mirror, flip, shift)).numpy(), expected)


@given(
    side=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    shift=st.tuples(st.integers(-15, 15), st.integers(-15, 15)),
    mirror=st.booleans(),
    flip=st.booleans(),
    edges=st.sampled_from(["reflect", "zero"]),
)
@settings(deadline=None, max_examples=80)
def test_gathering_whole_pixels_equals_resampling_them(side, shift, mirror, flip, edges):
    images, geometry = pictures(2, 2, *side), moves(2, mirror, flip, shift)
    gathered = apply_geometry(images, geometry, edges)
    resampled = resample(images, affine_matrix(geometry, side, side), edges, side)
    torch.testing.assert_close(gathered.float(), resampled, rtol=0, atol=0.05)


@given(
    mirror=st.booleans(),
    flip=st.booleans(),
    turns=st.integers(0, 3),
    shift=st.tuples(st.integers(-6, 6), st.integers(-6, 6)),
    edges=st.sampled_from(["reflect", "zero"]),
)
@settings(deadline=None, max_examples=60)
def test_one_resampling_equals_flip_then_quarter_turns_then_shift(mirror, flip, turns, shift, edges):
    images = pictures(2, 1, 12, 12)
    once = apply_geometry(images, moves(2, mirror, flip, shift, angle=90.0 * turns), edges)
    step = apply_geometry(images, moves(2, mirror, flip))
    step = torch.rot90(step, turns, (2, 3))  # counter-clockwise in (row, column)
    step = apply_geometry(step, moves(2, shift=shift), edges)
    torch.testing.assert_close(once, step.float(), rtol=0, atol=0.05)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_one_resampling_equals_crop_then_flip_then_quarter_turns(turns, mirror):
    images = pictures(2, 3, 15, 19)
    once = apply_geometry(images, moves(2, mirror, angle=90.0 * turns, crop=(4, 2, 8, 8)), size=(8, 8))
    step = tv.crop(images, top=2, left=4, height=8, width=8)
    step = tv.horizontal_flip(step) if mirror else step
    assert_close(once, torch.rot90(step, turns, (2, 3)))


EVERYTHING = AugmentSettings(flip=True, flip_vertical=True, shift=3, rotate=20, zoom=0.2, crop_scale=0.3)


def fields(geometry: Geometry) -> dict[str, Tensor]:
    return {key: value for key, value in vars(geometry).items() if value is not None}


@given(order=st.permutations(range(12)), cut=st.integers(0, 12))
@settings(deadline=None, max_examples=25)
def test_draws_do_not_depend_on_the_batch_or_its_order(order, cut):
    whole = fields(draw_geometry(EVERYTHING, (20, 24), 5, 2, torch.arange(12)))
    parts = [
        fields(draw_geometry(EVERYTHING, (20, 24), 5, 2, torch.tensor(part, dtype=torch.int64)))
        for part in (order[:cut], order[cut:])
    ]
    for key, values in whole.items():
        assert torch.equal(torch.cat([part[key] for part in parts]), values[order])


def test_draws_change_with_seed_and_epoch():
    indices = torch.arange(50)
    reference = draw_geometry(EVERYTHING, (20, 24), 0, 0, indices)
    for seed, epoch in [(1, 0), (0, 1)]:
        other = draw_geometry(EVERYTHING, (20, 24), seed, epoch, indices)
        for key, values in fields(reference).items():
            assert not torch.equal(values, fields(other)[key])


def test_nothing_is_drawn_where_nothing_may_move():
    assert draw_geometry(AugmentSettings(flip=False, shift=0), (8, 8), 0, 0, torch.arange(3)) is None


def test_flip_and_shift_alone_need_no_interpolation():
    drawn = draw_geometry(AugmentSettings(flip=True, shift=2), (8, 8), 0, 0, torch.arange(3))
    assert drawn.is_exact
    assert not draw_geometry(AugmentSettings(rotate=1), (8, 8), 0, 0, torch.arange(3)).is_exact


def test_draws_are_uniform_over_the_stated_ranges():
    drawn = draw_geometry(EVERYTHING, (20, 24), 0, 0, torch.arange(4000))
    for chosen in (drawn.mirror, drawn.flip):
        assert scipy.stats.binomtest(int(chosen.sum()), 4000, 0.5).pvalue > 0.001
    for axis in (0, 1):
        counts = torch.bincount(drawn.shift[:, axis] + 3, minlength=7)
        assert len(counts) == 7
        assert scipy.stats.chisquare(counts.numpy()).pvalue > 0.001
    for values, low, high in [(drawn.angle, -20, 20), (drawn.zoom, 0.8, 1.2)]:
        assert values.min() >= low
        assert values.max() <= high
        assert scipy.stats.kstest(values.numpy(), "uniform", (low, high - low)).pvalue > 0.001


def test_different_parameters_of_a_sample_are_uncorrelated():
    drawn = draw_geometry(EVERYTHING, (20, 24), 0, 0, torch.arange(4000))
    columns = [drawn.mirror, drawn.flip, drawn.shift[:, 0], drawn.shift[:, 1], drawn.angle, drawn.zoom]
    correlations = np.corrcoef(torch.stack([column.float() for column in columns]).numpy())
    assert np.abs(correlations - np.eye(len(columns))).max() < 4 / np.sqrt(4000)


def test_crop_boxes_lie_inside_and_have_the_stated_area_and_ratio():
    height, width = 400, 500
    drawn = draw_geometry(AugmentSettings(crop_scale=0.2), (height, width), 0, 0, torch.arange(4000))
    left, top, box_width, box_height = drawn.crop.unbind(1)
    assert torch.equal(drawn.crop, drawn.crop.round())
    assert min(left.min(), top.min()) >= 0
    assert (left + box_width).max() <= width
    assert (top + box_height).max() <= height
    share = (box_width * box_height / (height * width)).numpy()
    assert 0.15 < share.min() < 0.22
    assert share.max() <= 1
    # boxes of up to 60 % of the area fit whatever their ratio (500 / 400 · 3/4 …), so nothing was cut off them
    small = share[share < 0.6]
    assert scipy.stats.kstest(small, "uniform", (0.2, 0.4)).pvalue > 0.001
    ratio = (box_width / box_height).numpy()[share < 0.6]
    assert scipy.stats.kstest(np.log(ratio), "uniform", (np.log(3 / 4), 2 * np.log(4 / 3))).pvalue > 0.001
    assert CROP_RATIO == (3 / 4, 4 / 3)


@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
@settings(deadline=None, max_examples=20)
def test_alternating_every_picture_is_mirrored_in_every_other_epoch(seed, epoch):
    by_turns = AugmentSettings(flip=True, alternate_flip=True, shift=0)
    indices = torch.arange(300)

    def mirrored(epoch: int, indices: Tensor = indices) -> Tensor:
        drawn = draw_geometry(by_turns, (8, 8), seed, epoch, indices)
        assert drawn is not None
        return drawn.mirror

    at_random = draw_geometry(AugmentSettings(flip=True, shift=0), (8, 8), seed, 0, indices)
    assert at_random is not None
    assert torch.equal(mirrored(0), at_random.mirror)
    assert torch.equal(mirrored(epoch), ~mirrored(epoch + 1))
    assert torch.equal(mirrored(epoch), mirrored(epoch % 2))
    assert torch.equal(mirrored(epoch)[[7, 3]], mirrored(epoch, torch.tensor([7, 3])))
    assert 90 < int(mirrored(epoch).sum()) < 210
