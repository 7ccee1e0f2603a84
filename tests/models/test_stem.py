"""The whitening stem against NumPy's covariance and against what whitening means."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from striate.models.stem import PatchStem, patch_moments, whitening_filters


def pictures(count: int = 40, channels: int = 3, side: int = 9) -> Tensor:
    """Return pictures whose neighbouring pixels and channels are alike, away from zero."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(count, channels, side, side)).cumsum(2).cumsum(3) / side
    return torch.from_numpy(noise + noise[:, :1] + 0.5).float()


def patches_of(images: Tensor) -> np.ndarray:
    """Return all 2×2 patches, n D, cut out one by one."""
    side = images.shape[2]
    cut = [images[:, :, y : y + 2, x : x + 2].flatten(1) for y in range(side - 1) for x in range(side - 1)]
    return torch.cat(cut).double().numpy()


@pytest.mark.parametrize("channels", [1, 3])
def test_moments_are_numpys_however_the_pictures_are_batched(channels) -> None:
    images = pictures(channels=channels)
    mean, covariance = patch_moments(iter(images.split(7)))
    patches = patches_of(images)
    np.testing.assert_allclose(mean.numpy(), patches.mean(0), atol=1e-6)
    np.testing.assert_allclose(covariance.numpy(), np.cov(patches.T, bias=True), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_stem_whitens_the_pictures_it_was_made_of_and_doubles_with_the_other_sign(channels) -> None:
    images = pictures(channels=channels)
    stem = PatchStem(channels, whitened=True, activation=nn.Identity())
    stem.whiten(images.split(11))
    with torch.no_grad():
        maps = stem(images)
    assert maps.shape == (40, 8 * channels, 8, 8)
    half = 4 * channels
    torch.testing.assert_close(maps[:, half:], -maps[:, :half])
    values = maps[:, :half].permute(1, 0, 2, 3).flatten(1).double().numpy()
    eigenvalues = np.linalg.eigvalsh(np.cov(patches_of(images).T, bias=True))
    wanted = eigenvalues / (eigenvalues + 5e-4 * eigenvalues.mean())  # ε takes from rare differences only
    np.testing.assert_allclose(values.mean(1), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(values, bias=True), np.diag(wanted), atol=5e-3)


def test_without_epsilon_filters_are_those_of_the_inverse_root_of_the_covariance() -> None:
    covariance = np.cov(np.random.default_rng(0).normal(size=(6, 50)).cumsum(0))
    filters = whitening_filters(torch.from_numpy(covariance), epsilon=0).numpy()
    np.testing.assert_allclose(filters.T @ filters, np.linalg.inv(covariance), rtol=1e-4)


@pytest.mark.parametrize("level", [0.0, 1.7])
def test_pictures_without_differences_give_finite_filters(level) -> None:
    stem = PatchStem(1, whitened=True, activation=nn.GELU())
    images = torch.full((4, 1, 8, 8), level)
    stem.whiten([images])
    assert bool(torch.isfinite(stem.conv.weight).all())
    flat = torch.linspace(-1, 1, 50)[:, None, None, None].expand(50, 1, 8, 8)  # one eigenvalue above zero
    stem.whiten([flat])
    assert float(stem.conv.weight.detach().abs().max()) < 1 / (5e-4 / 4) ** 0.5 / float(flat.std())
    assert bool(torch.isfinite(stem(flat)).all())


def test_whitening_filters_are_left_alone_by_training_and_learned_ones_are_not() -> None:
    for whitened in (True, False):
        stem = PatchStem(3, whitened=whitened, activation=nn.GELU())
        stem(pictures()).sum().backward()
        assert (stem.conv.weight.grad is None) == whitened
        assert stem.conv.bias.grad is not None
