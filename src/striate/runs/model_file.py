"""The model file: one safetensors file with the weights and, in its metadata, all that is needed to use them."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from safetensors.torch import load, save
from torch import Tensor

from striate.core.errors import ModelFileError, StriateError
from striate.core.spec import ImageSpec
from striate.models import Architecture, Classifier, build, place
from striate.runs.atomic import replace_file
from striate.version import __version__

FORMAT = 1
KEY = "striate"
MAX_HEADER = 100 * 2**20
MAX_CARD = 10 * 2**20
_FOREIGN = {
    b"PK\x03\x04": "a zip archive, which is how torch.save packs pickles",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"\x89HDF": "an HDF5 file",
    b"\x08\x0a\x12": "an ONNX file",
}


class ModelCard(BaseModel):
    """What a model file says of itself, besides the weights.

    Args:
        format: Version of this layout.
        striate: Version of the library that wrote it.
        architecture: Name and options of the network.
        spec: How a picture becomes its input, and the classes of its output.
        metrics: What was measured, by part: {'test': {'accuracy': …, 'count': …}}.
        settings_digest: SHA-256 of the training settings.
        data: Name of the training data.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = FORMAT
    striate: str = __version__
    architecture: Architecture
    spec: ImageSpec
    metrics: Mapping[str, JsonValue] = Field(default_factory=dict)
    settings_digest: str = ""
    data: str = ""


@dataclass(frozen=True)
class LoadedModel:
    """A network with its weights, in evaluation mode, and its card."""

    model: Classifier
    card: ModelCard


def save_model(path: Path, model: Classifier, card: ModelCard) -> None:
    """Write the model file at once; equal weights and card give equal bytes."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    replace_file(path, save(tensors, metadata={KEY: card.model_dump_json()}))


def load_model(path: Path, device: torch.device | None = None) -> LoadedModel:
    """Return the network in a model file; no code in the file is ever run.

    Raises:
        ModelFileError: Missing, of another format (pickles are refused by their first bytes, unread),
            damaged, written by a newer version, or weights that do not fit the architecture.
    """
    data = _read(path)
    card = read_card(data, path)
    try:
        model = build(card.architecture, card.spec)
    except StriateError as error:
        raise ModelFileError(f"its architecture cannot be built ({error.what})", where=path) from None
    try:
        tensors = load(data)
    except Exception as error:  # the parser's own exception type is not public
        raise ModelFileError(f"damaged safetensors file ({error})", where=path, fix="take another copy") from None
    check_weights(model, tensors, path)
    model.load_state_dict(tensors)
    return LoadedModel(place(model, device or torch.device("cpu")).eval(), card)


def _read(path: Path) -> bytes:
    fix = "give a run folder or its model.safetensors"
    if path.is_dir() or not path.exists():
        raise ModelFileError("no model file here", where=path, fix=fix)
    if not path.is_file():
        raise ModelFileError("not a regular file", where=path, fix=fix)
    with open(path, "rb") as file:
        head = file.read(9)
    size = path.stat().st_size
    length = struct.unpack("<Q", head[:8])[0] if len(head) == 9 else 0
    # before the others: a header of 640 bytes begins with the two bytes of a pickle
    if 2 <= length <= min(MAX_HEADER, size - 8) and head[8:] == b"{":
        return path.read_bytes()
    for magic, kind in _FOREIGN.items():
        if head.startswith(magic):
            raise ModelFileError(
                f"refused: this is {kind}; such files can run code when opened, or are not ours",
                where=path,
                fix="give a model.safetensors written by striate",
            )
    raise ModelFileError("not a safetensors file, or cut off", where=path, fix=fix)


def read_card(data: bytes, path: Path) -> ModelCard:
    """Return the card in a safetensors file's metadata; ModelFileError where it has none that is valid."""
    (length,) = struct.unpack("<Q", data[:8])
    try:
        header = json.loads(data[8 : 8 + length], object_pairs_hook=_no_duplicates)
        text = header.get("__metadata__", {}).get(KEY)
    except (ValueError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"damaged safetensors header ({error})", where=path, fix="take another copy") from None
    if text is None:
        raise ModelFileError(
            "a safetensors file without striate's card, so its network is unknown",
            where=path,
            fix="give a model.safetensors written by striate",
        )
    try:
        if len(text) > MAX_CARD:
            raise ValueError(f"card of {len(text):,} characters")
        version = json.loads(text)["format"]
        if version > FORMAT:
            raise ModelFileError(
                f"written in format {version}; this version of striate knows formats up to {FORMAT}",
                where=path,
                fix="pip install --upgrade striate",
            )
        return ModelCard.model_validate_json(text)
    except ModelFileError:
        raise
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise ModelFileError(f"its card is invalid ({place}: {problem['msg']})", where=path) from None
    except (ValueError, TypeError, KeyError) as error:
        raise ModelFileError(f"its card is invalid ({error})", where=path) from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands twice in it")
    return values


def check_weights(model: Classifier, tensors: Mapping[str, Tensor], where: object) -> None:
    """Refuse weights that do not fit the network or are not finite, naming the first five.

    Raises:
        ModelFileError: Names or shapes differ, or a value is NaN or infinite.
    """
    wanted = model.state_dict()
    problems = [f"{name} is missing" for name in wanted if name not in tensors]
    problems += [f"{name} is not in the network" for name in tensors if name not in wanted]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, the network {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ModelFileError(
            f"weights of another architecture: {'; '.join(problems[:5])}{more}",
            where=where,
            fix="use the file with the architecture it was saved from",
        )
    broken = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor.float()).all())]
    if broken:
        raise ModelFileError(f"weights that are not finite: {', '.join(broken[:5])}", where=where)


def metrics_summary(metrics: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return metrics as JSON values: floats rounded to 6 decimals, so that equal runs give equal files."""

    def plain(value: Any) -> JsonValue:
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, float):
            return round(value, 6) if math.isfinite(value) else None
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        assert value is None or isinstance(value, str | int | bool)
        return value

    return {key: plain(value) for key, value in metrics.items()}
