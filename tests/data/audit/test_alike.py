"""Near-duplicates: copies are found however they were saved; look-alikes and plain pictures are no copies."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from striate.core.settings import DataSettings
from striate.data.audit.alike import near_duplicates
from striate.data.audit.pictures import Pictures
from striate.data.decode import fit
from striate.data.sources import load_data

from ..picture_bytes import encoded
from .making import brighter, part, photographs, resized_and_back, saved_again, splits

Change = Callable[[Image.Image], Image.Image]


def pairs_in(images: np.ndarray) -> list[tuple[int, int]]:
    pictures = Pictures(splits(part(images)))
    found = near_duplicates(pictures, np.arange(len(images)))
    assert found is not None
    return [tuple(pair) for pair in found.tolist()]


CHANGES = {
    "saved as JPEG": lambda p: saved_again(p, 70),
    "smaller and back": lambda p: resized_and_back(p, p.shape[0] * 7 // 8),
    "brighter": lambda p: brighter(p, 1.0, 20),
    "less contrast": lambda p: brighter(p, 0.8, 20),
    "noise": lambda p: brighter(p + np.random.default_rng(3).normal(0, 3, p.shape), 1, 0),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("side", [48, 96])
def test_every_copy_is_found_and_nothing_else(name: str, side: int) -> None:
    pictures = photographs(60, side)
    copies = np.stack([CHANGES[name](p) for p in pictures[:20]])
    assert pairs_in(np.concatenate([pictures, copies])) == [(i, 60 + i) for i in range(20)]


def test_the_same_shape_in_another_colour_is_another_picture() -> None:
    pictures = photographs(10)
    assert pairs_in(np.concatenate([pictures, pictures[:, :, :, [2, 0, 1]]])) == []


def strokes(count: int, side: int = 28) -> np.ndarray:
    """Digits 'one': a bent stroke of any slant and width on black; many of them are alike."""
    rng = np.random.default_rng(4)
    drawn = []
    for _ in range(count):
        canvas = Image.new("L", (8 * side, 8 * side))
        slant, bend, middle = rng.normal(0, 0.25), rng.normal(0, 0.12), rng.normal(0.5, 0.03)
        top, bottom = rng.uniform(0.08, 0.2), rng.uniform(0.8, 0.92)
        places = [(middle + slant * (y - 0.5) + bend * np.sin(np.pi * y), y) for y in np.linspace(top, bottom, 9)]
        points = [(8 * side * x, 8 * side * y) for x, y in places]
        ImageDraw.Draw(canvas).line(points, fill=255, width=int(rng.uniform(0.06, 0.12) * 8 * side), joint="curve")
        drawn.append(np.asarray(canvas.resize((side, side), Image.Resampling.LANCZOS)))
    return np.stack(drawn)


def test_many_simple_drawings_of_the_same_thing_are_no_copies() -> None:
    found = pairs_in(np.unique(strokes(600), axis=0))
    assert len(found) <= 3, found


def test_plain_pictures_are_no_copies_of_each_other() -> None:
    rng = np.random.default_rng(5)
    levels = rng.integers(0, 256, (100, 1, 1, 3))
    noise = rng.normal(0, 1, (100, 32, 32, 3))
    assert pairs_in((levels + noise).clip(0, 255).astype(np.uint8)) == []


def test_pictures_too_small_to_tell_are_left_alone() -> None:
    images = np.random.default_rng(6).integers(0, 256, (4, 8, 8), dtype=np.uint8)
    assert pairs_in(np.concatenate([images, images])) == []


def test_pictures_enlarged_from_such_small_ones_are_left_alone() -> None:
    digits = load_data("digits", DataSettings(img_size=32)).train.images[:, 0].numpy()
    assert pairs_in(np.unique(digits, axis=0)) == []


def test_digits_by_hand_give_no_alarm(real_data) -> None:
    real_data("mnist")
    images = load_data("mnist", DataSettings()).train.images[:6000, 0].numpy()
    assert len(pairs_in(images)) <= 3


def test_photographs_saved_again_are_found_among_real_ones(real_data) -> None:
    folder = real_data("hymenoptera")
    images = load_data(str(folder), DataSettings(img_size=96)).train.images[:80].permute(0, 2, 3, 1).numpy()
    copies = np.stack([saved_again(p, 60) for p in images[:15]])
    assert set(pairs_in(np.concatenate([images, copies]))) >= {(i, 80 + i) for i in range(15)}


def at(factor: float, other: float | None = None) -> Change:
    return lambda p: p.resize((round(p.width * factor), round(p.height * (other or factor))))


def inner(share: float) -> Change:
    return lambda p: p.crop(
        tuple(round(side * place) for place in (share / 2, 1 - share / 2) for side in (p.width, p.height))
    )


COPIES: dict[str, Change] = {  # what docs/check.md says is found
    "saved at quality 20": lambda p: Image.open(io.BytesIO(encoded(p, "JPEG", quality=20))),
    "half": at(0.5),
    "a quarter": at(0.25),
    "twice": at(2.0),
    "half as bright": lambda p: ImageEnhance.Brightness(p).enhance(0.5),
    "brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.3),
    "less contrast": lambda p: ImageEnhance.Contrast(p).enhance(0.7),
    "more contrast": lambda p: ImageEnhance.Contrast(p).enhance(1.3),
    "stronger colours": lambda p: ImageEnhance.Color(p).enhance(1.5),
    "stretched by 2 %": at(0.98, 1.0),
    "cropped by 2 %": inner(0.02),
}
OTHERS: dict[str, Change] = {  # and what is not
    "mirrored": lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda p: p.transpose(Image.Transpose.ROTATE_90),
    "stretched by 10 %": at(0.9, 1.0),
    "squashed from 4 : 3": at(0.75, 1.0),
    "cropped by 5 %": inner(0.05),
    "framed": lambda p: ImageOps.expand(p, p.width // 20, "white"),
}


@pytest.fixture(scope="module")
def ants(real_data) -> list[Image.Image]:
    files = sorted((real_data("hymenoptera") / "train" / "ants").iterdir())[:80]
    return [Image.open(file).convert("RGB") for file in files]


@pytest.mark.parametrize("name", [*COPIES, *OTHERS])
def test_what_counts_as_a_near_copy_of_a_photograph(ants: list[Image.Image], name: str) -> None:
    change = (COPIES | OTHERS)[name]
    whole = [*ants, *(change(picture) for picture in ants)]
    images = np.stack([fit(np.asarray(picture), 160, 160) for picture in whole])
    found = pairs_in(images)
    assert all(second - first == len(ants) for first, second in found), "no other pair"
    assert (len(found) >= 0.9 * len(ants)) if name in COPIES else (len(found) <= 0.1 * len(ants))
