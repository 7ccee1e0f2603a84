"""One picture, one tensor: training, evaluation and prediction give the network the same bits."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

import striate
from striate.core.settings import TrainSettings
from striate.core.spec import ImageSpec
from striate.data.augment.geometry import Geometry
from striate.data.augment.pipeline import Parameters
from striate.data.loader import Loader, in_order, normalize
from striate.data.sources import open_data
from striate.deploy import Predictor
from striate.deploy.labelled import read_labelled
from striate.deploy.measure import measure
from striate.models import build
from striate.runs.model_file import LoadedModel, ModelCard
from striate.training.plan import Plan, make_plan

CPU = torch.device("cpu")
every_normalization = pytest.mark.parametrize("normalization", ["data", "picture", "none"])


def in_training(loader: Loader, spec: ImageSpec, count: int) -> torch.Tensor:
    """Return the pictures as training sees them where nothing is drawn: from the centre if there is a crop."""
    if spec.crop is None:
        return loader.batch(0, torch.arange(count)).images
    rows, columns = spec.centre
    still = torch.zeros(count, dtype=torch.bool)
    centre = torch.tensor([[columns.start, rows.start]]).repeat(count, 1)
    geometry = Geometry(still, still, torch.zeros(count, 2, dtype=torch.int64), window=centre)
    return normalize(loader.augment.apply(loader.images[:count], Parameters(geometry, None, None)), spec)


def planned(folder, **settings) -> tuple[Plan, Loader]:
    parsed = TrainSettings.parse({"flip": False, "shift": 0, "epochs": 1, "device": "cpu", **settings})
    data = open_data(str(folder), parsed, 0)
    plan = make_plan(parsed, data)
    return plan, Loader(data.train, plan.spec, plan.settings, 5, 0, CPU)


@every_normalization
@pytest.mark.parametrize("crop", [None, 9, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_training_evaluation_and_prediction_see_the_same_bits(picture_folder, normalization, crop, channels) -> None:
    folder = picture_folder(side=20, cats=12, dogs=12)
    plan, loader = planned(folder, normalize=normalization, crop=crop, channels=channels, img_size=16)
    spec = ImageSpec.model_validate_json(plan.spec.model_dump_json())  # as it comes out of a model file
    card = ModelCard(architecture=plan.architecture, spec=spec)
    predictor = Predictor(LoadedModel(build(plan.architecture, spec).eval(), card), CPU)
    data = loader.data
    trained = in_training(loader, plan.spec, len(data))
    evaluated = torch.cat(list(in_order(data, spec, 4, CPU)))
    paths = [folder / name for name in data.names]
    assert trained.shape[1:] == spec.input_shape == (channels, crop or 16, crop or 16)
    assert torch.equal(trained, evaluated)
    assert torch.equal(predictor.inputs(paths), evaluated)
    arrays = [np.asarray(Image.open(path)) for path in paths]
    tensors = [torch.from_numpy(array.copy()).permute(2, 0, 1) for array in arrays]
    others = (arrays, tensors, [Image.open(path) for path in paths], [path.read_bytes() for path in paths])
    for pictures in others:
        assert torch.equal(predictor.inputs(pictures), evaluated)
    for path, seen in zip(paths, evaluated, strict=True):
        assert torch.equal(predictor.inputs([path])[0], seen)  # alone as in a batch


def test_a_large_jpeg_is_the_same_picture_from_wherever_its_file_comes(picture_folder) -> None:
    folder = picture_folder(side=200, suffix=".jpg", cats=6, dogs=6)
    plan, loader = planned(folder, img_size=16)
    card = ModelCard(architecture=plan.architecture, spec=plan.spec)
    predictor = Predictor(LoadedModel(build(plan.architecture, plan.spec).eval(), card), CPU)
    evaluated = torch.cat(list(in_order(loader.data, plan.spec, 4, CPU)))
    paths = [folder / name for name in loader.data.names]
    opened = [Image.open(path) for path in paths]
    encoded = [path.read_bytes() for path in paths]
    for pictures in (paths, encoded, [io.BytesIO(data) for data in encoded], opened):
        assert torch.equal(predictor.inputs(pictures), evaluated)
    assert {picture.size for picture in opened} == {(200, 200)}  # they are the caller's
    for picture in opened:
        picture.close()
    measured = read_labelled(folder, plan.spec).pictures
    rows = [list(measured.names).index(name) for name in loader.data.names]
    assert torch.equal(measured.images[rows], loader.data.images)


@every_normalization
def test_a_run_with_a_crop_measures_and_predicts_as_it_evaluated(picture_folder, tmp_path, normalization) -> None:
    folder = picture_folder(side=20, cats=16, dogs=16)
    run = striate.train(
        folder, out=tmp_path / "runs", epochs=2, crop=12, normalize=normalization, precision="fp32", device="cpu"
    )
    measured = measure(run.path, device="cpu")
    assert measured.result.summary() == json.loads((run.path / "evaluation.json").read_bytes())["test"]
    predictor = striate.load(run.path, device="cpu")
    assert predictor.spec.input_shape == (3, 12, 12)
    predictions = predictor.predict([folder / name for name in measured.pictures.names])
    for prediction, row in zip(predictions, measured.result.probabilities.tolist(), strict=True):
        np.testing.assert_allclose(list(prediction.probabilities.values()), row, atol=1e-5)
    assert measure(run.path, str(folder), device="cpu").result.count == 32
