"""Whole batches against a plain NumPy account of them, picture by picture and bit for bit."""

from __future__ import annotations

from unittest import mock

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from striate.core.settings import AugmentSettings
from striate.core.spec import ImageSpec
from striate.data import loader as loaders
from striate.data.augment.geometry import draw_geometry
from striate.data.dataset import ImageDataset
from striate.data.loader import Loader, in_order

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def one_axis(
    picture: NDArray[np.uint8], axis: int, seen: int, start: int, backwards: bool, shift: int, padding: str
) -> NDArray[np.uint8]:
    """Return the window of `seen` places from `start` on, read backwards or not and then shifted, along one axis."""
    room = abs(shift)
    padded = np.pad(picture, [(room, room) if a == axis else (0, 0) for a in range(3)], mode=padding)
    window = padded.take(range(start, start + seen + 2 * room), axis)
    window = np.flip(window, axis) if backwards else window
    return window.take(range(room - shift, room - shift + seen), axis)


@given(
    channels=st.sampled_from([1, 3]),
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    crop=st.none() | st.tuples(st.integers(4, 9), st.integers(4, 9)),
    shift=st.integers(0, 3),
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    edges=st.sampled_from(["reflect", "zero"]),
    count=st.integers(1, 12),
    batch_size=st.integers(2, 6),
    drawn_together=st.integers(1, 12),
    epoch=st.integers(0, 5),
)
@settings(deadline=None, max_examples=60)
def test_batches_are_windows_flipped_shifted_and_normalised(
    channels, size, crop, shift, flips, edges, count, batch_size, drawn_together, epoch
) -> None:
    crop = crop and (min(crop[0], size[0]), min(crop[1], size[1]))
    pixels = np.random.default_rng(count).integers(0, 256, (count, channels, *size), dtype=np.uint8)
    classes, labels = ("a", "b"), torch.arange(count) % 2
    data = ImageDataset(torch.from_numpy(pixels), labels, classes, [str(i) for i in range(count)])
    mean, std = MEAN[:channels], STD[:channels]
    spec = ImageSpec(channels=channels, height=size[0], width=size[1], classes=classes, mean=mean, std=std, crop=crop)
    flip, flip_vertical, alternate = flips
    changes = AugmentSettings(
        flip=flip, flip_vertical=flip_vertical, alternate_flip=alternate, shift=shift, edges=edges
    )
    seen = crop or size
    scale, offset = (np.asarray(values, np.float32)[:, None, None] for values in (std, mean))
    batches = Loader(data, spec, changes, batch_size, 3, torch.device("cpu"))
    with mock.patch.object(loaders, "DRAW", drawn_together):
        made = list(batches.epoch(epoch))
    for batch in made:
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        for index, image in zip(batch.indices, batch.images.numpy(), strict=True):
            expected = pixels[index]
            drawn = draw_geometry(changes, size, 3, epoch, index[None], crop)
            if drawn is not None:
                left, top = (0, 0) if drawn.window is None else drawn.window[0].tolist()
                across, down = drawn.shift[0].tolist()
                padding = "symmetric" if edges == "reflect" else "constant"
                expected = one_axis(expected, 1, seen[0], top, bool(drawn.flip), down, padding)
                expected = one_axis(expected, 2, seen[1], left, bool(drawn.mirror), across, padding)
            expected = expected.astype(np.float32) * (np.float32(1) / (np.float32(255) * scale)) - offset / scale
            assert np.array_equal(image, expected)


@given(
    channels=st.sampled_from([1, 3]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    batch_size=st.integers(1, 5),
)
@settings(deadline=None, max_examples=30)
def test_pictures_to_be_measured_are_normalised_and_nothing_else(channels, size, batch_size) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, channels, *size), dtype=np.uint8)
    data = ImageDataset(torch.from_numpy(pixels), torch.arange(7) % 2, ("a", "b"), [str(i) for i in range(7)])
    spec = ImageSpec(
        channels=channels, height=size[0], width=size[1], classes=data.classes, mean=MEAN[:channels], std=STD[:channels]
    )
    scale, offset = (np.asarray(values, np.float32)[:, None, None] for values in (spec.std, spec.mean))
    inputs = torch.cat(list(in_order(data, spec, batch_size, torch.device("cpu"))))
    expected = pixels.astype(np.float32) * (np.float32(1) / (np.float32(255) * scale)) - offset / scale
    assert np.array_equal(inputs.numpy(), expected)
