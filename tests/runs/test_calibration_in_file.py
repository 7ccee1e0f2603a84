"""Calibration in the model file: written, read back, older files still read, and nothing half-there accepted."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import striate
from striate.core.errors import ModelFileError
from striate.evaluation.calibration import Calibration
from striate.evaluation.unknown import Detector, UnknownRule
from striate.models import Architecture, build
from striate.models.last_layer import BANK
from striate.models.pretrained import load_tensors, read_weights
from striate.runs.model_file import ModelCard, load_model, save_model

RULE = UnknownRule(layer="classifier", threshold=0.1, false_alarms=0.01, count=300)
CALIBRATION = Calibration(temperature=0.7, count=300, fingerprint="f", reject_below=0.9, unknown=RULE)


@pytest.fixture
def parts(make_spec):
    """Return a network, its card and its detector."""
    spec, architecture = make_spec(side=16, classes=3), Architecture(name="fast", options={"widths": [4, 8]})
    torch.manual_seed(0)
    bank = torch.nn.functional.normalize(torch.rand(6, 8), dim=1).half()
    card = ModelCard(architecture=architecture, spec=spec, calibration=CALIBRATION)
    return build(architecture, spec), card, Detector("classifier", bank)


def test_it_comes_back_as_it_was_and_equal_content_gives_equal_bytes(parts, tmp_path: Path) -> None:
    model, card, detector = parts
    save_model(tmp_path / "m.safetensors", model, card, detector)
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.card.calibration == CALIBRATION
    assert torch.equal(loaded.detector.bank, detector.bank)
    assert loaded.detector.layer == "classifier"
    save_model(tmp_path / "n.safetensors", loaded.model, loaded.card, loaded.detector)
    assert (tmp_path / "n.safetensors").read_bytes() == (tmp_path / "m.safetensors").read_bytes()


def test_a_bit_that_changed_in_what_tells_unknown_pictures_is_seen(parts, tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    save_model(file, *parts)
    data = bytearray(file.read_bytes())
    (length,) = struct.unpack("<Q", data[:8])
    start, _ = json.loads(data[8 : 8 + length])[BANK]["data_offsets"]
    data[8 + length + start] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelFileError, match="changed"):
        load_model(file)


def as_of_format_1(file: Path) -> None:
    """Rewrite a file as the version before calibration wrote it: format 1, no such key, signed without it."""
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    card = json.loads(header["__metadata__"]["striate"])
    del card["calibration"], card["card_sha256"]
    card["format"] = 1
    text = json.dumps(card, separators=(",", ":"), ensure_ascii=False)
    card["card_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    header["__metadata__"]["striate"] = json.dumps(card)
    head = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(head)) + head + data[8 + length :])


def test_a_file_of_the_version_before_is_read_and_used_uncalibrated(parts, tmp_path: Path) -> None:
    model, card, _ = parts
    file = tmp_path / "m.safetensors"
    save_model(file, model, card.model_copy(update={"calibration": None}))
    as_of_format_1(file)
    predictor = striate.load(file, device="cpu")
    assert predictor.card.format == 1
    assert predictor.card.calibration is None
    (prediction,) = predictor.predict(torch.zeros(16, 16, dtype=torch.uint8))
    assert (prediction.accepted, prediction.unknown, prediction.unknown_score) == (True, False, None)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda model, card, detector: (model, card, None), "one half is missing"),
        (lambda model, card, detector: (model, _with(card, None), detector), "one half is missing"),
        (lambda model, card, detector: (model, _with(card, {"layer": "body"}), detector), "another network"),
        (lambda model, card, detector: (model, _with(card, {"layer": "x.y"}), detector), "another network"),
        (lambda model, card, detector: (model, card, Detector("", detector.bank[:0])), "another network"),
        (lambda model, card, detector: (model, card, Detector("", detector.bank[:, :5])), "another network"),
        (lambda model, card, detector: (model, card, Detector("", detector.bank.float())), "another network"),
        (lambda model, card, detector: (model, card, Detector("", detector.bank * float("nan"))), "not finite"),
    ],
)
def test_what_does_not_fit_together_is_refused(parts, tmp_path: Path, change, told: str) -> None:
    save_model(tmp_path / "m.safetensors", *change(*parts))
    with pytest.raises(ModelFileError, match=told):
        load_model(tmp_path / "m.safetensors")


def _with(card: ModelCard, changes: dict | None) -> ModelCard:
    rule = None if changes is None else RULE.model_copy(update=changes)
    return card.model_copy(update={"calibration": CALIBRATION.model_copy(update={"unknown": rule})})


@pytest.mark.parametrize(
    "wrong", [{"temperature": 0}, {"temperature": float("inf")}, {"reject_below": 1.5}, {"more": 1}]
)
def test_values_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Calibration.model_validate({**CALIBRATION.model_dump(), **wrong})


def test_weights_are_taken_from_such_a_file_without_what_is_no_weight(parts, tmp_path: Path) -> None:
    model, card, detector = parts
    save_model(tmp_path / "m.safetensors", model, card, detector)
    assert BANK in load_file(tmp_path / "m.safetensors")
    other = build(card.architecture, card.spec)
    transfer = load_tensors(other, read_weights(tmp_path / "m.safetensors"), tmp_path / "m.safetensors")
    assert transfer.left_out == ()
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), model.parameters(), strict=True))
