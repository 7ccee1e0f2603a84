"""Frozen features: what a network's last linear layer sees of each picture, computed once and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from striate.core import clock
from striate.core.errors import ModelFileError, SettingsError
from striate.core.settings import TrainSettings
from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset, Splits
from striate.data.loader import in_order
from striate.models import Classifier
from striate.models.batch import comfortable_batch
from striate.models.folding import folded
from striate.models.pretrained import head_names
from striate.models.weights import Pretrained, lite0
from striate.training.feature_cache import body_digest, feature_key, has_features, read_features, write_features
from striate.training.precision import MARGIN
from striate.training.timing import times

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
    size = max(1, comfortable_batch(model, spec) // 2)
    fp32, bf16 = (1e3 * seconds for seconds in _batch_seconds(model, data.first(size), spec, (False, True)))
    return {"fp32_ms": round(fp32, 2), "bf16_ms": round(bf16, 2), "chosen": "bf16" if fp32 > MARGIN * bf16 else "fp32"}


def in_bf16(settings: TrainSettings, race: Mapping[str, object]) -> bool:
    """Return whether the training part's features are computed in bfloat16: as a race chose, or else as is set."""
    return race.get("chosen", settings.precision) == "bf16"


def seconds_of_features(model: Classifier, data: Splits, spec: ImageSpec, *, bf16: bool) -> float:
    """Return how long the frozen features of all parts will take, by those of a few pictures; what is kept takes none.

    Args:
        model: On its device.
        data: The splits.
        spec: How pictures become inputs.
        bf16: Whether those of the training part are computed in bfloat16; others never are.
    """
    body = body_digest(model)
    missing = {
        name: part
        for name, part in data.parts().items()
        if not has_features(feature_key(part, spec, body, bf16=bf16 and name == "train"))
    }
    counts = {rough: sum(len(part) for name, part in missing.items() if (bf16 and name == "train") is rough)
              for rough in (False, True)}  # fmt: skip
    wanted = [rough for rough, count in counts.items() if count]
    sample = data.train.first(comfortable_batch(model, spec))
    taken = _batch_seconds(model, sample, spec, wanted)
    return sum(counts[rough] * seconds / len(sample) for rough, seconds in zip(wanted, taken, strict=True))


def _batch_seconds(model: Classifier, batch: ImageDataset, spec: ImageSpec, precisions: Sequence[bool]) -> list[float]:
    """Return how long all these pictures take at once in each precision, of which True is bfloat16."""
    if not precisions:
        return []
    device = next(model.parameters()).device
    inputs = next(in_order(batch, spec, len(batch), device))
    racer = folded(model, inputs[:2])

    def seconds(bf16: bool) -> float:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return min(times(lambda: racer(inputs), device, RACE))

    return [seconds(bf16) for bf16 in precisions]


@torch.no_grad()
def _batches(model: Classifier, data: ImageDataset, spec: ImageSpec, bf16: bool) -> Iterator[Tensor]:
    device = next(model.parameters()).device
    size = comfortable_batch(model, spec)
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
