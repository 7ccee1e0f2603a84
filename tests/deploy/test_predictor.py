"""One way from pixels to probabilities: every kind of input, and evaluation, see the same tensor."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import striate
from striate.core.errors import DataError, ModelFileError, SettingsError
from striate.data.loader import in_order
from striate.data.sources import load_data


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


def test_one_picture_counts_as_one_on_every_way_in(predictor, tmp_path: Path) -> None:
    p = predictor()
    path = tmp_path / "x.png"
    picture().save(path)
    grey = np.asarray(picture(mode="L"))
    for single in (path, str(path), path.read_bytes(), picture(), grey, torch.from_numpy(grey.copy())):
        assert p.inputs(single).shape == (1, 3, 24, 24)
        assert torch.equal(p.inputs(single), p.inputs([single]))
        (alone,), (streamed,), (outcome,) = p.predict(single), p.stream(single), p.outcomes(single)
        assert alone == streamed == outcome


def test_an_iterator_of_no_pictures_gives_nothing(predictor) -> None:
    p = predictor()
    assert p.inputs([]).shape == (0, 3, 24, 24)
    assert p.predict(iter(())) == []
    assert p.predict(np.empty((0, 24, 24, 3), np.uint8)) == []


def test_pictures_without_a_path_are_named_by_their_number(predictor) -> None:
    p = predictor()
    assert [prediction.name for prediction in p.predict([picture(), picture()])] == ["picture 0", "picture 1"]
    for refuse in (p.predict, p.inputs):
        with pytest.raises(DataError, match="picture 1"):
            refuse([picture(), None])


class _Place:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_load_takes_any_path_object_and_a_torch_device(predictor, tmp_path: Path, make_spec, save_untrained) -> None:
    file = save_untrained(make_spec())
    assert striate.load(_Place(file), device=torch.device("cpu")).classes == make_spec().classes


@pytest.mark.parametrize("wrong", [None, 5, b"runs/digits", ["runs"], ""])
def test_load_says_what_it_accepts(wrong) -> None:
    with pytest.raises(SettingsError, match="run folder or a model file"):
        striate.load(wrong)


@pytest.mark.parametrize("device", [None, 5, "banana", "cpu\0"])
def test_a_device_that_is_none_is_a_settings_error(make_spec, save_untrained, device) -> None:
    with pytest.raises(SettingsError, match="device"):
        striate.load(save_untrained(make_spec()), device=device)


@pytest.mark.parametrize("odd", ["x" * 300, "~nouser/run", "~\0", "a\0b", "file/below", "loop", "\ud800", "."])
def test_a_path_that_holds_no_model_is_a_model_file_error(tmp_path: Path, monkeypatch, odd: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_bytes(b"x")
    Path("loop").symlink_to("loop")
    with pytest.raises(ModelFileError) as caught:
        striate.load(odd)
    assert caught.value.fix


def test_a_named_data_set_at_another_size_is_what_prediction_makes_of_its_pictures(predictor) -> None:
    from striate.core.settings import DataSettings

    own = load_data("digits", DataSettings()).train.first(5)
    resized = load_data("digits", DataSettings.parse({"img_size": 24, "channels": 3})).train.first(5)
    p = predictor(side=24)
    evaluated = torch.cat(list(in_order(resized, p.spec, 5, torch.device("cpu"))))
    assert torch.equal(evaluated, p.inputs(list(own.images)))
