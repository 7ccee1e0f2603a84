"""The linear head: logistic regression on a network's features, its penalty chosen by cross-validation.

Minimised is the mean loss plus penalty/2 · Σ w², w being the weights on standardised features; biases are free. Labels
of one class each give multinomial regression, label sets a logistic regression per class. Two things make it quick.
In the principal axes of the features Böhning's bound of the Hessian ("Multinomial logistic regression algorithm",
1992) is diagonal, so L-BFGS begins with it and needs few steps. And the heads of all folds are fitted together, so that
the features are read once per step; each penalty, from the strongest on, begins where the one before ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from striate.core.errors import DataError
from striate.data.folds import fold_numbers
from striate.evaluation.decision import decide, is_right, to_probabilities
from striate.training.lbfgs import minimise

FOLDS = 5
PENALTIES = tuple(10.0**-k for k in range(-1, 7))  # the best of them and half a step on either side
ROUGH, FINE = 1e-4, 1e-7  # tolerances: to compare penalties, for held-out probabilities
EXACT = 1e-10  # times penalty²: a gradient g moves weights by up to g / penalty
ROUNDING = 1e-7  # in float32 little more can be told
MOST_AXES = 2048  # principal axes of more features take longer to find than they save
DOUBLE = 2**23  # numbers up to which the arithmetic is float64
CHUNK = 2**22  # logits at a time
CONSTANT = 1e-6  # deviation of a feature that says nothing, as a share of its mean


@dataclass(frozen=True)
class LinearHead:
    """A linear layer for features as they come; their standardisation is in its weights.

    Args:
        weight: float32, K F.
        bias: float32, K.
        penalty: That was chosen, on the weights of standardised features.
        accuracy: Share of the pictures that heads of this penalty tell right that have not seen them.
    """

    weight: Tensor
    bias: Tensor
    penalty: float
    accuracy: float

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits N K of features N F."""
        return F.linear(features, self.weight, self.bias)


def fit_head(
    features: Tensor,
    labels: Tensor,
    classes: int,
    *,
    seed: int = 0,
    weights: Tensor | None = None,
    groups: Tensor | None = None,
) -> LinearHead:
    """Return the linear head whose penalty does best on pictures it has not seen.

    Args:
        features: float32, N F.
        labels: int64 N, values in [0, classes); or bool N K.
        classes: K.
        seed: Of the folds.
        weights: What each picture counts in the loss, N, positive; all alike by default.
        groups: int64 N; pictures of an equal number come into the same fold.

    Raises:
        DataError: All pictures are of one group, so none can be held out.
    """
    problem = _Problem(features, labels, classes, weights)
    found = _cross_validate(problem, divide(labels, FOLDS, seed, groups))
    everything = problem.weights[:, None] / problem.weights.sum()
    tolerance = EXACT * found.penalty**2 if problem.scores.dtype == torch.float64 else ROUNDING
    theta = problem.solve(everything, found.penalty, found.theta.mean(1, keepdim=True), tolerance)
    weight, bias = problem.as_layer(theta[:, 0])
    right = is_right(decide(found.logits, problem.multi_label), problem.labels)
    return LinearHead(weight, bias, found.penalty, float(right.double().mean()))


def out_of_fold(
    features: Tensor, labels: Tensor, classes: int, *, folds: int = 5, seed: int = 0, groups: Tensor | None = None
) -> Tensor:
    """Return the probabilities of each picture by a head that has not seen it: float32, N K.

    All folds share the penalty that does best on their held-out pictures, and the features' means and deviations.

    Args:
        features: float32, N F.
        labels: int64 N, values in [0, classes); or bool N K.
        classes: K.
        folds: Heads; fewer where there are fewer groups.
        seed: Of the folds.
        groups: int64 N; pictures of an equal number come into the same fold.

    Raises:
        DataError: All pictures are of one group, so none can be held out.
    """
    problem = _Problem(features, labels, classes, None)
    fold = divide(labels, folds, seed, groups)
    found = _cross_validate(problem, fold)
    found = _try(problem, fold, found.penalty, found.theta, FINE)
    return to_probabilities(found.logits, problem.multi_label).float()


def divide(labels: Tensor, folds: int, seed: int = 0, groups: Tensor | None = None) -> Tensor:
    """Return each picture's fold, int64 N: as those of a cross-validation, fewer where there are fewer groups.

    Raises:
        DataError: There is one group only.
    """
    count = len(labels) if groups is None else len(groups.unique())
    if count < 2:
        raise DataError("all pictures are of one group, so none can be held out", fix="give more groups, or none")
    return fold_numbers(labels.cpu(), min(folds, count), seed, None if groups is None else groups.cpu())


@dataclass(frozen=True)
class _Found:
    """What a penalty came to: the weights of the folds (R+1 P K), the logits of held-out pictures (N K), their loss."""

    penalty: float
    theta: Tensor
    logits: Tensor
    loss: float


def _cross_validate(problem: _Problem, fold: Tensor) -> _Found:
    """Return the penalty that does best on held-out pictures: from the strongest on to the first that does worse."""
    theta = problem.zeros(int(fold.max()) + 1)
    best: _Found | None = None
    for penalty in PENALTIES:
        found = _try(problem, fold, penalty, theta, ROUGH)
        if best is not None and found.loss >= best.loss:
            break
        best, theta = found, found.theta
    assert best is not None
    beside = [_try(problem, fold, best.penalty * step, best.theta, ROUGH) for step in (sqrt(10), 1 / sqrt(10))]
    return min([best, *beside], key=lambda found: found.loss)


def _try(problem: _Problem, fold: Tensor, penalty: float, start: Tensor, tolerance: float) -> _Found:
    seen = (fold[:, None] != torch.arange(start.shape[1])) * problem.weights[:, None]  # N P
    theta = problem.solve(seen / seen.sum(0), penalty, start, tolerance)
    logits = problem.held_out_logits(theta, fold)
    return _Found(penalty, theta, logits, problem.mean_loss(logits))


class _Problem:
    """Features in the principal axes of their standardised form, with a last column of ones, and their labels.

    Weights `theta` are R+1 P K: axes and bias, problems (one per fold) and classes, float64.
    """

    def __init__(self, features: Tensor, labels: Tensor, classes: int, weights: Tensor | None) -> None:
        assert len(features) == len(labels) > 1
        kind = torch.float64 if features.numel() <= DOUBLE else torch.float32
        features = features.detach().cpu().to(kind)
        self.labels = labels.cpu()
        self.multi_label = labels.ndim == 2
        self.classes = classes
        self.weights = torch.ones(len(labels), dtype=kind) if weights is None else weights.cpu().to(kind)
        variance, self.mean = torch.var_mean(features, 0, correction=0)
        deviation = variance.sqrt()
        varies = deviation > CONSTANT * self.mean.abs()
        self.scale = deviation.where(varies, torch.ones(()).to(kind))
        standard = (features - self.mean) / self.scale
        standard[:, ~varies] = 0.0
        self.axes = _principal_axes(standard)
        scores = standard if self.axes is None else standard @ self.axes  # N R
        self.scores = torch.cat([scores, torch.ones(len(scores), 1, dtype=kind)], 1)
        # Böhning: the Hessian is at most this times the features' moments
        bound = 0.25 if self.multi_label else 0.5
        self.curvature = bound * self.scores.double().square().mean(0)[:, None, None]  # R+1 1 1

    def zeros(self, problems: int) -> Tensor:
        return torch.zeros(self.scores.shape[1], problems, self.classes, dtype=torch.float64)

    def solve(self, shares: Tensor, penalty: float, start: Tensor, tolerance: float) -> Tensor:
        """Return the weights that minimise the sum of the problems' losses, each with its penalty.

        Args:
            shares: What each picture counts in each problem, N P.
            penalty: Of the squared weights.
            start: R+1 P K.
            tolerance: Of `minimise`.
        """
        penalised = torch.full_like(self.curvature, penalty)
        penalised[-1] = 0.0
        inverse = 1 / (self.curvature + penalised)
        rows = max(1, CHUNK // start[0].numel())

        def evaluate(theta: Tensor) -> tuple[float, Tensor]:
            gradient = penalised * theta
            value = 0.5 * float((gradient * theta).sum())
            matrix = theta.to(self.scores.dtype).flatten(1)
            parts = zip(self.scores.split(rows), self.labels.split(rows), shares.split(rows), strict=True)
            for scores, labels, share in parts:
                logits = (scores @ matrix).unflatten(1, theta.shape[1:])  # n P K
                losses, residuals = _losses(logits, labels)
                value += float((losses * share).sum(dtype=torch.float64))
                residuals = (residuals * share[:, :, None]).flatten(1)  # n P·K
                gradient += (residuals.T @ scores).T.reshape(theta.shape)  # of few columns, xᵀr takes ten times as long
            return value, gradient

        return minimise(evaluate, start, inverse, tolerance=tolerance)

    def held_out_logits(self, theta: Tensor, fold: Tensor) -> Tensor:
        """Return the logits of each picture by the problem of its own fold, N K."""
        logits = torch.empty(len(fold), self.classes, dtype=torch.float64)
        for number in range(theta.shape[1]):
            rows = fold == number
            logits[rows] = (self.scores[rows] @ theta[:, number].to(self.scores.dtype)).double()
        return logits

    def mean_loss(self, logits: Tensor) -> float:
        losses, _ = _losses(logits[:, None], self.labels)
        return float((losses[:, 0] * self.weights).sum() / self.weights.sum())

    def as_layer(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight K F and bias K for features as they come, of weights R+1 K."""
        standard = theta[:-1] if self.axes is None else self.axes.double() @ theta[:-1]  # F K
        weight = (standard / self.scale.double()[:, None]).T
        return weight.float().contiguous(), (theta[-1] - weight @ self.mean.double()).float()


def _losses(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return each picture's loss, N P, and its derivative by the logits, N P K."""
    if labels.ndim == 2:
        truth = labels[:, None].to(logits.dtype)
        return (F.softplus(logits) - truth * logits).sum(2), logits.sigmoid() - truth
    log_p = logits.log_softmax(2)
    truth = labels[:, None, None].expand(-1, logits.shape[1], 1)
    losses = -log_p.gather(2, truth).squeeze(2)
    return losses, log_p.exp().scatter_add(2, truth, torch.full_like(truth, -1, dtype=logits.dtype))


def _principal_axes(x: Tensor) -> Tensor | None:
    """Return orthonormal columns, F R, that span the rows of x (N F) and diagonalise xᵀx; None stands for x's own."""
    count, width = x.shape
    if min(count, width) > MOST_AXES:
        return None
    if width <= count:
        _, axes = torch.linalg.eigh((x.T @ x).double())
        return torch.as_tensor(axes, dtype=x.dtype)
    wide = x.double()
    values, vectors = torch.linalg.eigh(wide @ wide.T)
    kept = values > 1e-10 * values[-1].clamp_min(1e-300)
    axes = wide.T @ (vectors[:, kept] / values[kept].sqrt())
    return torch.as_tensor(axes, dtype=x.dtype)
