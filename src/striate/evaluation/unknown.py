"""Pictures unlike all that a network was trained on, told by the distance of their features from training pictures'.

The score is that of Sun, Ming, Zhu and Li, "Out-of-Distribution Detection with Deep Nearest Neighbors" (ICML 2022,
arXiv 2204.06507): features are scaled to length 1, and the distance to a near training picture counts: to the nearest,
which told digits from clothes and other strangers better than the fifth or tenth, and much better than distances of
Mahalanobis. It needs no classes, so that it serves networks of any number of labels as well. Some training pictures
are enough, and what the last linear layer sees of them is kept in the model file.

The threshold is a held-out picture's score: exchangeable pictures lie above it with the stated probability at most
(Bates et al., "Testing for outliers with conformal p-values", 2023, arXiv 2104.08279).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset
from striate.data.loader import in_order
from striate.evaluation.views import view_logits
from striate.models.batch import comfortable_batch
from striate.models.contract import Classifier, evaluating
from striate.models.last_layer import inputs_of, last_linear

BANK_PICTURES, BANK_VALUES = 2000, 2**19  # at most: 1 MiB in float16
FALSE_ALARMS = 0.01
MOST_FALSE_ALARMS = 0.05  # with fewer held-out pictures than this takes, nothing is told

# network inputs, N C H W → logits, N K, and what the detector's layer sees, N F, where there is a detector
Forward = Callable[[Tensor], tuple[Tensor, Tensor | None]]


class UnknownRule(BaseModel):
    """When a picture counts as unknown; part of the model file.

    Args:
        layer: Name of the linear layer whose input is compared.
        threshold: Scores above it are unknown.
        false_alarms: The most of pictures like the held-out ones that are above it, as a share.
        count: Held-out pictures that it was set by.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    layer: str
    threshold: float
    false_alarms: float = Field(gt=0, lt=1)
    count: int = Field(ge=1)


@dataclass(frozen=True, eq=False)
class Detector:
    """Tells how far pictures are from training pictures.

    Args:
        layer: Name of the linear layer whose input is compared.
        bank: float16, M F; what that layer sees of training pictures, each of length 1.
    """

    layer: str
    bank: Tensor

    def scores(self, features: Tensor) -> Tensor:
        """Return 1 − the cosine of the angle to the nearest training picture, float32 N on 0 … 2.

        Args:
            features: Float, N F, on the bank's device.
        """
        similar = F.normalize(features.float(), dim=1) @ self.bank.float().T  # N M
        return 1 - similar.amax(1)

    def to(self, device: torch.device) -> Detector:
        """Return it on a device."""
        return replace(self, bank=self.bank.to(device))


def make_detector(
    model: Classifier, data: ImageDataset, spec: ImageSpec, features: Tensor | None = None
) -> Detector | None:
    """Return the detector that knows a network's training pictures, up to 2,000 of them, evenly spread.

    None where no linear layer makes the logits from one vector per picture, or what it sees is not finite.

    Args:
        model: Trained, on its device.
        data: The training pictures.
        spec: How they become inputs.
        features: What the last linear layer sees of them, float32 N F, where that is known.
    """
    device, batch_size = next(model.parameters()).device, comfortable_batch(model, spec)
    with evaluating(model), torch.inference_mode():
        first = next(in_order(data.first(1), spec, 1, device))
        layer = last_linear(model, first)
        if layer is None:
            return None
        with inputs_of(model, layer) as seen:
            model(first)
            count = min(BANK_PICTURES, max(1, BANK_VALUES // seen.pop().shape[1]), len(data))
            if features is None:
                for images in _spread(data, count, spec, batch_size, device):
                    model(images)
            else:
                seen.append(features[torch.arange(count) * len(data) // count])
    bank = F.normalize(torch.cat(seen).float(), dim=1).half()
    return Detector(layer, bank) if bool(bank.isfinite().all()) else None


def _spread(data: ImageDataset, count: int, spec: ImageSpec, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """Yield network inputs of evenly spread pictures, without a copy of all of them."""
    for chosen in (torch.arange(count) * len(data) // count).split(batch_size):
        yield from in_order(data.select(chosen), spec, len(chosen), device)


def forward_of(model: Classifier, layer: str | None) -> Forward:
    """Return a function from network inputs to the logits and what a layer sees, None where no layer is named.

    Args:
        model: In evaluation mode.
        layer: Name of a linear layer.
    """

    def forward(images: Tensor) -> tuple[Tensor, Tensor | None]:
        if layer is None:
            return model(images), None
        with inputs_of(model, layer) as seen:
            logits = model(images)
        return logits, seen[0]

    return forward


def logits_and_scores(
    forward: Forward, images: Tensor, spec: ImageSpec, detector: Detector | None
) -> tuple[Tensor, Tensor | None]:
    """Return the logits of pictures (`view_logits`, N K), and their scores, N, of the picture itself.

    The one way from inputs to answers, whoever computes them.

    Args:
        forward: `forward_of` a network, or an engine that stands for it.
        images: Network inputs, N C H W.
        detector: On the device of what `forward` returns; without one there are no scores.
    """
    seen: list[Tensor | None] = []

    def logits_of(view: Tensor) -> Tensor:
        logits, features = forward(view)
        seen.append(features)
        return logits

    logits = view_logits(logits_of, images, spec)
    if detector is None:
        return logits, None
    assert seen[0] is not None
    return logits, detector.scores(seen[0])


def unknown_scores(model: Classifier, data: ImageDataset, spec: ImageSpec, detector: Detector) -> Tensor:
    """Return the scores of a part's pictures, float32 N on the processor."""
    device = next(model.parameters()).device
    alone = spec.model_copy(update={"views": 1})
    forward = forward_of(model, detector.layer)
    with evaluating(model), torch.inference_mode():
        scores = [
            logits_and_scores(forward, images, alone, detector)[1]
            for images in in_order(data, spec, comfortable_batch(model, spec), device)
        ]
    return torch.cat([one.cpu() for one in scores if one is not None])


def needed_for_unknown() -> int:
    """Return the least number of held-out pictures from which a threshold is set."""
    return round(1 / MOST_FALSE_ALARMS) - 1


def unknown_rule(detector: Detector, scores: Tensor) -> UnknownRule | None:
    """Return the rule from held-out pictures' scores (float32, N); None where they are too few.

    At most 1 % of pictures like them lie above the threshold, or 1 / (N + 1), the least that N pictures can tell.
    """
    count = len(scores)
    if count < needed_for_unknown():
        return None
    rate = max(FALSE_ALARMS, 1 / (count + 1))
    above = int((count + 1) * rate + 1e-9)  # the new picture is one of N + 1 that may come in any order
    return UnknownRule(
        layer=detector.layer,
        threshold=float(scores.sort(descending=True).values[above - 1]),
        false_alarms=rate,
        count=count,
    )
