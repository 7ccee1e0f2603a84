"""Trip-wires: the mistakes that training survives and results do not, caught where they happen.

Others stand where their data pass: labels out of range in `ImageDataset`, training pictures among those
measured in `data/duplicates.py` and `deploy/measure.py`, pixels of a wrong range in `deploy/pictures.py`, a
network left in training mode in `deploy/predictor.py`.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from striate.core.errors import SettingsError
from striate.core.settings import Balance, OptimizerSettings
from striate.data.dataset import ImageDataset
from striate.data.loader import Batch, Loader
from striate.models import Classifier
from striate.training.balance import loss_weights
from striate.training.loss import classification_loss
from striate.training.optimizer import Optimizer

LEARNT = 0.98  # share of the loss of guessing, under which something has been learnt
LOOK_AFTER = 3  # epochs
TRIAL_STEPS, TRIAL_RATE, TRIAL_PICTURES = 60, 1e-3, 32


def refuse_probabilities(logits: Tensor, multi_label: bool = False) -> None:
    """Refuse a network whose outputs are probabilities: the loss applies a softmax (or logistic) of its own.

    After two softmaxes the loss of K classes cannot fall below log(1 + (K − 1)/e), 1.46 for ten, and the
    gradients are small.

    Args:
        logits: float32, N K.
        multi_label: Whether each output is a probability of its own.

    Raises:
        SettingsError: No value is negative, and every row sums to one (multi-label: none is above one).
    """
    if multi_label:
        suspicious = bool((logits <= 1).all())
    else:
        suspicious = logits.shape[1] > 1 and bool(((logits.sum(1) - 1).abs() < 1e-3).all())
    if suspicious and bool((logits >= 0).all()):
        raise SettingsError(
            "the network's outputs are probabilities already, and the loss makes probabilities of them once more",
            where="the network's head",
            fix="remove the softmax or sigmoid from its head: logits belong there",
        )


def loss_of_guessing(data: ImageDataset, balance: Balance | None = None) -> float:
    """Return the loss of always giving the classes' shares of the training part, in nats: their entropy.

    Of multi-label data it is the mean of each class's own entropy, present or absent. Where classes are weighted or
    sampled, their shares are those that training sees.
    """
    shares = torch.tensor(data.class_counts(), dtype=torch.float64) / len(data)
    weights = loss_weights(data, balance)
    counted = shares if weights is None else shares * weights
    if data.multi_label:
        both = counted + 1 - shares
        losses = torch.xlogy(both, both) - torch.xlogy(counted, counted) - torch.xlogy(1 - shares, 1 - shares)
        return float(losses.mean())
    if balance == "sampling":
        counted = torch.full_like(shares, 1 / len(shares))
    return float(-torch.xlogy(counted, counted).sum())


def explain_no_progress(
    model: Classifier, loader: Loader, data: ImageDataset, train_loss: float, balance: Balance | None = None
) -> list[str]:
    """Return what is probably wrong with a network that has learnt nothing in its first epochs; nothing where it has.

    A copy is tried on a few pictures alone, whatever was set for the run: a network that cannot learn even these
    is broken; one that can was trained with settings or labels that do not fit.

    Args:
        loader: Batches of the training pictures.
        data: The training part.
        train_loss: Mean cross-entropy of epoch LOOK_AFTER.
        balance: How the classes were balanced.
    """
    chance = loss_of_guessing(data, balance)
    if train_loss < LEARNT * chance:
        return []
    told = f"after {LOOK_AFTER} epochs the loss is {train_loss:.3f}, that of guessing is {chance:.3f}"
    few = loader.batch(0, loader.indices(0, 0)[:TRIAL_PICTURES].to(loader.device))
    if can_overfit(model, few):
        remedy = "another --lr, weaker augmentation or penalties, or labels that have nothing to do with the pictures"
        return [f"{told}; the network can learn {len(few.labels)} pictures by heart, so look at the rest: {remedy}"]
    return [f"{told}, and the network cannot learn even {len(few.labels)} pictures by heart: use another --model"]


def can_overfit(model: Classifier, batch: Batch) -> bool:
    """Return whether a copy of the network can halve its loss on the batch's own labels in 60 steps of Adam."""
    trial = copy.deepcopy(model).train()
    optimizer = Optimizer(trial, OptimizerSettings(optimizer="adam"))
    targets = batch.labels.float() if batch.multi_label else batch.labels
    losses = []
    for _ in range(TRIAL_STEPS):
        optimizer.zero_grad()
        loss = classification_loss(trial(batch.images).float(), targets, batch.multi_label)
        loss.backward()
        optimizer.step(TRIAL_RATE)
        losses.append(float(loss.detach()))
    return losses[-1] < losses[0] / 2
