"""Hand-made detectors against scipy.ndimage, and what each of them finds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from striate.convolution import cross_correlate
from striate.convolution.kernels import KERNELS, read_kernel
from striate.core.errors import SettingsError

PICTURE = np.random.default_rng(0).integers(0, 256, (9, 11)).astype(float)
DETECTORS = [name for name in KERNELS if not name.endswith("blur")]
LINES = {
    "vertical": np.outer(np.ones(5), np.eye(5)[2]),
    "horizontal": np.outer(np.eye(5)[2], np.ones(5)),
    "diagonal": np.eye(5),
    "antidiagonal": np.fliplr(np.eye(5)),
}


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("sobel-vertical", lambda x: ndimage.sobel(x, axis=1, mode="constant")),
        ("sobel-horizontal", lambda x: ndimage.sobel(x, axis=0, mode="constant")),
        ("prewitt-vertical", lambda x: ndimage.prewitt(x, axis=1, mode="constant")),
        ("prewitt-horizontal", lambda x: ndimage.prewitt(x, axis=0, mode="constant")),
        ("laplacian", lambda x: ndimage.laplace(x, mode="constant")),
        ("box-blur", lambda x: ndimage.uniform_filter(x, 3, mode="constant")),
    ],
)
def test_known_filters_are_those_of_scipy(name, theirs) -> None:
    assert_allclose(cross_correlate(PICTURE, KERNELS[name], "same"), theirs(PICTURE), atol=1e-9)


def test_gaussian_blur_is_the_binomial_filter_along_both_axes() -> None:
    assert_allclose(KERNELS["gaussian-blur"], np.outer([1, 2, 1], [1, 2, 1]) / 16)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_plain_area_gives_nothing(name) -> None:
    assert_array_equal(cross_correlate(np.full((6, 6), 77), KERNELS[name]), np.zeros((4, 4)))


@pytest.mark.parametrize("name", LINES)
def test_each_detector_answers_most_to_the_line_of_its_own_direction(name) -> None:
    answers = {line: cross_correlate(picture, KERNELS[name]).max() for line, picture in LINES.items()}
    assert max(answers, key=lambda line: answers[line]) == name
    assert answers[name] == 6
    assert sorted(answers.values())[-2] < 6


def test_the_diagonal_detector_on_5_by_5_gives_a_3_by_3_map_with_its_match_on_the_diagonal() -> None:
    found = cross_correlate(np.eye(5), KERNELS["diagonal"])
    assert found.shape == (3, 3)
    assert_array_equal(found == found.max(), np.eye(3, dtype=bool))


def test_kernels_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        KERNELS["vertical"][0, 0] = 5


@pytest.mark.parametrize(
    ("text", "kernel"),
    [
        ("1,0,-1;2,0,-2;1,0,-1", [[1, 0, -1], [2, 0, -2], [1, 0, -1]]),
        ("-1, 0.5", [[-1, 0.5]]),
        ("1e-1;2;", [[0.1], [2]]),
        ("3", [[3]]),
    ],
)
def test_a_kernel_is_read_from_its_numbers(text, kernel) -> None:
    assert read_kernel(text).tolist() == kernel


def test_a_kernel_is_found_by_its_name() -> None:
    assert read_kernel("laplacian") is KERNELS["laplacian"]


@pytest.mark.parametrize("text", ["1e308,1e308", "1,2;3", "1,,2", "", ";", "1,nan", "inf", "1 2", "sobel", "1,2,x"])
def test_what_is_no_kernel_is_said_with_what_would_be(text) -> None:
    with pytest.raises(SettingsError, match="sobel-vertical"):
        read_kernel(text)
