"""Randomised weights: a map that stays the same when a network forgets what it has learned does not show that.

Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018: maps of a network and of the same network with
weights drawn anew are compared by the correlation of their ranks (Spearman).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from striate.models import Classifier


def randomised(model: Classifier, seed: int) -> Classifier:
    """Return a copy whose every layer is drawn anew, in evaluation mode; the network and torch's generator stay.

    Layers begin as torch begins them; a weight beside the layers (a class token) has its values dealt anew.
    """
    device = next(model.parameters()).device
    twin = copy.deepcopy(model).cpu()
    with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for module in twin.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
                continue
            for parameter in module.parameters(recurse=False):
                values = parameter.flatten()
                parameter.copy_(values[torch.randperm(len(values))].view_as(parameter))
    return twin.to(device).eval()


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Return Spearman's ρ of each pair of rows, float64 N, in [−1, 1]; equal values share their mean rank.

    It is 0 where a row is the same everywhere: such a row resembles nothing.

    Args:
        first, second: N M.
    """
    a, b = (_ranks(rows) for rows in (first, second))
    a, b = (ranks - ranks.mean(1, keepdim=True) for ranks in (a, b))
    below = (a.square().sum(1) * b.square().sum(1)).sqrt()
    return torch.where(below > 0, (a * b).sum(1) / below.clamp_min(1e-300), 0.0)


def _ranks(rows: Tensor) -> Tensor:
    """Return the ranks within each row, float64 N M; the mean of equal ones."""
    less = torch.stack([torch.searchsorted(*_sorted(row), right=False) for row in rows])
    not_more = torch.stack([torch.searchsorted(*_sorted(row), right=True) for row in rows])
    return (less + not_more).double() / 2


def _sorted(row: Tensor) -> tuple[Tensor, Tensor]:
    row = row.contiguous()
    return row.sort().values, row
