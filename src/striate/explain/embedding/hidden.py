"""What a network's last linear layer sees of pictures: the space in which it tells classes apart by planes."""

from __future__ import annotations

import torch
from torch import Tensor

from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset, label_texts
from striate.explain.predictions import NO_CLASS
from striate.models import Classifier
from striate.training.feature_cache import body_digest, feature_key, read_features
from striate.training.features import picture_features


def hidden_values(model: Classifier, data: ImageDataset, spec: ImageSpec) -> Tensor:
    """Return what the last linear layer sees of each picture in evaluation mode: float32 N F, on the CPU.

    It is computed in fp32, unless training has kept it in bfloat16.

    Args:
        model: On its device; it is left as it is.
        data: The pictures.
        spec: How they become inputs.

    Raises:
        SettingsError: The network's last layer is not linear.
        ModelFileError: The values are not finite.
    """
    kept = kept_values(model, data, spec)
    return picture_features(model, data, spec, bf16=False) if kept is None else kept


def kept_values(model: Classifier, data: ImageDataset, spec: ImageSpec) -> Tensor | None:
    """Return the values of `hidden_values` where they are known from an earlier time; None where they are not."""
    body = body_digest(model)
    found = (read_features(feature_key(data, spec, body, bf16=bf16), len(data)) for bf16 in (False, True))
    return next((values for values in found if values is not None), None)


def evenly(count: int, of: int) -> Tensor:
    """Return `count` numbers at equal distances among 0 … of − 1, all of them where there are fewer; int64."""
    count = min(count, of)
    return torch.arange(count) * of // max(count, 1)


def some_values(
    model: Classifier, data: ImageDataset, spec: ImageSpec, most: int, most_kept: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return the numbers of evenly spread pictures, int64 n, and their hidden values, float32 n F.

    Args:
        model: On its device.
        data: All pictures.
        spec: How they become inputs.
        most: Pictures to compute.
        most_kept: Pictures where the values of all are known already; `most` by default.
    """
    kept = kept_values(model, data, spec)
    if kept is not None:
        numbers = evenly(most_kept or most, len(data))
        return numbers, kept[numbers]
    numbers = evenly(most, len(data))
    return numbers, hidden_values(model, data if len(numbers) == len(data) else data.select(numbers), spec)


def label_groups(labels: Tensor, classes: tuple[str, ...]) -> tuple[Tensor, tuple[str, ...]]:
    """Return each picture's group, int64 N, and the groups' names: its class, or its whole set of classes.

    Args:
        labels: int64 N, or bool N K; different sets are different groups, the most frequent first.
        classes: The K names.
    """
    if labels.ndim == 1:
        return labels, classes
    sets, numbers, counts = labels.unique(dim=0, return_inverse=True, return_counts=True)
    order = counts.argsort(descending=True, stable=True)
    names = [text or NO_CLASS for text in label_texts(sets[order], classes)]
    return order.argsort()[numbers], tuple(names)
