"""Measuring on a run's own data, on named data, and on whatever labelled pictures a folder holds."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

import striate
from striate.core.errors import DataError, ModelFileError, SettingsError
from striate.deploy.measure import measure, write_predictions

CLASSES = ("birds", "cats", "dogs")


@pytest.fixture
def model(make_spec, save_untrained) -> Path:
    """Return the model file of a network that knows birds, cats and dogs."""
    spec = make_spec(channels=3, side=16, classes=3).model_copy(update={"classes": CLASSES})
    return save_untrained(spec)


@pytest.fixture
def trained(picture_folder, tmp_path: Path):
    """Return a run and the folder it was trained on, which is not split."""
    folder = picture_folder(cats=20, dogs=20, birds=20)
    return striate.train(folder, out=tmp_path / "runs", epochs=1, precision="fp32", device="cpu"), folder


def matches_prediction(measured, model: Path, folder: Path) -> None:
    """Assert that the figures are those of predicting each picture and comparing with its folder's name."""
    names = list(measured.pictures.names)
    predicted = [p.label for p in striate.load(model, device="cpu").predict([folder / name for name in names])]
    true = [Path(name).parent.name for name in names]
    expected = confusion_matrix(true, predicted, labels=list(CLASSES))
    np.testing.assert_array_equal(measured.result.confusion.numpy(), expected)
    assert measured.result.accuracy == np.mean([a == b for a, b in zip(true, predicted, strict=True)])


def test_a_run_measures_as_it_did_and_predicts_each_of_its_pictures_as_evaluated(trained) -> None:
    run, folder = trained
    measured = measure(run.path, device="cpu")
    assert json.loads((run.path / "evaluation.json").read_bytes())["test"] == measured.result.summary()
    predictions = striate.load(run.path, device="cpu").predict([folder / name for name in measured.pictures.names])
    for prediction, row in zip(predictions, measured.result.probabilities.tolist(), strict=True):
        np.testing.assert_allclose(list(prediction.probabilities.values()), row, atol=1e-5)


@pytest.mark.parametrize("counts", [{"dogs": 1}, {"cats": 3, "birds": 2}, {"dogs": 4, "cats": 1, "birds": 1}])
def test_any_of_the_networks_classes_are_measured_matched_by_name(model, picture_folder, counts) -> None:
    folder = picture_folder(**counts)
    measured = measure(model, str(folder), device="cpu")
    assert measured.result.part == "all"
    assert measured.result.count == sum(counts.values())
    assert {score.name: score.count for score in measured.result.per_class if score.count} == counts
    matches_prediction(measured, model, folder)


@pytest.mark.parametrize(
    ("parts", "asked", "chosen"),
    [
        (["test"], None, "test"),
        (["val"], None, "val"),
        (["train"], None, "train"),
        (["train", "val"], None, "val"),
        (["train", "val", "test"], None, "test"),
        (["train", "val", "test"], "train", "train"),
        (["validation", "testing"], "val", "val"),
    ],
)
def test_a_split_folder_is_measured_on_one_part_and_says_which(model, picture_folder, parts, asked, chosen) -> None:
    folder = model.parent / "split"
    for number, part in enumerate(parts, start=1):
        picture_folder(root="split")
        (folder / part).mkdir()
        picture_folder(root=f"split/{part}", dogs=number, cats=1)
    measured = measure(model, str(folder), asked, device="cpu")
    assert measured.result.part == chosen
    place = next(number for number, part in enumerate(parts, start=1) if part.startswith(chosen))
    assert measured.result.count == place + 1
    assert all(name.startswith(parts[place - 1]) for name in measured.pictures.names)
    matches_prediction(measured, model, folder)


def test_a_part_that_is_not_there_is_refused_with_those_that_are(model, picture_folder) -> None:
    picture_folder(root="photos")
    folder = picture_folder(root="photos/test", dogs=1).parent
    with pytest.raises(SettingsError, match="--part test"):
        measure(model, str(folder), "val", device="cpu")
    with pytest.raises(SettingsError, match="leave --part out"):
        measure(model, str(folder / "test"), "val", device="cpu")
    with pytest.raises(SettingsError, match="no part 'val'"):
        measure(model, str(folder), "val", device="cpu")


def test_two_folders_of_one_part_and_parts_among_classes_are_refused(model, picture_folder) -> None:
    for root in ("twice", "twice/test", "twice/testing", "mixed", "mixed/train"):
        picture_folder(root=root, **({"dogs": 2} if "/" in root else {}))
    picture_folder(root="mixed", cats=2)
    with pytest.raises(DataError, match="two folders for the part 'test'"):
        measure(model, str(model.parent / "twice"), device="cpu")
    with pytest.raises(DataError, match="parts among"):
        measure(model, str(model.parent / "mixed"), device="cpu")


def test_a_class_called_test_is_a_class(make_spec, save_untrained, picture_folder) -> None:
    spec = make_spec(channels=3, side=16, classes=2).model_copy(update={"classes": ("test", "cats")})
    measured = measure(save_untrained(spec), str(picture_folder(test=2, cats=1)), device="cpu")
    assert [score.count for score in measured.result.per_class] == [2, 1]


def test_unknown_classes_are_all_named(model, picture_folder) -> None:
    folder = picture_folder(ants=3, dogs=3, zebras=1)
    with pytest.raises(DataError, match="ants, zebras") as caught:
        measure(model, str(folder), device="cpu")
    assert "birds, cats, dogs" in caught.value.fix
    with pytest.raises(DataError, match="does not know"):
        measure(model, "digits", device="cpu")


def test_bad_pictures_are_named_all_at_once_or_left_out_and_counted(model, picture_folder) -> None:
    folder = picture_folder(dogs=3, cats=3)
    whole = measure(model, str(folder), device="cpu")
    (folder / "dogs" / "0.png").write_bytes(b"")
    (folder / "cats" / "z.jpg").write_text("<html>")
    with pytest.raises(DataError, match="2 of 8") as caught:
        measure(model, str(folder), device="cpu")
    for told in ("dogs/0.png", "cats/z.jpg", "--skip-bad"):
        assert told in str(caught.value)
    measured = measure(model, str(folder), device="cpu", skip_bad=True)
    assert measured.result.summary() == whole.result.summary()
    assert torch.equal(measured.pictures.images, whole.pictures.images)
    assert any("2 unreadable" in note for note in measured.notes)


def test_nothing_but_bad_pictures_cannot_be_measured(model, picture_folder) -> None:
    folder = picture_folder(dogs=1)
    (folder / "dogs" / "000.png").write_bytes(b"")
    with pytest.raises(DataError, match="1 of 1"):
        measure(model, str(folder), device="cpu", skip_bad=True)


@pytest.mark.parametrize("data", [None, "digits"])
def test_only_a_folder_can_have_bad_pictures_left_out(trained, data) -> None:
    with pytest.raises(SettingsError, match="--skip-bad"):
        measure(trained[0].path, data, device="cpu", skip_bad=True)


def test_a_moved_folder_is_measured_by_naming_it(trained, tmp_path: Path) -> None:
    run, folder = trained
    before = measure(run.path, device="cpu").result.summary()
    moved = folder.rename(tmp_path / "new place")
    with pytest.raises(DataError, match="no longer here") as caught:
        measure(run.path, device="cpu")
    assert f"striate evaluate {run.path} FOLDER" in caught.value.fix
    everything = measure(run.path, str(moved), device="cpu")
    assert everything.result.count == 60
    assert any("trained on" in note for note in everything.notes)
    assert measure(run.path, str(moved), "test", device="cpu").result.summary() == before
    (moved / "cats" / "000.png").unlink()
    with pytest.raises(SettingsError, match="leave --part out"):
        measure(run.path, str(moved), "test", device="cpu")
    assert "47 of 59" in measure(run.path, str(moved), device="cpu").notes[0]


def test_a_folder_that_holds_a_model_file_alone_is_enough(model, picture_folder) -> None:
    shutil.copy(model, model.with_name("model.safetensors"))
    assert measure(model.parent, str(picture_folder(dogs=2)), device="cpu").result.count == 2
    with pytest.raises(SettingsError, match="not a run folder"):
        measure(model.parent, device="cpu")
    with pytest.raises(SettingsError, match="striate evaluate"):
        measure(model, device="cpu")


@pytest.mark.parametrize(
    "odd", ["x" * 300, "~nouser", "~nouser/x", "a\0b", "file", "file/below", "loop", "\ud800", "."]
)
def test_a_path_that_holds_no_pictures_is_a_data_error(model, monkeypatch, tmp_path: Path, odd: str) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    Path("file").write_bytes(b"x")
    Path("loop").symlink_to("loop")
    with pytest.raises(DataError) as caught:
        measure(model, odd, device="cpu")
    assert caught.value.fix


def test_a_mistyped_name_gets_a_suggestion(model) -> None:
    with pytest.raises(DataError, match="did you mean 'digits'"):
        measure(model, "digist", device="cpu")


def test_a_run_that_is_not_finished_is_not_measured(trained) -> None:
    run, _ = trained
    run.model_path.unlink()
    with pytest.raises(ModelFileError, match="not finished"):
        measure(run.path, device="cpu")


def test_a_run_finds_its_folder_again_from_elsewhere(picture_folder, tmp_path: Path, monkeypatch) -> None:
    folder = picture_folder(cats=10, dogs=10)
    monkeypatch.chdir(folder.parent)
    run = striate.train(folder.name, out=tmp_path / "runs", epochs=1, precision="fp32", device="cpu")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert (
        measure(run.path, device="cpu").result.summary()
        == json.loads((run.path / "evaluation.json").read_bytes())["test"]
    )


def test_predictions_are_written_with_each_pictures_true_class(model, picture_folder, tmp_path: Path) -> None:
    measured = measure(model, str(picture_folder(dogs=2, cats=1)), device="cpu")
    write_predictions(tmp_path / "p.csv", measured)
    rows = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    assert [(row["path"], row["label"]) for row in rows] == [
        ("cats/000.png", "cats"),
        ("dogs/000.png", "dogs"),
        ("dogs/001.png", "dogs"),
    ]
    for row, probabilities in zip(rows, measured.result.probabilities.tolist(), strict=True):
        assert row["prediction"] == CLASSES[int(np.argmax(probabilities))]


@pytest.fixture
def digits_model(make_spec, save_untrained) -> Path:
    """Return the model file of a network that knows the digits, in an order of its own, and 'x'."""
    classes = ("x", *(str(digit) for digit in reversed(range(10))))
    return save_untrained(make_spec(channels=1, side=8, classes=11).model_copy(update={"classes": classes}))


@pytest.mark.parametrize("subset", ["3", "3,8", "8,3"])
def test_classes_of_named_data_are_matched_by_name_even_a_single_one(digits_model, subset: str) -> None:
    whole = measure(digits_model, "digits", device="cpu")
    some = measure(digits_model, f"digits:{subset}", device="cpu")
    wanted = set(subset.split(","))
    scores = {score.name: score for score in whole.result.per_class}
    assert {score.name: score.count for score in some.result.per_class if score.count} == {
        name: scores[name].count for name in wanted
    }
    assert some.result.count == sum(scores[name].count for name in wanted)
    assert [score.recall for score in some.result.per_class if score.count] == pytest.approx(
        [score.recall for score in whole.result.per_class if score.name in wanted]
    )
    (note,) = some.notes
    assert note.startswith("no picture of x")
    assert f"{len(wanted)} of 11 classes" in note


def test_named_data_with_classes_that_the_network_lacks_say_what_can_be_measured(make_spec, save_untrained) -> None:
    spec = make_spec(channels=1, side=8, classes=2).model_copy(update={"classes": ("8", "3")})
    model = save_untrained(spec)
    with pytest.raises(DataError, match="does not know: 0, 1, 2, 4") as caught:
        measure(model, "digits", device="cpu")
    assert caught.value.fix
    assert "digits:3,8" in caught.value.fix
    assert measure(model, "digits:3,8", device="cpu").result.count > 0


def test_a_class_in_another_spelling_is_told_as_such(model, picture_folder) -> None:
    with pytest.raises(DataError, match="does not know: Cats") as caught:
        measure(model, str(picture_folder(Cats=2, dogs=2)), device="cpu")
    assert "call them as the network does: 'cats', not 'Cats'; " in caught.value.fix
    assert caught.value.fix.endswith("photos:dogs")


def test_a_network_that_knows_none_of_the_classes_says_which_it_knows(model, picture_folder) -> None:
    with pytest.raises(DataError, match="knows none of these") as caught:
        measure(model, str(picture_folder(ants=2, bees=2)), device="cpu")
    assert caught.value.fix == "the network's classes are birds, cats, dogs"


def test_more_classes_than_the_network_knows_are_measured_by_naming_its_own(model, picture_folder, tmp_path) -> None:
    folder = picture_folder(wasps=3, dogs=2, cats=1)
    with pytest.raises(DataError, match="does not know: wasps") as caught:
        measure(model, str(folder), device="cpu")
    (named,) = re.findall(r"measure the others alone: (\S+);", caught.value.fix)
    measured = measure(model, named, device="cpu")
    assert {score.name: score.count for score in measured.result.per_class} == {"birds": 0, "cats": 1, "dogs": 2}
    assert "3 pictures left out, of classes that were not asked for: wasps" in measured.notes
    matches_prediction(measured, model, folder)
    table = tmp_path / "labels.csv"
    table.write_text("path,label\n" + "".join(f"{p},{p.parent.name}\n" for p in sorted(folder.rglob("*.png"))))
    again = measure(model, f"{table}:cats,dogs", device="cpu")
    assert "3 pictures left out, of classes that were not asked for: wasps" in again.notes
    assert again.result.accuracy == measured.result.accuracy


def test_the_order_of_the_datas_classes_is_nothing_to_the_figures(make_spec, save_untrained, picture_folder) -> None:
    folder = picture_folder(zebras=3, ants=4)
    figures = []
    for classes in (("ants", "zebras"), ("zebras", "ants")):
        spec = make_spec(channels=3, side=16, classes=2).model_copy(update={"classes": classes})
        path = save_untrained(spec, f"{classes[0]}.safetensors")
        predicted = striate.load(path, device="cpu").predict(sorted(folder.rglob("*.png")))
        right = [p.label == Path(p.name).parent.name for p in predicted]
        measured = measure(path, str(folder), device="cpu").result
        assert (measured.correct, measured.count) == (sum(right), 7)
        figures.append({score.name: score.count for score in measured.per_class})
    assert figures[0] == figures[1] == {"ants": 4, "zebras": 3}


def test_a_part_that_the_subset_leaves_empty_is_refused(model, monkeypatch) -> None:
    from striate.data.dataset import ImageDataset, Splits
    from striate.deploy import measure as module

    def part(*labels: int) -> ImageDataset:
        images = torch.zeros(len(labels), 3, 16, 16, dtype=torch.uint8)
        return ImageDataset(images, torch.tensor(labels, dtype=torch.int64), ("dogs",), ["x"] * len(labels))

    monkeypatch.setattr(module, "load_data", lambda *_, **__: Splits("zoo", part(0), test=part()))
    with pytest.raises(DataError, match="no picture in the part 'test'") as caught:
        measure(model, "digits:3", device="cpu")
    assert caught.value.fix == "use --part train"
