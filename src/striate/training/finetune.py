"""Fine-tuning: which weights of a pretrained network move, and how fast each.

Earlier stages hold what all pictures have in common, so they move less (Howard and Ruder, "Universal language model
fine-tuning for text classification", 2018, discriminative fine-tuning). Statistics of batch norms stay those of the
pretraining: batches are small, and the head was fitted to features normalised by them.
"""

from __future__ import annotations

import torch
from torch import nn

from striate.core.settings import NetworkSettings
from striate.models import Classifier
from striate.models.pretrained import head_names

STAGE_RATE = 0.5  # rate of a stage, as a multiple of that of the stage behind it


def stages_behind(model: Classifier) -> dict[str, int]:
    """Return for each parameter how many stages lie from its own to the logits: 1 in the last stage, 0 behind it.

    What is in no stage belongs to the next one that is registered after it.
    """
    named = dict(model.named_modules())
    order = {id(module): number for number, module in enumerate(named.values())}
    # where timm's tokens are viewed as maps, the stage is what makes the tokens
    stages = [named.get(model.weights_prefix + name, stage) for name, stage in model.stages().items()]
    ends = [max(order[id(module)] for module in stage.modules()) for stage in stages]
    head = set(head_names(model))
    behind = {}
    for name, _ in model.named_parameters():
        place = order[id(named[name.rpartition(".")[0]])]
        number = next((number for number, end in enumerate(ends) if place <= end), len(ends))
        behind[name] = 0 if name in head else len(ends) - number
    return behind


def freeze_stages(model: Classifier, settings: NetworkSettings) -> None:
    """Let the last `unfreeze` stages and what is behind them move, and nothing else; with `freeze` the last layer."""
    moving = 0 if settings.freeze else settings.unfreeze
    head = set(head_names(model))
    behind = stages_behind(model)
    for name, parameter in model.named_parameters():
        moves = name in head if settings.freeze else moving is None or behind[name] <= moving
        parameter.requires_grad_(parameter.requires_grad and moves)


def layer_rates(model: nn.Module, settings: object) -> dict[int, float]:
    """Return the multiple of the learning rate by parameter (its id); empty where nothing was pretrained."""
    if not (isinstance(settings, NetworkSettings) and settings.transfers and isinstance(model, Classifier)):
        return {}
    behind = stages_behind(model)
    return {id(parameter): STAGE_RATE ** behind[name] for name, parameter in model.named_parameters()}


def training_mode(model: nn.Module, settings: NetworkSettings) -> None:
    """Put a network into training mode; of a pretrained one the batch norms keep their statistics."""
    model.train()
    if settings.transfers:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


@torch.no_grad()
def set_head(model: Classifier, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Put weights K F and biases K into the last layer, and take back what the network multiplies its logits by."""
    from striate.training.features import head_layer

    layer, scale = head_layer(model), getattr(model, "logit_scale", 1.0)
    layer.weight.copy_(weight / scale)
    layer.bias.copy_(bias / scale)
