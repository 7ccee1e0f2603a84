"""The model file: one safetensors file with the weights and, in its metadata, all that is needed to use them."""

from __future__ import annotations

import hashlib
import json
import math
import stat
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
from striate.core.paths import file_status, to_type
from striate.core.spec import ImageSpec
from striate.evaluation.calibration import Calibration
from striate.evaluation.unknown import Detector
from striate.models import Architecture, Classifier, build, place
from striate.models.last_layer import BANK
from striate.runs.atomic import replace_file
from striate.runs.folds_folder import fold_runs, not_one_run
from striate.version import __version__

FORMAT = 2  # 2: with calibration, which readers of 1 would not obey
KEY = "striate"
NAME = "model.safetensors"
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
_FIX = f"give a run folder or its {NAME}"


class PartMetrics(BaseModel):
    """What was measured on one part of the data; any further figures are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow")

    accuracy: float
    count: int


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
        calibration: How logits become probabilities, and when an answer is not to be relied on; None where that
            was not learned.
        weights_sha256: `weights_digest` of the tensors in the file; `save_model` enters it.
        card_sha256: SHA-256 of all the above as JSON; `save_model` enters it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(FORMAT, ge=1)
    striate: str = __version__
    architecture: Architecture
    spec: ImageSpec
    metrics: Mapping[str, PartMetrics] = Field(default_factory=dict)
    settings_digest: str = ""
    data: str = ""
    calibration: Calibration | None = None
    weights_sha256: str = ""
    card_sha256: str = ""

    def signed(self) -> ModelCard:
        """Return the card with its own SHA-256."""
        absent = {"calibration"} if self.calibration is None else set[str]()  # files of format 1 do not know it
        text = self.model_dump_json(exclude={"card_sha256", *absent})
        return self.model_copy(update={"card_sha256": hashlib.sha256(text.encode()).hexdigest()})


@dataclass(frozen=True)
class LoadedModel:
    """A network with its weights, in evaluation mode, its card, and what tells pictures that it does not know."""

    model: Classifier
    card: ModelCard
    detector: Detector | None = None

    @property
    def layer(self) -> str | None:
        """Name of the layer whose input tells unknown pictures; None where none does."""
        return self.detector.layer if self.detector else None


def save_model(path: Path, model: Classifier, card: ModelCard, detector: Detector | None = None) -> None:
    """Write the model file at once; equal weights, card and detector give equal bytes."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    assert BANK not in tensors
    if detector is not None:
        tensors[BANK] = detector.bank.cpu().contiguous()
    card = card.model_copy(update={"weights_sha256": weights_digest(tensors)}).signed()
    replace_file(path, save(tensors, metadata={KEY: card.model_dump_json()}))


def weights_digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over the tensors in order of their names.

    Each contributes the JSON text of [name, type, shape], e.g. '["head.bias", "float32", [10]]', and then its
    values in memory order, row by row.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        kind = str(tensor.dtype).removeprefix("torch.")
        digest.update(json.dumps([name, kind, list(tensor.shape)]).encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_model(path: Path, device: torch.device | None = None) -> LoadedModel:
    """Return the network in a model file; no code in the file is ever run.

    Args:
        path: The file, or the run folder that holds it.
        device: Where the network is to compute; the CPU by default.

    Raises:
        ModelFileError: Missing, of a run that is not finished, of another format (pickles are refused by their
            first bytes, unread), damaged, written by a newer version, weights that are not those it was written
            with, or do not fit the architecture.
    """
    file = _find(path)
    data = _read(file)
    card = read_card(data, file)
    try:
        model = build(card.architecture, card.spec)
    except StriateError as error:
        raise ModelFileError(f"its architecture cannot be built ({error.what})", where=file) from None
    try:
        tensors = load(data)
    except Exception as error:  # the parser's own exception type is not public
        raise ModelFileError(f"damaged safetensors file ({error})", where=file, fix="take another copy") from None
    if weights_digest(tensors) != card.weights_sha256:
        raise ModelFileError("weights have changed since the file was written", where=file, fix="take another copy")
    detector = _detector(card, tensors.pop(BANK, None), model, file)
    check_weights(model, tensors, file)
    model.load_state_dict(tensors)
    device = device or torch.device("cpu")
    return LoadedModel(place(model, device).eval(), card, detector and detector.to(device))


def _detector(card: ModelCard, bank: Tensor | None, model: Classifier, file: Path) -> Detector | None:
    """Return what the card and the tensor beside the weights say of unknown pictures, if they do."""
    rule = card.calibration.unknown if card.calibration else None
    if rule is None and bank is None:
        return None
    if rule is None or bank is None:
        raise ModelFileError("of what tells unknown pictures, one half is missing", where=file)
    layer = dict(model.named_modules()).get(rule.layer)
    wanted = (torch.float16, 2, getattr(layer, "in_features", None))
    if (bank.dtype, bank.ndim, bank.shape[-1:].numel()) != wanted or len(bank) == 0:
        raise ModelFileError("what tells unknown pictures is that of another network", where=file)
    if not bool(torch.isfinite(bank).all()):
        raise ModelFileError("what tells unknown pictures is not finite", where=file)
    return Detector(rule.layer, bank)


def _find(path: Path) -> Path:
    """Return the model file at a path, which may be its run folder."""
    status = file_status(path, ModelFileError)
    if status is not None and stat.S_ISDIR(status.st_mode):
        path = path / NAME
        status = file_status(path, ModelFileError)
    if status is None:
        raise _missing(path)
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileError("not a regular file", where=path, fix=_FIX)
    return path


def _missing(file: Path) -> ModelFileError:
    run = file.parent
    if file.name == NAME and (runs := fold_runs(run)):
        what, fix = not_one_run(runs)
        return ModelFileError(what, where=run, fix=fix)
    if file.name != NAME or file_status(run / "config.json", ModelFileError) is None:
        return ModelFileError("no model file here", where=file, fix=_FIX)
    if file_status(run / "diverged.json", ModelFileError) is not None:
        return ModelFileError("this run diverged and has no model", where=run, fix="start a new run with a lower --lr")
    return ModelFileError("this run is not finished", where=run, fix=to_type("striate", "train", "--resume", run))


def _read(file: Path) -> bytes:
    try:
        with open(file, "rb") as opened:
            head = opened.read(9)
        length = struct.unpack("<Q", head[:8])[0] if len(head) == 9 else 0
        # before the others: a header of 640 bytes begins with the two bytes of a pickle
        if 2 <= length <= min(MAX_HEADER, file.stat().st_size - 8) and head[8:] == b"{":
            return file.read_bytes()
        for magic, kind in _FOREIGN.items():
            if head.startswith(magic):
                raise ModelFileError(
                    f"refused: this is {kind}; such files can run code when opened, or are not ours",
                    where=file,
                    fix=f"give a {NAME} written by striate",
                )
        raise ModelFileError("not a safetensors file, or cut off", where=file, fix=_FIX)
    except OSError as error:
        raise ModelFileError(
            f"cannot be read ({error.strerror})", where=file, fix=to_type("chmod", "u+r", file)
        ) from None


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
            fix=f"give a {NAME} written by striate",
        )
    try:
        if len(text) > MAX_CARD:
            raise ValueError(f"card of {len(text):,} characters")
        version = int(json.loads(text)["format"])
        if version > FORMAT:
            raise ModelFileError(
                f"written in format {version}; this version of striate knows formats up to {FORMAT}",
                where=path,
                fix="pip install --upgrade striate",
            )
        card = ModelCard.model_validate_json(text)
        if not card.weights_sha256:
            raise ValueError("weights_sha256 is missing")
        if card != card.signed():
            raise ModelFileError("its card has changed since the file was written", where=path)
        return card
    except ModelFileError:
        raise
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise ModelFileError(f"its card is invalid ({place}: {problem['msg']})", where=path) from None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelFileError(f"its card is invalid ({error})", where=path) from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands twice in it")
    return values


def check_weights(model: Classifier, tensors: Mapping[str, Tensor], where: object) -> None:
    """Refuse weights that do not fit the network or are not finite, naming the first five.

    Raises:
        ModelFileError: Names, shapes or types differ, or a value is NaN or infinite.
    """
    wanted = model.state_dict()
    problems = [f"{name} is missing" for name in wanted if name not in tensors]
    problems += [f"{name} is not in the network" for name in tensors if name not in wanted]
    for name in wanted.keys() & tensors.keys():
        theirs, ours = ((tuple(tensor.shape), tensor.dtype) for tensor in (tensors[name], wanted[name]))
        if theirs != ours:
            problems.append(f"{name} is {theirs[0]} {theirs[1]}, the network's {ours[0]} {ours[1]}")
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
