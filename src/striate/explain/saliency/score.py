"""The number that a map explains: one class's logit, with gradients, and everything left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from striate.core.errors import DataError, SettingsError
from striate.models import Classifier
from striate.models.contract import evaluating
from striate.models.one_logit import OneLogit

PIXELS = 2**19  # of pictures sent through at a time where gradients are kept


@contextmanager
def looking(model: Classifier) -> Iterator[None]:
    """Make gradients possible in evaluation mode and fp32, whatever the caller's modes are; all are restored."""
    device = next(model.parameters()).device
    with (
        evaluating(model),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
    ):
        yield


def explained_logits(model: Classifier, inputs: Tensor) -> Tensor:
    """Return the logits, N K; of a network of one output z the two scores −z and z in place of its logits 0 and z."""
    logits: Tensor = model(inputs)
    return logits - logits.flip(1) if isinstance(model, OneLogit) else logits


def class_scores(model: Classifier, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return each picture's score for its target class, N."""
    return explained_logits(model, inputs).gather(1, targets[:, None]).squeeze(1)


def explained_classes(model: Classifier, inputs: Tensor, targets: Tensor | int | None) -> Tensor:
    """Return the class to explain of each picture, int64 N.

    Args:
        inputs: Network inputs, N C H W.
        targets: Class numbers, one for all or one each; None for the class of the largest logit.

    Raises:
        DataError: There is no picture, or not one class each.
        SettingsError: There is no such class.
    """
    if len(inputs) == 0:
        raise DataError("no picture to explain", fix="give one or more")
    with looking(model), torch.no_grad():  # what is made here can be differentiated by, whatever the caller's mode
        logits = torch.cat([model(part) for part in in_parts(inputs)])
        if targets is None:
            return logits.argmax(1)
        chosen = torch.as_tensor(targets, dtype=torch.int64, device=inputs.device).reshape(-1)
        if len(chosen) not in (1, len(inputs)):
            raise DataError(
                f"{len(chosen)} classes for {len(inputs)} pictures", fix="give one class, or one per picture"
            )
        outside = sorted({number for number in chosen.tolist() if not 0 <= number < logits.shape[1]})
        if outside:
            raise SettingsError(
                f"no such class: {', '.join(map(str, outside))}", fix=f"classes are 0 … {logits.shape[1] - 1}"
            )
        return chosen.expand(len(inputs)).clone()


def in_parts(inputs: Tensor) -> tuple[Tensor, ...]:
    """Return pictures in parts that fit into memory with all that a gradient keeps of them."""
    parts: tuple[Tensor, ...] = inputs.split(pictures_at_once(inputs))
    return parts


def pictures_at_once(inputs: Tensor) -> int:
    """Return the length of such parts, at least 1."""
    return max(1, PIXELS // inputs.shape[2:].numel())
