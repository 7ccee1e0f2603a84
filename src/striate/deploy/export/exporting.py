"""Exporting a run or model file: written in memory, run, proven, and only then put in its place."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from pydantic import JsonValue

from striate.core.device import describe_machine
from striate.core.errors import ModelFileError, SettingsError
from striate.core.paths import file_status, is_there, user_path
from striate.deploy.export import int8 as eight_bits
from striate.deploy.export.files import require_place, vectors_place, write_files
from striate.deploy.export.formats import FORMATS, Format, Run
from striate.deploy.export.formats.format import torch_runner
from striate.deploy.export.graph import Graph
from striate.deploy.export.int8 import Loss
from striate.deploy.export.proof import BATCHES, LIMIT, Proof, joined, prove, seconds_per_picture
from striate.deploy.export.sample import Sample, take_sample
from striate.deploy.export.vectors import COUNT, make_vectors
from striate.deploy.onnx_bytes import NEEDED, missing_packages
from striate.deploy.predictor import Predictor
from striate.runs.config import NAME as CONFIG
from striate.runs.model_file import NAME as MODEL
from striate.runs.model_file import load_model

INT8_TOLERANCE = 0.05  # processors round 8-bit sums differently
SIZES = (BATCHES[0], BATCHES[-1])  # of the batches that are timed
LARGEST_VECTOR = (240, 320)  # of pictures of other sizes: a vector is text

Speeds = dict[int, float]  # {batch size: seconds per picture}


@dataclass(frozen=True)
class Exported:
    """A file that other programs run, and what is known of it.

    Args:
        path: The file; beside it lie the proof, '.proof.json', and five test vectors, '.vectors.json'.
        size: Its bytes.
        proof: How its answers compare with the network's.
        seconds: What a picture takes of the file here, from pixels to answers, by batch size.
        torch_seconds: What it takes of the same graph in torch.
        int8: What 8 bits cost; None of a float file, and so are the next two.
        float_size, float_seconds: Bytes and seconds of the float file.
        notes: What was left out of the pictures, one sentence each.
    """

    path: Path
    size: int
    proof: Proof
    seconds: Speeds
    torch_seconds: Speeds
    int8: Loss | None = None
    float_size: int | None = None
    float_seconds: Speeds | None = None
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, JsonValue]:
        """Return it as JSON values, as they stand in the proof's file."""
        speeds = {"file": _texts(self.seconds), "torch": _texts(self.torch_seconds)}
        told: dict[str, JsonValue] = {"file": self.path.name, "bytes": self.size, "proof": self.proof.summary()}
        if self.int8 is not None:
            told["int8"] = {**asdict(self.int8), "float_bytes": self.float_size}
            speeds["float file"] = _texts(self.float_seconds or {})
        return {**told, "seconds_per_picture": dict[str, JsonValue](speeds)}


@dataclass(frozen=True)
class _File:
    content: bytes
    run: Run
    proof: Proof
    seconds: Speeds


def export(
    path: str | os.PathLike[str],
    format: str = "onnx",
    *,
    out: str | os.PathLike[str] | None = None,
    data: str | None = None,
    part: str | None = None,
    data_dir: Path | None = None,
    any_size: bool = False,
    int8: bool = False,
) -> Exported:
    """Write a run's network as one file from pixels to answers, proven on real pictures.

    Args:
        path: A run folder or a model file; of a run's own the run.
        format: 'onnx', 'torchscript' or 'pt2'.
        out: The file; by default 'model' with the format's suffix, beside the model file.
        data: The pictures of the proof: a data set by name, a folder or a table; the run's own by default.
        part: 'test', 'val' or 'train'; by default the first of them that there is.
        data_dir: Folder that holds data sets by name.
        any_size: Take pictures of any size, and resize them in the graph exactly as Striate does.
        int8: Compute in 8-bit whole numbers, calibrated with training pictures; ONNX only.

    Raises:
        SettingsError: An option, a missing package, or a file that is there already.
        ModelFileError: No such model, or a file that does not answer as the network does: nothing is kept then.
        DataError: No pictures to prove it on.
        ResourceError: It cannot be written, or takes more than the 2 GiB that an ONNX file holds.
    """
    source = user_path(path, "a run folder or a model file")
    if source.name == MODEL and is_there(source.parent / CONFIG):
        source = source.parent  # whose pictures prove it
    FORMATS.require(format, "--format")
    kind = FORMATS[format]
    if int8 and format != "onnx":
        raise SettingsError("only ONNX files are quantised", where=f"--int8 --format {format}", fix="--format onnx")
    kind.require(f"--format {format}")
    loaded = load_model(source)
    place = default_place(source, kind.suffix, int8) if out is None else user_path(out)
    require_place(place, kind.suffix)
    sample = take_sample(source, loaded.card.spec, data, part, data_dir, any_size)
    training = eight_bits.calibration(source, loaded.card.spec, data, data_dir) if int8 else None

    graph = Graph(loaded, any_size).eval()
    predictor = Predictor(loaded, torch.device("cpu"))
    file = plain = _file(kind, kind.write(graph), predictor, sample, place)
    plain.proof.require(place)
    loss = None
    if training is not None:
        file = _file(kind, eight_bits.quantized(plain.content, training), predictor, sample, place)
        loss = eight_bits.loss(plain.run, file.run, sample.pictures)
        loss.require(place)

    eager = torch_runner(graph, graph.outputs)
    made = Exported(place, len(file.content), file.proof, file.seconds, _speeds(eager, sample), notes=sample.notes)
    if loss is not None:
        made = replace(made, int8=loss, float_size=len(plain.content), float_seconds=plain.seconds)
    shown = [np.ascontiguousarray(one[: LARGEST_VECTOR[0], : LARGEST_VECTOR[1]]) for one in sample.others[:COUNT]]
    shown = shown or list(sample.pixels(COUNT))
    answers = joined([(file.run if int8 else eager)(one[None]) for one in shown])
    vectors = make_vectors(shown, answers, loaded.card.spec, INT8_TOLERANCE if int8 else LIMIT)
    record: dict[str, JsonValue] = {
        "format": format,
        "any_size": any_size,
        **made.summary(),
        "sha256": hashlib.sha256(file.content).hexdigest(),
        "vectors": vectors_place(place).name,
        "weights_sha256": loaded.card.weights_sha256,
        "machine": described(),
    }
    write_files(place, file.content, record, vectors)
    return made


def default_place(source: Path, suffix: str, int8: bool) -> Path:
    """Return where a run's or model file's export goes, beside its model file and named like it."""
    status = file_status(source, ModelFileError)
    file = source / MODEL if status is not None and stat.S_ISDIR(status.st_mode) else source
    return file.with_name(f"{file.stem}{'-int8' if int8 else ''}{suffix}")


def described() -> dict[str, JsonValue]:
    """Return this machine and the versions of what ran the file here, as JSON values."""
    found = [name for name in NEEDED if name not in missing_packages()]
    machine: dict[str, JsonValue] = dict(describe_machine(torch.device("cpu")))  # type: ignore[arg-type]
    return {**machine, **{name: version(name) for name in found}}


def _file(kind: Format, content: bytes, predictor: Predictor, sample: Sample, place: Path) -> _File:
    """Return a file's content with what it does when it is read back and run."""
    run = kind.open(content, place)
    return _File(content, run, prove(run, predictor, sample), _speeds(run, sample))


def _speeds(run: Run, sample: Sample) -> Speeds:
    pixels = sample.pixels(SIZES[-1])
    return {size: seconds_per_picture(run, pixels, size) for size in SIZES}


def _texts(speeds: Speeds) -> dict[str, JsonValue]:
    return {str(size): seconds for size, seconds in speeds.items()}
