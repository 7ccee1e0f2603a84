"""The resizing of exported files is Pillow's, level for level."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.core.spec import ImageSpec
from striate.data.decode import fit
from striate.deploy.export.resize import Resize
from striate.deploy.onnx_bytes import onnx_bytes, open_session

SIDES = st.integers(1, 70)
INTERPOLATIONS = ["bilinear", "bicubic", "lanczos", "box", "nearest"]
RESIZES = ["crop", "pad", "squash"]


def spec_of(channels: int, side: tuple[int, int], resize: str, interpolation: str) -> ImageSpec:
    return ImageSpec.model_validate(
        {
            "channels": channels, "height": side[0], "width": side[1], "classes": ("a",), "mean": (0,) * channels,
            "std": (1,) * channels, "resize": resize, "interpolation": interpolation, "background": (250, 3, 90),
        }
    )  # fmt: skip


def require_equal(pixels: np.ndarray, spec: ImageSpec) -> None:
    wanted = fit(pixels, spec.height, spec.width, spec.resize, spec.interpolation, spec.background)
    np.testing.assert_array_equal(Resize(spec)(torch.from_numpy(pixels)[None])[0].numpy(), wanted)


@given(
    st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES), st.sampled_from(RESIZES), st.sampled_from(INTERPOLATIONS),
    st.sampled_from([1, 3]), st.integers(0, 2**32 - 1), st.booleans(),
)  # fmt: skip
@settings(max_examples=600)
def test_any_picture_at_any_size(old, new, resize, interpolation, channels, seed, extreme) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 2 if extreme else 256, (*old, channels), dtype=np.uint8) * (255 if extreme else 1)
    require_equal(pixels, spec_of(channels, new, resize, interpolation))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("resize", RESIZES)
def test_photographs_sizes(resize, interpolation) -> None:
    """Tall enough, too, for Pillow to begin with the columns."""
    rng = np.random.default_rng(0)
    for old in ((333, 500), (500, 333), (700, 256), (90, 61), (224, 224)):
        require_equal(rng.integers(0, 256, (*old, 3), dtype=np.uint8), spec_of(3, (224, 224), resize, interpolation))


def test_the_pictures_of_a_batch_do_not_mix() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (4, 19, 23, 3), dtype=np.uint8)
    module = Resize(spec_of(3, (8, 9), "crop", "bilinear"))
    together = module(torch.from_numpy(pixels))
    for number, one in enumerate(pixels):
        assert torch.equal(module(torch.from_numpy(one)[None])[0], together[number])


@pytest.mark.parametrize(("interpolation", "resize"), [("bilinear", "crop"), ("lanczos", "pad"), ("nearest", "squash")])
def test_onnx_runtime_computes_the_same_levels(interpolation, resize) -> None:
    spec = spec_of(3, (16, 13), resize, interpolation)
    example = torch.zeros(2, 19, 21, 3, dtype=torch.uint8)
    session = open_session(onnx_bytes(Resize(spec), example, "pixels", ["resized"], {0: "N", 1: "H", 2: "W"}), "resize")
    rng = np.random.default_rng(0)
    for _ in range(60):
        pixels = rng.integers(0, 256, (*rng.integers(1, 60, 2), 3), dtype=np.uint8)
        (found,) = session.run(None, {"pixels": pixels[None]})
        np.testing.assert_array_equal(found[0], fit(pixels, 16, 13, resize, interpolation, spec.background))
