"""The model file: complete, equal for equal content, and never a way to run code."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import pickle
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from striate.core.errors import ModelFileError
from striate.models import MODELS, Architecture, build
from striate.runs.model_file import ModelCard, load_model, read_card, save_model

from ..canary import Canary


@pytest.fixture
def model_file(tmp_path: Path, make_spec) -> Path:
    spec = make_spec(channels=1, side=28)
    card = ModelCard(architecture=Architecture(name="fast"), spec=spec, metrics={"test": {"accuracy": 0.5, "count": 4}})
    save_model(tmp_path / "model.safetensors", build(card.architecture, spec), card)
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("channels", [1, 3])
def test_every_model_comes_back_with_equal_outputs_and_card(tmp_path, make_spec, name, channels) -> None:
    spec = make_spec(channels=channels, side=32)
    card = ModelCard(
        architecture=Architecture(name=name), spec=spec, metrics={"test": {"accuracy": 0.5, "count": 4}}, data="x"
    )
    model = build(card.architecture, spec).eval()
    save_model(tmp_path / "model.safetensors", model, card)
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.card.model_copy(update={"weights_sha256": "", "card_sha256": ""}) == card
    assert not loaded.model.training
    for key, tensor in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[key], tensor)
    images = torch.randn(2, *spec.input_shape)
    torch.testing.assert_close(
        loaded.model(images), model(images), rtol=1e-4, atol=1e-4
    )  # kernels of another memory format


@pytest.mark.parametrize("length", [0x10280, 0x10380, 0x10480, 0x10580])
def test_a_header_whose_length_looks_like_a_pickle_is_read(tmp_path: Path, make_spec, length: int) -> None:
    spec, architecture, path = make_spec(), Architecture(name="fast"), tmp_path / "model.safetensors"
    model = build(architecture, spec)
    save_model(path, model, ModelCard(architecture=architecture, spec=spec))
    missing = length - int.from_bytes(path.read_bytes()[:8], "little")
    save_model(path, model, ModelCard(architecture=architecture, spec=spec, data="x" * missing))
    assert path.read_bytes().startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"))
    assert load_model(path).card.spec == spec


def test_the_card_holds_the_sha256_of_names_types_shapes_and_values(model_file: Path) -> None:
    data = model_file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    card = json.loads(header.pop("__metadata__")["striate"])
    kinds = {"F32": "float32", "I64": "int64"}
    digest = hashlib.sha256()
    for name in sorted(header):
        start, end = header[name]["data_offsets"]
        digest.update(json.dumps([name, kinds[header[name]["dtype"]], header[name]["shape"]]).encode())
        digest.update(body[start:end])
    assert card["weights_sha256"] == digest.hexdigest()


def test_a_bit_that_changed_in_any_tensor_is_seen(model_file: Path) -> None:
    data = model_file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    for offset in np.linspace(8 + length, len(data) - 1, 40).astype(int):
        changed = bytearray(data)
        changed[offset] ^= 1
        model_file.write_bytes(changed)
        with pytest.raises(ModelFileError, match="weights have changed since the file was written"):
            load_model(model_file)


def test_tensors_that_changed_places_are_seen(tmp_path: Path, make_spec) -> None:
    spec = make_spec()
    card = ModelCard(architecture=Architecture(name="fast"), spec=spec)
    model = build(card.architecture, spec)
    save_model(tmp_path / "m.safetensors", model, card)
    before = tmp_path.joinpath("m.safetensors").read_bytes()
    names = [name for name, tensor in model.state_dict().items() if tensor.ndim == 1 and tensor.dtype == torch.float32]
    one, other = next(
        (a, b)
        for a, b in itertools.combinations(names, 2)
        if len(model.state_dict()[a]) == len(model.state_dict()[b])
        and not torch.equal(model.state_dict()[a], model.state_dict()[b])
    )
    (length,) = struct.unpack("<Q", before[:8])
    header = json.loads(before[8 : 8 + length])
    header[one]["data_offsets"], header[other]["data_offsets"] = (
        header[other]["data_offsets"],
        header[one]["data_offsets"],
    )
    text = json.dumps(header).encode()
    (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + before[8 + length :])
    with pytest.raises(ModelFileError, match="changed"):
        load_model(tmp_path / "m.safetensors")


def test_equal_content_gives_equal_bytes(model_file: Path) -> None:
    loaded = load_model(model_file)
    again = model_file.with_name("again.safetensors")
    for _ in range(5):
        save_model(again, loaded.model, loaded.card)
        assert again.read_bytes() == model_file.read_bytes()


def as_pickle(path: Path, canary: Canary) -> None:
    path.write_bytes(pickle.dumps(canary))


def as_torch_save(path: Path, canary: Canary) -> None:
    torch.save({"weights": canary}, path)


def as_old_pickle(path: Path, canary: Canary) -> None:
    path.write_bytes(pickle.dumps(canary, protocol=0))


def as_zip(path: Path, canary: Canary) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(canary))


@pytest.mark.parametrize("pack", [as_pickle, as_torch_save, as_old_pickle, as_zip])
@pytest.mark.parametrize("name", ["model.safetensors", "model.pt"])
def test_a_pickle_is_refused_and_never_opened(tmp_path: Path, pack, name) -> None:
    canary = tmp_path / "canary"
    pack(tmp_path / name, Canary(canary))
    with pytest.raises(ModelFileError) as caught:
        load_model(tmp_path / name)
    assert caught.value.exit_code == 4
    assert name in str(caught.value)
    assert not canary.exists()


def rewrite_card(path: Path, change) -> None:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    card = json.loads(header["__metadata__"]["striate"])
    change(card)
    with suppress(ValidationError):  # signed anew, so that only the change itself can be what is wrong
        card = ModelCard.model_validate(card).signed().model_dump(mode="json")
    header["__metadata__"]["striate"] = json.dumps(card)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda card: card.update(format=99), "format 99"),
        (lambda card: card.update(format=0), "format"),
        (lambda card: card.pop("spec"), "spec"),
        (lambda card: card.pop("weights_sha256"), "weights_sha256"),
        (lambda card: card.update(weights_sha256="0" * 64), "weights have changed"),
        (lambda card: card["spec"].update(channels=2), "channels"),
        (lambda card: card["spec"].update(classes=["a", "b"]), "classifier"),
        (lambda card: card["architecture"].update(name="no-such-net"), "unknown model"),
        (lambda card: card["architecture"].update(name="mnist-cnn", options={}), "another architecture"),
        (lambda card: card["architecture"].update(options={"widths": "x"}), "cannot be built"),
    ],
)
def test_a_card_that_does_not_fit_is_refused_with_its_reason(model_file: Path, change, told: str) -> None:
    rewrite_card(model_file, change)
    with pytest.raises(ModelFileError, match=told):
        load_model(model_file)


def test_a_bit_that_changed_anywhere_in_the_card_is_seen(model_file: Path) -> None:
    data = model_file.read_bytes()
    start, end = data.index(b'"striate"'), data.index(b"card_sha256") + 80
    for place in range(start, end):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(ModelFileError):
            read_card(bytes(changed), model_file)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path, make_spec) -> None:
    spec = make_spec()
    card = ModelCard(architecture=Architecture(name="fast"), spec=spec)
    model = build(card.architecture, spec)
    with torch.no_grad():
        model.classifier.bias[0] = torch.nan
    save_model(tmp_path / "m.safetensors", model, card)
    with pytest.raises(ModelFileError, match=r"classifier\.bias"):
        load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 4,
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 10**6) + b"{}",
        struct.pack("<Q", 0) + b"",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 9) + b"\xff\xfe not js",
        struct.pack("<Q", 17) + b'{"a":1,"a":2}    ',
        b"<html>not found</html>",
        b"\x89HDF\r\n\x1a\n" + b"\x00" * 64,
    ],
)
def test_garbage_is_refused_quickly_and_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.safetensors"):
        load_model(path)


def test_a_truncated_file_is_refused(model_file: Path) -> None:
    whole = model_file.read_bytes()
    for share in (0.1, 0.5, 0.99):
        model_file.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ModelFileError):
            load_model(model_file)


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelFileError, match="card"):
        load_model(tmp_path / "w.safetensors")


def test_a_card_nested_without_end_is_refused(model_file: Path) -> None:
    card = {"format": 1}
    data = model_file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["striate"] = json.dumps(card)[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}"
    text = json.dumps(header).encode()
    model_file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    with pytest.raises(ModelFileError, match="card is invalid"):
        load_model(model_file)


def test_weights_of_another_type_are_refused(model_file: Path) -> None:
    loaded = load_model(model_file)
    save_model(model_file, loaded.model.half(), loaded.card)
    with pytest.raises(ModelFileError, match=r"torch\.float16"):
        load_model(model_file)


@pytest.mark.parametrize("missing", ["absent.safetensors", "", "file/below"])
def test_nothing_there_says_so(tmp_path: Path, missing: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(ModelFileError, match="no model file"):
        load_model(tmp_path / missing)


def test_a_folder_gives_its_model(model_file: Path) -> None:
    assert load_model(model_file.parent).card == load_model(model_file).card


@pytest.mark.parametrize("name", ["", "model.safetensors"])
def test_an_unfinished_run_says_so_with_the_command_that_goes_on(tmp_path: Path, name: str) -> None:
    run = tmp_path / "my run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    with pytest.raises(ModelFileError, match="not finished") as caught:
        load_model(run / name)
    assert caught.value.fix == f"striate train --resume '{run}'"
    (run / "diverged.json").write_text("{}")
    with pytest.raises(ModelFileError, match="diverged") as caught:
        load_model(run / name)
    assert "--resume" not in caught.value.fix


@pytest.mark.parametrize("odd", ["x" * 300, "a\0b", "loop", "\ud800"])
def test_a_path_that_cannot_be_looked_up_is_a_model_file_error(tmp_path: Path, odd: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ModelFileError, match="cannot be used"):
        load_model(tmp_path / odd)


def test_a_file_that_may_not_be_read_is_a_model_file_error(model_file: Path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # a test may run as root, who may read everything
    with pytest.raises(ModelFileError, match="Permission denied") as caught:
        load_model(model_file)
    assert "chmod" in caught.value.fix


def test_a_pipe_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(ModelFileError, match="not a regular file"):
        load_model(tmp_path)
