"""From pixels to answers in one graph: everything that `Predictor` does with a picture after decoding it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from striate.core.spec import ImageSpec
from striate.data.loader import normalize
from striate.deploy.export.resize import Resize
from striate.evaluation.calibration import Calibration
from striate.evaluation.decision import confidence, decide, to_probabilities
from striate.evaluation.unknown import Detector
from striate.evaluation.views import other_views, weights
from striate.models import Classifier
from striate.models.last_layer import inputs_of
from striate.runs.model_file import LoadedModel

PIXELS, CLASSES = "pixels", "classes"
ANSWERS, UNKNOWN = ("probabilities", "accepted"), ("unknown_score", "unknown")


class Graph(nn.Module):
    """A network with its crop, normalisation, views, calibration and rules, as one module.

    It can be traced, as nothing in it depends on what is in the pictures: all views are computed of every picture, and
    those of sure pictures are not used.

    Args:
        loaded: Network, card and detector, on the processor.
        any_size: Take pictures of any one size, and resize them as the decoder does.
    """

    bank: Tensor

    def __init__(self, loaded: LoadedModel, any_size: bool = False) -> None:
        super().__init__()
        self.model: Classifier = loaded.model
        self.card = loaded.card
        self.spec: ImageSpec = loaded.card.spec
        self.calibration = loaded.card.calibration or Calibration()
        self.resize = Resize(self.spec) if any_size else None
        self.layer = None
        if loaded.detector is not None:
            self.layer = loaded.detector.layer
            self.register_buffer("bank", loaded.detector.bank)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what `forward` returns, in order."""
        return ANSWERS if self.layer is None else (*ANSWERS, *UNKNOWN)

    @property
    def dynamic(self) -> dict[int, str]:
        """Which dimensions of the pixels may have any size, with their names."""
        return {0: "N"} if self.resize is None else {0: "N", 1: "H", 2: "W"}

    def example(self) -> Tensor:
        """Return pixels of the shape to trace it with; no dimension that may have any size is 1 or the network's."""
        channels, height, width = self.spec.picture_shape
        if self.resize is not None:
            height, width = height + 3, width + 5
        return torch.randint(0, 256, (3, height, width, channels), generator=torch.Generator()).to(torch.uint8)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the answers to pictures.

        Args:
            pixels: uint8, N H W C.

        Returns:
            Probabilities, float32 N K; which answers are accepted, bool N; and where the network tells unknown
            pictures their scores, float32 N, and which are unknown, bool N.
        """
        if self.resize is not None:
            pixels = self.resize(pixels)
        images = normalize(pixels[:, *self.spec.centre].permute(0, 3, 1, 2), self.spec)  # N C H W
        logits, features = self._logits_and_features(images)
        multi_label, rule = self.spec.multi_label, self.calibration
        probabilities = to_probabilities(rule.apply(logits), multi_label)
        accepted = rule.accepts(confidence(probabilities, decide(logits, multi_label)))
        if self.layer is None:
            return probabilities, accepted
        assert features is not None
        scores = Detector(self.layer, self.bank).scores(features)
        return probabilities, accepted, scores, rule.is_unknown(scores)

    def _logits_and_features(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits, averaged over the views where the rule says so, and what the detector's layer sees."""
        spec, own = self.spec, images
        if spec.views > 1:
            images = torch.cat([images, *other_views(images, spec.views)])  # V·N C H W
        if self.layer is None:
            logits, features = self.model(images).float(), None
        else:
            with inputs_of(self.model, self.layer) as seen:
                logits = self.model(images).float()
            features = seen[0][: own.shape[0]]
        if spec.views == 1:
            return logits, features
        each = logits.unflatten(0, (spec.views, -1))  # V N K
        mean = (each * each.new_tensor(weights(spec.views))[:, None, None]).sum(0)
        if spec.views_below == 1:
            return mean, features
        first = each[0]
        sure = confidence(to_probabilities(first, spec.multi_label), decide(first, spec.multi_label))
        return torch.where((sure >= spec.views_below)[:, None], first, mean), features
