"""Every network can be exported: read back and run by ONNX Runtime, its file answers as the Predictor does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from striate.data.dataset import ImageDataset
from striate.deploy import Predictor
from striate.deploy.export.formats import FORMATS
from striate.deploy.export.graph import Graph
from striate.deploy.export.proof import prove
from striate.deploy.export.sample import Sample
from striate.evaluation.calibration import Calibration
from striate.models import Architecture
from striate.runs.model_file import LoadedModel, ModelCard

from .networks import as_after_training, every_model, small, spec_of_shape

# plain, with a stem, inverted residuals, branches, residuals, one of timm with tokens
SOME = ["lenet5", "fast", "efficientnet-lite0", "googlenet", "resnet18", "timm/test_vit2"]


def export_and_prove(name: str, format: str) -> None:
    shape = small(name)
    spec = spec_of_shape(shape)
    card = ModelCard(architecture=Architecture(name=name), spec=spec, calibration=Calibration(temperature=0.5, count=9))
    loaded = LoadedModel(as_after_training(name), card)
    kind = FORMATS[format]
    run = kind.open(kind.write(Graph(loaded).eval()), name)
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (35, *shape), dtype=np.uint8))
    data = ImageDataset(images, torch.zeros(35, dtype=torch.int64), spec.classes, [""] * 35)
    proof = prove(run, Predictor(loaded, torch.device("cpu")), Sample("test", data, []))
    proof.require(name)
    assert proof.max_batch_difference < 1e-5
    assert proof.same_accepted == 35


@every_model
def test_onnx_answers_as_the_network_does(name) -> None:
    export_and_prove(name, "onnx")


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"onnx"}))
@pytest.mark.parametrize("name", SOME)
def test_other_formats_do(name, format) -> None:
    export_and_prove(name, format)
