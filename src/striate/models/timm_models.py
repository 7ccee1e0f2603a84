"""Any network of timm behind our contract.

What timm's `forward_features` returns is brought to feature maps N F h w, and `head` brings it back:

- maps with the channels last are permuted;
- the patch tokens of a transformer are laid out on their grid, and each token beside them (a class token,
  registers) is appended as F further maps that are constant over the grid. So the head finds every token that it
  reads, and an average over the maps holds the class token as well as the mean of the patches. Where the head
  reads the class token alone, the patch maps of `features` do not influence the logits; those of earlier
  stages do.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Any, ClassVar

import timm
import torch
from torch import Tensor, nn

from striate.core.errors import SettingsError
from striate.core.registry import nearest
from striate.models.contract import MODELS, Classifier, Factory, evaluating
from striate.models.norm import replace_batch_norms
from striate.models.quiet import quiet

PREFIX = "timm/"
MOST_OTHER_TOKENS = 16
# what the spec decides, and what would read files or the network behind a name in a model file
RESERVED = {
    "cache_dir", "checkpoint_path", "exportable", "features_only", "img_size", "in_chans", "num_classes",
    "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_strict", "scriptable",
}  # fmt: skip


class TokensToMaps(nn.Module):
    """Tokens N L F to maps: the last h·w tokens on their grid, each one before them as F constant maps."""

    def __init__(self, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, tokens: Tensor) -> Tensor:
        """Return N (1+P)·F h w, the patches first."""
        height, width = self.grid
        before = tokens.shape[1] - height * width
        patches = tokens[:, before:].transpose(1, 2).unflatten(2, self.grid)  # N F h w
        others = tokens[:, :before].flatten(1)  # N P·F
        return torch.cat([patches, others[:, :, None, None].expand(-1, -1, height, width)], 1)

    def back(self, maps: Tensor, width: int) -> Tensor:
        """Return the tokens N P+h·w F of maps, F being `width`."""
        patches, others = maps[:, :width], maps[:, width:, 0, 0]  # N F h w, N P·F
        return torch.cat([others.unflatten(1, (-1, width)), patches.flatten(2).transpose(1, 2)], 1)


class ChannelsFirst(nn.Module):
    """Maps N h w F to N F h w."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return N F h w."""
        return maps.permute(0, 3, 1, 2)

    def back(self, maps: Tensor, width: int) -> Tensor:
        """Return N h w F."""
        return maps.permute(0, 2, 3, 1)


class ThroughMaps:
    """A forward hook that sends a module's output through a view and back, so that gradients flow by way of the maps.

    An object rather than a function: a copy of the network gets a hook on its own view.
    """

    def __init__(self, view: TokensToMaps | ChannelsFirst) -> None:
        self.view = view

    def __call__(self, module: nn.Module, arguments: object, output: Tensor) -> Tensor:
        """Return the output again."""
        return self.view.back(self.view(output), output.shape[-1])


class TimmNet(Classifier):
    """A network of timm; `net` is timm's own.

    Args:
        net: As timm makes it; hooks are put on its stages of tokens and of channels-last maps.
        input_shape: (C, H, W) of the pictures. One is sent through at once, which finds the stages.
    """

    weights_prefix: ClassVar[str] = "net."

    def __init__(self, net: nn.Module, input_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.net: Any = net
        self.views = nn.ModuleList()
        self.found: dict[str, nn.Module] = {}
        with torch.no_grad(), evaluating(net):
            outputs, features = _probe(net, input_shape)
        self.width = features.shape[-1]
        view = _view(features, net, input_shape, None)
        if view is None:
            raise ValueError(f"its features of shape {tuple(features.shape)} are no maps")
        self.last: Any = view
        last = features
        channels = _stage_channels(net)
        for name, output in outputs.items():
            view = _view(output, net, input_shape, channels[name])
            module = net.get_submodule(name)
            if isinstance(view, TokensToMaps | ChannelsFirst):
                module.register_forward_hook(ThroughMaps(view))
                self.views.append(view)
                module = view
            if view is not None:
                self.found[name] = module
                last = output
        if not self.found or not torch.equal(last, features):
            self.found["features"] = self.last

    def features(self, images: Tensor) -> Tensor:
        """Return N F h w; of a network of tokens the patches' maps, then those of the other tokens."""
        features: Tensor = self.last(self.net.forward_features(images))
        return features

    def head(self, features: Tensor) -> Tensor:
        """Return the logits of what `features` gave."""
        own = features if isinstance(self.last, nn.Identity) else self.last.back(features, self.width)
        logits: Tensor = self.net.forward_head(own)
        return logits

    def stages(self) -> dict[str, nn.Module]:
        """Return timm's own list of stages, under its names, and what comes after them, if anything, as 'features'."""
        return dict(self.found)

    def replace_head(self, classes: int) -> None:
        """Replace the classifier in timm's way."""
        like = next(self.net.parameters())
        self.net.reset_classifier(classes)
        self.net.to(like.device, like.dtype)


def _probe(net: Any, input_shape: tuple[int, int, int]) -> tuple[dict[str, Tensor], Tensor]:
    """Return the outputs of the stages, in the order of use, and the features, of one picture of noise."""
    like = next(net.parameters())
    picture = torch.rand(1, *input_shape, generator=torch.Generator(), device="cpu").to(like)
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        return lambda module, arguments, output: (
            outputs.update({name: output.clone()}) if isinstance(output, Tensor) else None
        )

    hooks = [net.get_submodule(name).register_forward_hook(keep(name)) for name in _stage_channels(net)]
    try:
        features = net.forward_features(picture)
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(features, Tensor):
        raise TypeError("its features are not one tensor")
    return outputs, features


def _stage_channels(net: nn.Module) -> dict[str, int | None]:
    """Return timm's own list of stages with their channels, or else the blocks, or else the network's children."""
    modules = dict(net.named_modules())
    info = getattr(net, "feature_info", None)
    if isinstance(info, list):
        listed = {entry.get("module", ""): entry.get("num_chs") for entry in info}
        if listed.keys() <= modules.keys() and "" not in listed:
            return listed
    for container in ("stages", "blocks", "layers"):
        if isinstance(modules.get(container), nn.Sequential | nn.ModuleList):
            return {f"{container}.{key}": None for key, _ in modules[container].named_children()}
    return dict.fromkeys(dict(net.named_children()))


def _view(output: Tensor, net: nn.Module, input_shape: tuple[int, int, int], channels: int | None) -> nn.Module | None:
    """Return what brings a stage's output to N F h w, or None where nothing does."""
    if output.ndim == 4:
        said = getattr(net, "output_fmt", "NCHW") == "NHWC"
        seen = channels is not None and output.shape[1] != channels == output.shape[3]
        return ChannelsFirst() if said or seen else nn.Identity()
    if output.ndim != 3:
        return None
    grid = getattr(getattr(net, "patch_embed", None), "grid_size", None)
    if grid is not None and 0 <= output.shape[1] - prod(grid) <= MOST_OTHER_TOKENS:
        return TokensToMaps((grid[0], grid[1]))
    _, high, wide = input_shape
    for others in range(3):
        tokens = output.shape[1] - others
        height = round(sqrt(max(tokens, 0) * high / wide))
        if height and height * wide % high == 0 and height * (height * wide // high) == tokens:
            return TokensToMaps((height, height * wide // high))
    return None


def timm_factory(name: str) -> Factory:
    """Return the factory of a network of timm, 'NAME' or 'timm/NAME'.

    Its options are timm's own, `norm`: what takes the place of every BatchNorm2d (see `norm`), and `dropout`:
    timm's drop_rate.

    Raises:
        SettingsError: timm does not know it; the nearest names are given.
    """
    bare = name.removeprefix(PREFIX)
    if not timm.is_model(bare):
        raise _unknown(name, bare)

    def factory(input_shape: tuple[int, int, int], classes: int, norm: str | None = None, **options: Any) -> TimmNet:
        reserved = sorted(RESERVED & options.keys())
        if reserved:
            raise SettingsError(f"model '{name}' does not take {', '.join(reserved)}", fix="leave the option out")
        if "small" in options:
            raise SettingsError("timm's networks have no form for small pictures", where=name, fix="leave --small out")
        if "dropout" in options:
            options["drop_rate"] = options.pop("dropout")
        try:
            net = _create(bare, input_shape, classes, options)
            _refuse_unseen_edges(name, net, input_shape)
            if norm is not None:
                if not any(isinstance(module, nn.BatchNorm2d) for module in net.modules()):
                    raise SettingsError("the network has no batch norm to replace", where=name, fix="leave --norm out")
                replace_batch_norms(net, norm)
            return TimmNet(net, input_shape)
        except Exception as error:  # whatever timm or torch raises is about a name, an option or a size
            if isinstance(error, SettingsError):
                raise
            pictures, problem = "×".join(map(str, input_shape[1:])), str(error) or type(error).__name__
            raise SettingsError(
                f"model '{name}' cannot be built for pictures of {pictures} ({problem})",
                fix="use a larger --img-size or another --model, or correct its options",
            ) from None

    return factory


def _refuse_unseen_edges(name: str, net: Any, input_shape: tuple[int, int, int]) -> None:
    """Refuse pictures that a network's patches do not tile: what is left over it would never see."""
    patch = getattr(getattr(net, "patch_embed", None), "patch_size", None)
    if not (isinstance(patch, tuple) and len(patch) == 2):
        return
    if any(side % part for side, part in zip(input_shape[1:], patch, strict=True)):
        near = max(round(min(input_shape[1:]) / patch[0]), 1) * patch[0]
        raise SettingsError(
            f"its patches of {patch[0]}×{patch[1]} do not tile {input_shape[1]}×{input_shape[2]} pixels, "
            "and it would not see the rest",
            where=name,
            fix=f"use --img-size {near}",
        )


def _create(name: str, input_shape: tuple[int, int, int], classes: int, options: dict[str, Any]) -> nn.Module:
    given = {"pretrained": False, "num_classes": classes, "in_chans": input_shape[0], **options}
    with quiet("timm"):  # of names that have changed
        try:
            net: nn.Module = timm.create_model(name, img_size=input_shape[1:], **given)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
            net = timm.create_model(name, **given)  # it takes every size
    return net


def _unknown(name: str, bare: str) -> SettingsError:
    ours = None if name.startswith(PREFIX) else nearest(bare, MODELS)
    theirs = nearest(bare, timm.list_models())
    guesses = [f"'{ours}'"] if ours else []
    guesses += [f"'{PREFIX}{theirs}'"] if theirs else []
    hint = f"did you mean {' or '.join(guesses)}? " if guesses else ""
    known = f"Known: {', '.join(MODELS)}, and every model of timm as {PREFIX}NAME"
    return SettingsError("unknown model", where=name, fix=hint + known)


def known_config(name: str) -> tuple[str, Any]:
    """Return a network's name without 'timm/', and what timm says of its pictures and weights.

    Raises:
        SettingsError: timm does not know it.
    """
    bare = name.removeprefix(PREFIX)
    if not timm.is_model(bare):
        raise _unknown(name, bare)
    try:
        config = timm.get_pretrained_cfg(bare)
    except RuntimeError as error:
        raise SettingsError(str(error), where=name, fix="leave the part behind the dot out") from None
    if config is None:
        raise SettingsError("timm does not say how its pictures are normalised", where=name, fix="use another network")
    return bare, config
