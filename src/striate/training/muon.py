"""Muon: momentum whose direction is orthogonalised, for the filters of convolutions and dense layers.

A filter bank is a matrix, outputs × inputs. The gradient's few large singular values would drown the rest;
Muon puts near 1 in the place of all of them, so that every direction of a layer moves equally far
(Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024). Fixing the length of the
weights beside it is from the same author's CIFAR-10 speed records (Jordan, "94% on CIFAR-10 in 3.29 seconds
on a single GPU", arXiv 2404.00498, and its later versions).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from striate.core.device import constant

# of the odd polynomial a x + b x³ + c x⁵, steepest at 0 of those that keep [0, 1] near 1 when repeated (Jordan)
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 3


def orthogonalize(matrices: Tensor, steps: int = STEPS) -> Tensor:
    """Return U f(S) Vᵀ of each matrix U S Vᵀ, in the matrices' own precision; a zero matrix stays zero.

    f is the repeated quintic Newton–Schulz step on the singular values, divided by their Euclidean norm: after
    five steps it takes [0.01, 1] into [0.68, 1.13], after three [0.1, 1]. Only products of matrices are needed.

    Args:
        matrices: Floating, … M N.
        steps: How often the polynomial is applied.
    """
    a, b, c = COEFFICIENTS
    if matrices.shape[-2] > matrices.shape[-1]:
        return orthogonalize(matrices.mT, steps).mT
    # in float64, since the squares of small numbers are zero in float32
    norm = torch.linalg.vector_norm(matrices, dim=(-2, -1), keepdim=True, dtype=torch.float64)
    x = matrices / norm.to(matrices.dtype).clamp_min(torch.finfo(matrices.dtype).tiny)
    # every iterate is a polynomial of the first gram matrix, on the shorter side, times x: that alone is iterated
    gram = x @ x.mT
    factor: Tensor | None = None
    for step in range(steps):
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c) if gram.ndim == 3 else b * gram + c * gram @ gram
        polynomial.diagonal(dim1=-2, dim2=-1).add_(a)
        factor = polynomial if factor is None else polynomial @ factor
        if step + 1 < steps:
            gram = polynomial @ gram @ polynomial
    result: Tensor = x if factor is None else factor @ x
    return result


def orthogonalize_filters(filters: Sequence[Tensor], steps: int = STEPS) -> list[Tensor]:
    """Return each filter bank (outputs, inputs, …) orthogonalised as the matrix outputs × (inputs · …).

    Banks of equal matrices are one batch.
    """
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    flat = [bank.reshape(len(bank), -1) for bank in filters]
    for number, matrix in enumerate(flat):
        alike[(matrix.shape[0], matrix.shape[1])].append(number)
    done = list(filters)
    for numbers in alike.values():
        for number, matrix in zip(numbers, orthogonalize(torch.stack([flat[i] for i in numbers]), steps), strict=True):
            done[number] = matrix.reshape(filters[number].shape)
    return done


@torch.no_grad()
def muon(
    filters: list[Tensor],
    gradients: list[Tensor],
    buffers: list[Tensor],
    *,
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    renormalize: bool,
    skip: Tensor | None = None,
) -> None:
    """Update filter banks and their momentum in place: m ← μ m + g, W ← W' − lr · orth(g + μ m).

    Args:
        filters: W, each of two or more axes, outputs first.
        gradients: g.
        buffers: m, zero before the first step.
        lr: Share of its length by which a bank of fixed length turns.
        momentum: μ.
        nesterov: False puts m itself in the place of g + μ m.
        weight_decay: W' = W (1 − lr · decay), apart from the momentum as in AdamW.
        renormalize: W' = W · √outputs / ‖W‖ instead: filters of length 1 on average, whatever was added.
        skip: A tensor of one float; where it is 1 nothing is changed, whatever the gradients hold.
    """
    moved = list(torch._foreach_add(gradients, buffers, alpha=momentum))
    directions = list(torch._foreach_add(gradients, moved, alpha=momentum)) if nesterov else moved
    turns = orthogonalize_filters(directions)
    kept: Sequence[Tensor]
    if renormalize:
        norms = torch.stack(torch._foreach_norm(filters))
        lengths = constant([len(bank) ** 0.5 for bank in filters], norms.device)
        kept = torch._foreach_mul(filters, (lengths / norms).unbind())
    else:
        kept = torch._foreach_mul(filters, 1 - lr * weight_decay)
    kept = [w.sub_(turn, alpha=lr) for w, turn in zip(kept, turns, strict=True)]
    if skip is not None:
        moved = [torch.where(skip > 0, m, new) for m, new in zip(buffers, moved, strict=True)]
        kept = [torch.where(skip > 0, w, new) for w, new in zip(filters, kept, strict=True)]
    torch._foreach_copy_(buffers, moved)
    torch._foreach_copy_(filters, list(kept))
