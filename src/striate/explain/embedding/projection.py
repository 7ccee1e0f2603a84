"""From many dimensions to two: principal components, t-SNE, and UMAP where it is installed.

t-SNE and UMAP keep who is near whom; how far apart clusters lie, and how large they are drawn, means little.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

from striate.core.errors import SettingsError
from striate.explain.embedding.exact import exact_t_sne

PERPLEXITY, LEAST_TSNE, EXACT = 30.0, 8, 500
START = 1e-4  # standard deviation of the first places
FIRST_COMPONENTS = 50  # kept before t-SNE, as its authors do (van der Maaten and Hinton 2008, section 4.1)
UMAP_NEIGHBOURS = 15


@dataclass(frozen=True, eq=False)
class Principal:
    """Principal components.

    Args:
        points: float64, N c; coordinates along them, the largest variance first.
        shares: float64, c; the part of the whole variance along each.
    """

    points: Tensor
    shares: Tensor


def principal_components(values: Tensor, components: int = 2) -> Principal:
    """Return the coordinates of centred values along the directions of largest variance.

    Each direction's sign makes its largest weight positive, so that equal values are drawn alike everywhere. Where
    there are fewer directions than asked for, the rest are zeros.

    Args:
        values: Float, N F.
        components: How many.
    """
    centred = values.double() - values.double().mean(0)  # N F
    count, size = centred.shape
    # the eigenvectors of the smaller of both products give those of the other
    if size <= count:
        variances, directions = torch.linalg.eigh(centred.T @ centred)  # F, F F
    else:
        variances, left = torch.linalg.eigh(centred @ centred.T)
        directions = F.normalize(centred.T @ left, dim=0)  # F N
    keep = min(components, len(variances))
    variances, directions = variances.flip(0)[:keep].clamp_min(0), directions.flip(1)[:, :keep]
    largest = directions.abs().argmax(0, keepdim=True)
    directions = directions * directions.gather(0, largest).sign()
    points = F.pad(centred @ directions, (0, components - keep))
    shares = F.pad(variances / centred.square().sum().clamp_min(1e-300), (0, components - keep))
    return Principal(points, shares)


def t_sne(values: Tensor, *, perplexity: float | None = None, seed: int = 0, iterations: int = 1000) -> Tensor:
    """Return the map of t-SNE, float64 N 2 (van der Maaten and Hinton 2008).

    Nearness is that of the angle: values are brought to length 1 first. It starts from the principal components and
    runs on one thread, so that the same values and seed give the same map on a machine. Up to 500 pictures every pair
    is compared (`exact_t_sne`); of more it is scikit-learn's Barnes-Hut form.

    Args:
        values: Float, N F.
        perplexity: About how many neighbours count; 30 by default, and fewer for fewer than 91 pictures.
        seed: Of what is drawn; of up to 500 pictures nothing is.
        iterations: 250 or more.

    Raises:
        SettingsError: Fewer than 8 pictures, or a perplexity that is not below their number.
    """
    count = len(values)
    if count < LEAST_TSNE:
        raise SettingsError(f"t-SNE needs {LEAST_TSNE} pictures or more, not {count}", fix="use principal components")
    perplexity = min(PERPLEXITY, (count - 1) / 3) if perplexity is None else perplexity
    if not 0 < perplexity < count:
        raise SettingsError(f"must lie between 0 and {count}, the pictures", where=f"perplexity {perplexity:g}")
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # the order of a sum over threads would decide the map
        seen = principal_components(F.normalize(values.double(), dim=1), FIRST_COMPONENTS).points
        spread = seen[:, 0].std()
        if not spread > 0:
            return torch.zeros(count, 2, dtype=torch.float64)
        start = seen[:, :2] / spread * START
        if count <= EXACT:
            return torch.from_numpy(exact_t_sne(seen.numpy(), perplexity, start.numpy(), iterations))
        from sklearn.manifold import TSNE  # more than a second

        method = TSNE(
            perplexity=perplexity,
            init=start.float().numpy(),
            learning_rate="auto",
            max_iter=iterations,
            random_state=seed,
            n_jobs=1,
        )
        return torch.from_numpy(method.fit_transform(seen.float().numpy())).double()


def has_umap() -> bool:
    """Return whether UMAP is installed."""
    return find_spec("umap") is not None


def umap(values: Tensor, *, seed: int = 0) -> Tensor:
    """Return the map of UMAP by angles, float64 N 2 (McInnes, Healy and Melville 2018, arXiv 1802.03426).

    Args:
        values: Float, N F.
        seed: Of what is drawn.

    Raises:
        SettingsError: UMAP is not installed, or there are fewer than 8 pictures.
    """
    if not has_umap():
        raise SettingsError("UMAP is not installed", where="umap", fix="pip install umap-learn, or use t-SNE")
    if len(values) < LEAST_TSNE:
        raise SettingsError(f"UMAP needs {LEAST_TSNE} pictures or more, not {len(values)}")
    neighbours = min(UMAP_NEIGHBOURS, len(values) - 1)
    method = importlib.import_module("umap").UMAP(n_neighbors=neighbours, metric="cosine", random_state=seed, n_jobs=1)
    return torch.from_numpy(method.fit_transform(values.numpy())).double()
