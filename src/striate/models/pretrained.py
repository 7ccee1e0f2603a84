"""Weights from a file into a network: torchvision's, timm's or our own.

What a transfer needs is done on the way and reported: the first convolution is adapted to grey or colour
pictures, and a head for other classes is left out.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from striate.core.errors import ModelFileError
from striate.models.contract import Classifier
from striate.models.last_layer import BANK
from striate.models.quiet import quiet

# classifiers beside the last one, which GoogLeNet and Inception have for training only
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
PICKLED = (".pth", ".pt", ".bin")


@dataclass(frozen=True)
class Transfer:
    """What was done to a file's weights on their way into a network.

    Args:
        adapted: Weights that were changed, with what was done.
        left_out: Weights of the file that were not used, or of the network that the file does not give.
    """

    adapted: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def adapt_first_layer(weights: Mapping[str, Tensor], name: str, channels: int) -> dict[str, Tensor]:
    """Return the weights with convolution `name` changed to take another number of channels.

    Colour to grey sums the filters over their channels, grey to colour divides them equally. So a grey picture
    and the same picture repeated over the channels have equal responses, if all channels are normalised alike.

    Args:
        weights: By name; they are left as they are.
        name: The convolution's weight, O C k k.
        channels: C of the result.

    Raises:
        ModelFileError: There is no such weight, or it is not a convolution's.
    """
    if name not in weights or weights[name].ndim != 4:
        raise ModelFileError("no convolution of this name", where=name, fix="name the weight of the first convolution")
    filters = weights[name]  # O C k k
    if filters.shape[1] == channels:
        return dict(weights)
    summed = filters.sum(1, keepdim=True)
    return {**weights, name: (summed / channels).repeat(1, channels, 1, 1)}


def load_tensors(model: Classifier, tensors: Mapping[str, Tensor], where: object) -> Transfer:
    """Load a state dict into a network.

    Args:
        model: The network; unchanged if an error is raised.
        tensors: By name. Of timm's networks the names are timm's own, or those of a file of ours.
        where: Where they come from, for messages.

    Raises:
        ModelFileError: Values that are not finite, or weights of another network: the first five are named.
    """
    own = model.state_dict()
    weights: dict[str, Tensor] = {}
    adapted, left_out = [], []
    for name, tensor in tensors.items():
        if name == BANK:
            continue
        if name.startswith(AUXILIARY):
            left_out.append(f"{name}: of an auxiliary classifier")
        else:
            weights[name if name in own else model.weights_prefix + name] = tensor
    first = next(f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Conv2d))
    if first in weights and weights[first].shape[2:] == own[first].shape[2:]:
        here, there = own[first].shape[1], weights[first].shape[1]
        if here != there:
            weights = adapt_first_layer(weights, first, here)
            adapted.append(f"{first}: from {there} channels to {here}")
    head = head_names(model)
    if all(name in weights and weights[name].shape[:1] == own[name].shape[:1] for name in head):
        head = []
    for name in head:
        left_out.append(
            f"{name}: of {len(weights.pop(name))} classes" if name in weights else f"{name}: not in the file"
        )
    _check(own, weights, head, where)
    model.load_state_dict({**own, **weights})
    return Transfer(tuple(adapted), tuple(left_out))


def head_names(model: Classifier) -> list[str]:
    """Return the names of the weights that `replace_head` replaces."""
    stand_ins: dict[int, Any] = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=p.requires_grad)
        for p in model.parameters()
    }
    stand_ins |= {id(b): torch.empty_like(b, device="meta") for b in model.buffers()}
    skeleton = copy.deepcopy(model, stand_ins)  # costs no memory
    before = dict(skeleton.named_parameters())
    with torch.random.fork_rng(devices=[]):
        skeleton.replace_head(2)
    return [name for name, parameter in skeleton.named_parameters() if before.get(name) is not parameter]


def read_weights(file: Path) -> dict[str, Tensor]:
    """Return the state dict in a file, in the file's order.

    Args:
        file: A .safetensors file, or a .pth, .pt or .bin file with nothing but tensors in it.

    Raises:
        ModelFileError: No such file, damaged, or more than tensors in it.
    """
    if not file.is_file():
        raise ModelFileError("no file of weights here", where=file, fix="give a .safetensors or .pth file")
    try:
        if file.suffix == ".safetensors":
            content: Any = load_file(file)
        elif file.suffix in PICKLED:
            with quiet():  # torch warns of pickle protocols that it then reads without trouble
                content = torch.load(file, map_location="cpu", weights_only=True)
        else:
            known = ", ".join((".safetensors", *PICKLED))
            raise ModelFileError(f"weights are read from {known} files", where=file, fix="give such a file")
    except ModelFileError:
        raise
    except pickle.UnpicklingError as error:
        if "Unsupported operand" in str(error):
            raise ModelFileError(
                "refused: pickled by a protocol that cannot be read without the risk of running code",
                where=file,
                fix="save the state dict with torch.save as it is, best as .safetensors",
            ) from None
        raise ModelFileError(
            "refused: there is more than tensors in it, and unpickling that could run code",
            where=file,
            fix="save the state dict alone, best as .safetensors",
        ) from None
    except Exception as error:  # the parsers' own exceptions are not public
        if "TorchScript" in str(error):
            raise ModelFileError(
                "refused: a TorchScript program, of which the weights are a part only",
                where=file,
                fix="save the state dict alone, best as .safetensors",
            ) from None
        raise ModelFileError(
            f"damaged, or not a file of weights ({error})", where=file, fix="take another copy"
        ) from None
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelFileError("not a state dict: tensors by name", where=file, fix="save model.state_dict()")
    return {str(name): tensor for name, tensor in content.items()}


def _check(own: Mapping[str, Tensor], weights: Mapping[str, Tensor], without: list[str], where: object) -> None:
    """Refuse weights that do not fit or are not finite, naming the first five."""
    needed = [name for name in own if name not in without and not name.endswith("num_batches_tracked")]
    problems = [f"{name} is missing" for name in needed if name not in weights]
    problems += [f"{name} is not in the network" for name in weights if name not in own]
    problems += [
        f"{name} has shape {tuple(tensor.shape)}, the network {tuple(own[name].shape)}"
        for name, tensor in weights.items()
        if name in own and own[name].shape != tensor.shape
    ]
    rest = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
    if problems:
        raise ModelFileError(
            f"weights of another network: {'; '.join(problems[:5])}{rest}",
            where=where,
            fix="use the network they were saved from, and its form for large pictures (small: false)",
        )
    broken = [name for name, tensor in weights.items() if not bool(torch.isfinite(tensor.float()).all())]
    if broken:
        raise ModelFileError(f"weights that are not finite: {', '.join(broken[:5])}", where=where)
