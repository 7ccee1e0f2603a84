"""Temperature scaling: one number, learned from held-out pictures, that all logits are divided by.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017, arXiv 1706.04599), section 4.2.
Dividing by one positive number changes how sure a network is, and never which class it names.

Where every held-out picture is classified rightly, the temperature of the least cross-entropy is 0, and the network
certain of everything. As Platt does ("Probabilistic outputs for support vector machines", 1999), the
targets are therefore those of the pictures and one more of unknown class: 1 − ε for the true class, and ε spread over
all of them, ε = 1 / (N + 1). Of thousands of pictures this changes nothing; none wrong among 143 come to about 99.3 %.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

RANGE = (1e-3, 1e3)  # of 1 / temperature, for logits whose root mean square about their mean is 1
EXACT = 1e-10  # relative
FOLDS = 5

# with 10 to 25 held-out photographs, a temperature made the probabilities of others worse in nine runs of nine
LEAST_PICTURES = 100


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature T of the least mean cross-entropy of logits / T, which is convex in 1 / T.

    Newton's method within shrinking bounds, in float64, until 1 / T changes by less than 10⁻¹⁰ of itself. 1 where
    all logits of every picture are equal.

    Args:
        logits: Float, N K; finite, N ≥ 1.
        labels: int64 N, or bool N K for the binary cross-entropies of all answers.
    """
    smoothing = 1 / (len(labels) + 1)
    values, truth = logits.double(), labels
    if labels.ndim == 2:  # a logistic output z is a softmax over (0, z)
        values = torch.stack([torch.zeros_like(values), values], 2).flatten(0, 1)  # N·K 2
        truth = labels.flatten().long()
    values = values - values.mean(1, keepdim=True)  # so that the mean logit, which ε weighs, is 0
    scale = float(values.square().mean().sqrt())
    if scale == 0:
        return 1.0
    values = values / scale
    wanted = (1 - smoothing) * values.gather(1, truth[:, None]).mean()

    low, high = RANGE
    inverse = min(max(scale, low), high)  # T = 1
    for _ in range(200):
        shares = (inverse * values).softmax(1)
        means = (shares * values).sum(1)
        slope = float(means.mean() - wanted)
        curvature = float(((shares * values.square()).sum(1) - means.square()).mean())
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        step = inverse - slope / curvature if curvature > 0 else high
        following = step if low < step < high else math.sqrt(low * high)
        if abs(following - inverse) <= EXACT * inverse:
            break
        inverse = following
    return scale / inverse


def cross_fitted(logits: Tensor, labels: Tensor) -> Tensor:
    """Return each picture's logits over the temperature of the other folds' pictures, float64 N K.

    For honest figures on the very pictures that a temperature is fitted to. Picture i is in fold i mod 5; a single
    picture keeps its logits.
    """
    numbers = torch.arange(len(labels))
    result = logits.double().clone()
    for fold in range(min(FOLDS, len(labels)) if len(labels) > 1 else 0):
        inside = numbers % FOLDS == fold
        result[inside] /= fit_temperature(logits[~inside], labels[~inside])
    return result
