"""Frozen features: what a network's last linear layer sees of each picture, computed once and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from striate.core import clock
from striate.core.errors import ModelFileError, SettingsError
from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset
from striate.data.loader import comfortable_batch, in_order
from striate.models import Classifier
from striate.models.folding import folded
from striate.models.pretrained import head_names
from striate.models.weights import Pretrained, lite0
from striate.training.feature_cache import body_digest, feature_key, read_features, write_features
from striate.training.precision import MARGIN
from striate.training.timing import times

BATCH = 8  # pictures per core at a time: more leave its caches, which takes twice as long
RACE, RACE_FROM = 2, 128  # rounds of a race, and from how many pictures on it is worth its time
WORTH = 0.5  # seconds of computing from which features are kept


def best_weights_at_hand() -> Pretrained | None:
    """Return the pretrained network that can be had offline, None where there is none.

    `suited(spec).build(spec)` makes it for pictures, `spec(spec)` says how they become its inputs.
    """
    return lite0()


def picture_features(
    model: Classifier,
    data: ImageDataset,
    spec: ImageSpec,
    *,
    bf16: bool | None = None,
    cache: bool = True,
    after: Callable[[int], object] | None = None,
) -> Tensor:
    """Return what the network's last linear layer sees of each picture in evaluation mode: float32 N F, on the CPU.

    Args:
        model: On its device; it is left as it is.
        data: The pictures.
        spec: How they become inputs.
        bf16: Whether convolutions are computed in bfloat16; by default where that is faster, or kept already.
        cache: Whether to look for the features of an earlier time, and to keep these.
        after: Called with the number of pictures done after each batch.

    Raises:
        SettingsError: The network's last layer is not linear.
        ModelFileError: Features are not finite.
    """
    head_layer(model)
    body = body_digest(model) if cache else ""

    def key(precise: bool) -> str:
        return feature_key(data, spec, body, bf16=not precise)

    if cache:
        for precise in [True, False] if bf16 is None else [not bf16]:
            found = read_features(key(precise), len(data))
            if found is not None:
                return found
    if bf16 is None:
        bf16 = feature_race(model, data, spec)["chosen"] == "bf16"
    started = clock.now()
    parts, done = [], 0
    for features in _batches(model, data, spec, bf16):
        parts.append(features)
        done += len(features)
        if after is not None:
            after(done)
    features = torch.cat(parts)
    if not bool(torch.isfinite(features).all()):
        broken = data.names[int((~torch.isfinite(features).all(1)).nonzero()[0])]
        raise ModelFileError("the network's features are not finite numbers", where=broken, fix="use other weights")
    if cache and clock.now() - started >= WORTH:
        write_features(key(not bf16), features)
    return features


def feature_race(model: Classifier, data: ImageDataset, spec: ImageSpec) -> dict[str, float | str]:
    """Return {'fp32_ms', 'bf16_ms', 'chosen'} for a few pictures: bf16 where it is at least 10 % faster.

    Of few pictures a race is not worth its time: only {'chosen': 'fp32'}.
    """
    if len(data) < RACE_FROM:
        return {"chosen": "fp32"}
    device = next(model.parameters()).device
    size = max(1, _at_a_time(spec, device) // 2)
    inputs = next(in_order(data.first(size), spec, size, device))
    racer = folded(model, inputs[:2])

    def milliseconds(bf16: bool) -> float:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return 1e3 * min(times(lambda: racer(inputs), device, RACE))

    fp32, bf16 = milliseconds(False), milliseconds(True)
    return {"fp32_ms": round(fp32, 2), "bf16_ms": round(bf16, 2), "chosen": "bf16" if fp32 > MARGIN * bf16 else "fp32"}


@torch.no_grad()
def _batches(model: Classifier, data: ImageDataset, spec: ImageSpec, bf16: bool) -> Iterator[Tensor]:
    device = next(model.parameters()).device
    size = _at_a_time(spec, device)
    frozen: Classifier | None = None
    seen: list[Tensor] = []
    for images in in_order(data, spec, size, device):
        if frozen is None:
            frozen = folded(model, images[:2])
            head_layer(frozen).register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            frozen(images)
        features = seen.pop()
        if features.ndim != 2:
            raise SettingsError("its last layer sees more than one vector of each picture", where=type(model).__name__)
        yield features.float().cpu()


def _at_a_time(spec: ImageSpec, device: torch.device) -> int:
    most = comfortable_batch(spec)
    return min(BATCH * torch.get_num_threads(), most) if device.type == "cpu" else most


def head_layer(model: Classifier) -> nn.Linear:
    """Return the layer that makes the logits.

    Raises:
        SettingsError: It is not a linear one.
    """
    name = head_names(model)[0].rpartition(".")[0]
    layer = model.get_submodule(name)
    if not isinstance(layer, nn.Linear):
        raise SettingsError(
            f"its last layer is a {type(layer).__name__}, not a linear one", where=name, fix="use another network"
        )
    return layer
