"""One way from pixels to probabilities: every kind of input, and evaluation, see the same tensor."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import striate
from striate.core.errors import DataError, ModelFileError, StriateError
from striate.core.spec import ImageSpec
from striate.data.loader import in_order
from striate.data.sources import load_data
from striate.deploy import Predictor
from striate.deploy.measure import measure
from striate.models import Architecture, build
from striate.runs.model_file import ModelCard, save_model


@pytest.fixture
def predictor(tmp_path: Path, make_spec) -> Callable[..., Predictor]:
    """Return a function that makes an untrained predictor."""

    def make(channels: int = 3, side: int = 24, **changes) -> Predictor:
        spec = ImageSpec.model_validate({**make_spec(channels=channels, side=side).model_dump(), **changes})
        architecture = Architecture(name="fast")
        torch.manual_seed(0)
        save_model(
            tmp_path / "m.safetensors", build(architecture, spec), ModelCard(architecture=architecture, spec=spec)
        )
        return striate.load(tmp_path / "m.safetensors", device="cpu")

    return make


def picture(side: tuple[int, int] = (40, 30), mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(3)
    return Image.fromarray(rng.integers(0, 256, (*side, 3), dtype=np.uint8)).convert(mode)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
@pytest.mark.parametrize("suffix", ["png", "jpeg"])
def test_path_bytes_pil_array_and_tensor_give_the_same_input_bit_for_bit(
    predictor, tmp_path: Path, channels: int, resize: str, suffix: str
) -> None:
    p = predictor(channels=channels, resize=resize)
    path = tmp_path / f"x.{suffix}"
    picture().save(path)
    decoded = Image.open(path)
    decoded.load()
    array = np.asarray(decoded)
    kinds = [path, str(path), path.read_bytes(), decoded, array, torch.from_numpy(array.copy()).permute(2, 0, 1)]
    inputs = p.inputs(kinds)
    assert inputs.shape == (6, channels, 24, 24)
    for other in inputs[1:]:
        assert torch.equal(other, inputs[0])
    assert len({prediction.label for prediction in p.predict(kinds)}) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_phones_orientation_is_obeyed_on_every_way_in(predictor, tmp_path: Path, orientation: int) -> None:
    p = predictor()
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "x.png"
    picture().save(path, exif=exif)
    inputs = p.inputs([path, path.read_bytes(), Image.open(path)])
    assert torch.equal(inputs[0], inputs[1])
    assert torch.equal(inputs[0], inputs[2])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_evaluation_and_prediction_see_the_same_tensor(predictor, picture_folder, suffix: str) -> None:
    p = predictor(side=16)
    folder = picture_folder(side=20, suffix=suffix, cats=3, dogs=3)
    from striate.core.settings import DataSettings

    data = load_data(str(folder), DataSettings.parse({"img_size": 16, "channels": 3})).train
    evaluated = torch.cat(list(in_order(data, p.spec, 4, torch.device("cpu"))))
    predicted = p.inputs([folder / name for name in data.names])
    assert torch.equal(evaluated, predicted)


def test_probabilities_are_the_networks_softmax_and_do_not_depend_on_the_batch(predictor) -> None:
    p = predictor()
    arrays = list(np.random.default_rng(0).integers(0, 256, (9, 24, 24, 3), dtype=np.uint8))
    together = p.predict(arrays)
    spec = p.spec
    images = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).double()
    normal = (images / 255 - torch.tensor(spec.mean)[:, None, None]) / torch.tensor(spec.std)[:, None, None]
    expected = p.model(normal.float()).softmax(1)
    for array, prediction, row in zip(arrays, together, expected.tolist(), strict=True):
        np.testing.assert_allclose(list(prediction.probabilities.values()), row, atol=1e-5)
        (alone,) = p.predict(array)
        np.testing.assert_allclose(list(alone.probabilities.values()), row, atol=1e-5)
        assert prediction.probability == max(prediction.probabilities.values())
        assert prediction.label == max(prediction.probabilities, key=prediction.probabilities.__getitem__)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((24, 24, 3), np.float32),
        np.zeros((24, 24, 3), np.int64),
        torch.zeros(3, 24, 24),
        np.zeros((24, 24, 7), np.uint8),
        np.zeros((0, 24, 3), np.uint8),
        np.zeros(24, np.uint8),
        b"not a picture",
        b"",
        12,
    ],
)
def test_what_is_no_raw_picture_is_refused_with_the_remedy(predictor, wrong) -> None:
    with pytest.raises(DataError) as caught:
        predictor().predict([wrong])
    assert caught.value.fix


def test_normalised_input_is_told_not_to_be(predictor) -> None:
    with pytest.raises(DataError, match=r"normalises by itself"):
        predictor().predict(np.random.default_rng(0).normal(size=(24, 24, 3)))


def test_a_bad_picture_among_good_ones_fails_alone(predictor, tmp_path: Path) -> None:
    p = predictor()
    good = picture()
    outcomes = list(p.outcomes([good, b"bad", tmp_path / "absent.png", good]))
    assert [isinstance(o, DataError) for o in outcomes] == [False, True, True, False]
    assert "absent.png" in str(outcomes[2])
    assert outcomes[0].probabilities == pytest.approx(outcomes[3].probabilities)


def test_a_batch_tensor_counts_as_several(predictor) -> None:
    p = predictor()
    assert len(p.predict(torch.zeros(5, 3, 24, 24, dtype=torch.uint8))) == 5
    assert len(p.predict(torch.zeros(3, 24, 24, dtype=torch.uint8))) == 1
    assert len(p.predict(io.BytesIO().getvalue() or picture())) == 1
    assert p.predict([]) == []


def test_loading_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError):
        striate.load(tmp_path)


def test_a_run_measures_as_it_did_and_predicts_each_of_its_pictures_as_evaluated(picture_folder, tmp_path) -> None:
    folder = picture_folder(cats=20, dogs=20, birds=20)
    run = striate.train(folder, out=tmp_path / "runs", epochs=2, precision="fp32", device="cpu")
    result, pictures = measure(run.path, None, None, device="cpu")
    assert json.loads((run.path / "evaluation.json").read_bytes())["test"] == result.summary()
    predictions = striate.load(run.path, device="cpu").predict([folder / name for name in pictures.names])
    for prediction, row in zip(predictions, result.probabilities.tolist(), strict=True):
        np.testing.assert_allclose(list(prediction.probabilities.values()), row, atol=1e-5)


def test_other_data_are_matched_by_class_name_never_by_number(picture_folder, tmp_path: Path) -> None:
    folder = picture_folder(cats=20, dogs=20)
    run = striate.train(folder, out=tmp_path / "runs", epochs=1, precision="fp32", device="cpu")
    same, _ = measure(run.path, str(folder), "train", device="cpu")
    swapped = picture_folder(root="other", ants=3, dogs=3)
    with pytest.raises(StriateError, match="ants"):
        measure(run.path, str(swapped), None, device="cpu")
    renamed = tmp_path / "renamed"
    for old, new in (("dogs", "a/dogs"), ("cats", "a/cats")):
        (renamed / new).mkdir(parents=True)
        for file in (folder / old).iterdir():
            (renamed / new / file.name).write_bytes(file.read_bytes())
    again, _ = measure(run.path, str(renamed / "a"), None, device="cpu")
    assert again.accuracy == same.accuracy


def test_a_named_data_set_at_another_size_is_what_prediction_makes_of_its_pictures(predictor) -> None:
    from striate.core.settings import DataSettings

    own = load_data("digits", DataSettings()).train.first(5)
    resized = load_data("digits", DataSettings.parse({"img_size": 24, "channels": 3})).train.first(5)
    p = predictor(side=24)
    evaluated = torch.cat(list(in_order(resized, p.spec, 5, torch.device("cpu"))))
    assert torch.equal(evaluated, p.inputs(list(own.images)))


def test_a_run_finds_its_folder_again_from_elsewhere(picture_folder, tmp_path: Path, monkeypatch) -> None:
    folder = picture_folder(cats=10, dogs=10)
    monkeypatch.chdir(folder.parent)
    run = striate.train(folder.name, out=tmp_path / "runs", epochs=1, precision="fp32", device="cpu")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    result, _ = measure(run.path, None, None, device="cpu")
    assert result.summary() == json.loads((run.path / "evaluation.json").read_bytes())["test"]
