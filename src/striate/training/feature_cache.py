"""Features, kept between runs beside the decoded pictures.

A file is named by a hash of all that decides its numbers: the pixels, the network's weights, how pictures become its
inputs, and the precision. What is damaged is computed anew, and nothing depends on the cache being writable.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from striate.core.errors import ResourceError
from striate.core.spec import ImageSpec
from striate.data.cache import cache_folder
from striate.data.dataset import ImageDataset
from striate.models import Classifier
from striate.models.pretrained import head_names
from striate.runs.atomic import replace_file
from striate.runs.model_file import weights_digest

FORMAT = 1
SUFFIX = ".features"
LIMIT = 2**30  # bytes of all that is kept
_SPEC_FIELDS = {"height", "width", "crop", "mean", "std", "whiten"}


def body_digest(model: Classifier) -> str:
    """Return the SHA-256 of a network's weights but for the last layer's, and of its form."""
    head = set(head_names(model))
    weights = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items() if name not in head}
    last = {name.rpartition(".")[0] for name in head}
    form = [
        f"{name} {type(module).__name__} {module.extra_repr()}"
        for name, module in model.named_modules()
        if name not in last
    ]
    return hashlib.sha256("\n".join([weights_digest(weights), *form]).encode()).hexdigest()


def feature_key(data: ImageDataset, spec: ImageSpec, body: str, *, bf16: bool) -> str:
    """Return the name of a part's features; the labels have no influence on it.

    Args:
        data: The pictures.
        spec: How they become inputs.
        body: `body_digest` of the network.
        bf16: Whether they were computed in bfloat16.
    """
    wanted = spec.model_dump_json(include=_SPEC_FIELDS)
    told = [FORMAT, tuple(data.images.shape), wanted, body, bf16]
    digest = hashlib.sha256("\n".join(map(str, told)).encode())
    digest.update(data.images.contiguous().numpy().data)
    return digest.hexdigest()[:40]


def read_features(key: str, count: int) -> Tensor | None:
    """Return the features of a key, float32 N F; None where there are none, or they are damaged."""
    folder = cache_folder()
    if folder is None:
        return None
    file = folder / f"{key}{SUFFIX}"
    try:
        with safe_open(file, "pt") as content:
            features: Tensor = content.get_tensor("features").clone()  # the file may be removed meanwhile
            checksum = (content.metadata() or {})["crc32"]
        if len(features) != count or features.dtype != torch.float32 or _checksum(features) != checksum:
            return None
    except Exception:  # whatever is not what we write there; the parser's own exceptions are not public
        return None
    with suppress(OSError):
        os.utime(file)  # used last
    return features


def has_features(key: str) -> bool:
    """Return whether features of a key are kept; whether they are sound, reading them tells."""
    folder = cache_folder()
    return folder is not None and (folder / f"{key}{SUFFIX}").is_file()


def write_features(key: str, features: Tensor) -> None:
    """Keep features, if that is possible, and remove those unused for longest beyond the limit."""
    folder = cache_folder()
    if folder is None:
        return
    file = folder / f"{key}{SUFFIX}"
    with suppress(OSError, ResourceError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(file, save({"features": features}, {"crc32": _checksum(features)}))
        _evict(folder, file)


def _checksum(features: Tensor) -> str:
    return f"{zlib.crc32(features.contiguous().numpy().data):08x}"


def _evict(folder: Path, used: Path) -> None:
    states = [(path, path.stat()) for path in folder.glob(f"*{SUFFIX}") if path != used]
    room = LIMIT - used.stat().st_size
    for path, status in sorted(states, key=lambda entry: entry[1].st_mtime, reverse=True):
        room -= status.st_size
        if room < 0:
            path.unlink(missing_ok=True)
