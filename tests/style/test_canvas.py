"""The space in which the picture is looked for holds every picture, and its gradient is the transform's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from striate.style.canvas import Canvas

SIZES = [(8, 8), (7, 9), (6, 11), (1, 5), (16, 3)]


def drawn(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", SIZES)
def test_it_begins_with_the_very_picture(size):
    start = drawn(1, 3, *size)
    canvas = Canvas(start)
    assert torch.equal(canvas.picture(canvas.blank()), start)


@pytest.mark.parametrize("size", SIZES)
def test_every_change_of_a_picture_is_the_change_of_some_z(size):
    canvas, wanted = Canvas(torch.zeros(1, 3, *size)), drawn(1, 3, *size)
    spectrum = np.fft.rfft2(wanted.numpy(), norm="ortho") / canvas.scale.numpy()
    z = torch.view_as_real(torch.tensor(spectrum.astype(np.complex64)))
    assert z.shape == canvas.blank().shape
    torch.testing.assert_close(canvas.picture(z), wanted, atol=1e-5, rtol=0)


def test_coarse_waves_change_as_natural_pictures_do_by_one_over_f():
    canvas = Canvas(torch.zeros(1, 1, 32, 32))
    assert float(canvas.scale[0, 8] / canvas.scale[0, 16]) == pytest.approx(2)
    assert float(canvas.scale[0, 0]) == float(canvas.scale[0, 1]), "the mean moves as much as the longest wave"


def test_gradients_reach_every_part_that_shows_in_the_picture():
    canvas = Canvas(torch.zeros(1, 1, 4, 4))
    z = canvas.blank().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: canvas.picture(z) ** 2, z + 0.1)
