"""An ONNX file whose network computes in 8-bit whole numbers, calibrated with training pictures.

Weights get a scale per output channel, what flows between layers one scale each, from the range that the calibration
pictures reach (static quantisation, written as QDQ nodes). Only the network is quantised: normalisation, views,
softmax and the rules of certainty stay in float.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from striate.core.errors import DataError, ModelFileError
from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset
from striate.deploy.export.formats import Run
from striate.deploy.export.graph import PIXELS
from striate.deploy.export.proof import answer_sets, run_all
from striate.deploy.export.sample import labels_of, pixels_of, take_sample

LEAST_CALIBRATION, CALIBRATION = 100, 200
MOST_MEASURED = 10_000
POINTS = 0.3
BATCH, CHUNK = 10, 1000  # pictures calibrated with, and measured, at a time
QUANTIZED = ("Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "MaxPool", "GlobalAveragePool", "ReduceMean")


@dataclass(frozen=True)
class Loss:
    """What 8 bits cost.

    Args:
        pictures: How many were measured.
        before, after: Share of right answers of the float and of the 8-bit file.
    """

    pictures: int
    before: float
    after: float

    @property
    def points(self) -> float:
        """By how many points of accuracy the 8-bit file is worse."""
        return 100 * (self.before - self.after)

    def require(self, where: object) -> None:
        """Refuse a file that has lost more than 0.3 points: ModelFileError."""
        if self.points > POINTS + 1e-9:
            raise ModelFileError(
                f"in int8 {100 * self.after:.2f} % of {self.pictures:,} answers are right, {100 * self.before:.2f} % "
                f"before: {self.points:.2f} points fewer, {POINTS} are allowed; nothing was kept",
                where=where,
                fix="leave --int8 out",
            )


def calibration(path: Path, spec: ImageSpec, data: str | None, data_dir: Path | None) -> ImageDataset:
    """Return up to 200 training pictures, before any crop; DataError where there are fewer than 100."""
    pictures = take_sample(path, spec, data, "train", data_dir).pictures.spread(CALIBRATION)
    if len(pictures) < LEAST_CALIBRATION:
        raise DataError(
            f"{len(pictures):,} training pictures; int8 is calibrated with {LEAST_CALIBRATION} or more",
            where=data or path,
            fix="leave --int8 out",
        )
    return pictures


def quantized(data: bytes, pictures: ImageDataset) -> bytes:
    """Return an exported ONNX file with its network in 8 bits.

    Args:
        data: The float file.
        pictures: To calibrate with, before any crop.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    chosen = pixels_of(pictures)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest: Iterator[dict[str, Any]] = iter(
                [{PIXELS: chosen[start : start + BATCH]} for start in range(0, len(chosen), BATCH)]
            )

        def get_next(self) -> dict[str, Any] | None:
            return next(self.rest, None)

    model = onnx.load_from_string(data)
    nodes = [node.name for node in model.graph.node if _is_network(node) and node.op_type in QUANTIZED]
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # its advice to prepare the model, which has been done
    try:
        with tempfile.TemporaryDirectory(prefix="striate-int8-") as folder:
            made = Path(folder) / "int8.onnx"
            quantize_static(
                model,
                made,
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=nodes,
                op_types_to_quantize=list(QUANTIZED),
            )
            return made.read_bytes()
    finally:
        logging.disable(before)


def _is_network(node: Any) -> bool:
    """Return whether a node of the file comes from the network, and not from what is before and after it."""
    scopes = next((one.value for one in node.metadata_props if one.key == "pkg.torch.onnx.name_scopes"), "")
    return "'model'" in scopes


def loss(before: Run, after: Run, pictures: ImageDataset) -> Loss:
    """Return what 8 bits cost on up to 10,000 labelled pictures, evenly spread."""
    some = pictures.spread(MOST_MEASURED)
    right = np.zeros(2, dtype=np.int64)
    for numbers in torch.arange(len(some)).split(CHUNK):
        part = some.select(numbers)
        pixels, labels = pixels_of(part), labels_of(part)
        for number, run in enumerate((before, after)):
            answers = answer_sets(run_all(run, pixels)["probabilities"], part.multi_label)
            right[number] += (answers == labels).all(1).sum()
    return Loss(len(some), float(right[0]) / len(some), float(right[1]) / len(some))
