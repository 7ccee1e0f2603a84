"""PyTorch's own engines: the network as it is, with its batch norms folded, and that in bfloat16."""

from __future__ import annotations

from threading import Lock

import torch
from torch import Tensor

from striate.core.errors import SettingsError
from striate.deploy.engine.engine import ENGINES, UnfitError
from striate.evaluation.unknown import forward_of
from striate.models import Classifier
from striate.models.folding import folded

ITSELF = "torch"  # the engine that is the network as it was loaded


class Eager:
    """A network called layer by layer.

    Args:
        name: Of the engine.
        model: In evaluation mode, on its device.
        layer: Whose input is wanted beside the logits.
        bf16: Whether to compute in bfloat16 where torch's autocast would.
    """

    def __init__(self, name: str, model: Classifier, layer: str | None, bf16: bool = False) -> None:
        self.name = name
        self.model = model
        self.bf16 = bf16
        self._device = next(model.parameters()).device
        self._forward = forward_of(model, layer)
        # threads that compute at once would share the same cores, and hooks come and go at the layer
        self._turn = Lock()

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits on the processor, and what the layer sees.

        Raises:
            SettingsError: The network was put into training mode.
        """
        if any(module.training for module in self.model.modules()):
            raise SettingsError(
                "the network is in training mode: dropout would drop, and batch norm normalise by this batch",
                where="predictor.model",
                fix="predictor.model.eval()",
            )
        with self._turn, torch.autocast(self._device.type, torch.bfloat16, enabled=self.bf16):
            logits, features = self._forward(images)
        return logits.float().cpu(), features


@ENGINES.register(ITSELF)
def as_it_is(model: Classifier, example: Tensor, layer: str | None) -> Eager:
    """Return the network itself in fp32, as it is evaluated: what all others are compared with."""
    return Eager(ITSELF, model, layer)


@ENGINES.register("folded")
def with_folded_norms(model: Classifier, example: Tensor, layer: str | None) -> Eager:
    """Return a copy in fp32 whose batch norms are part of the convolutions before them (models/folding)."""
    with torch.inference_mode():
        lighter = folded(model, example)
    if lighter.state_dict().keys() == model.state_dict().keys():
        raise UnfitError("there is no batch norm that a convolution could take over")
    return Eager("folded", lighter, layer)


@ENGINES.register("bf16")
def in_bfloat16(model: Classifier, example: Tensor, layer: str | None) -> Eager:
    """Return a copy that computes in bfloat16, its batch norms folded where that is possible."""
    with torch.inference_mode():
        return Eager("bf16", folded(model, example), layer, bf16=True)
