"""The whole road with pictures of any number of classes each: a CelebA of our own, trained, stopped, measured, used."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from scipy.spatial.distance import cdist
from scipy.special import expit
from sklearn.metrics import accuracy_score, average_precision_score

import striate
from striate.cli.main import main
from striate.core.errors import DataError, Interrupted, SettingsError
from striate.core.settings import TrainSettings
from striate.data.dataset import ImageDataset
from striate.data.sources import open_data
from striate.data.sources.celeba import ATTRIBUTES
from striate.deploy.labelled import read_labelled
from striate.deploy.measure import measure
from striate.evaluation import MultiLabelEvaluation
from striate.evaluation.evaluate import from_logits
from striate.explain.predictions import mistakes, mistakes_grid, prediction_grid
from striate.explain.sheet import contact_sheet
from striate.runs.folder import Run
from striate.training.difficulty import neighbour_error
from striate.training.job import Job, prepare, resume
from striate.training.plan import make_plan

BRIGHT, LEFT = ATTRIBUTES.index("Smiling"), ATTRIBUTES.index("Male")  # what the two attributes mean in these pictures
DATA = "celeba:Smiling,Male"
COUNTS = {"0": 320, "1": 60, "2": 100}
SETTINGS = {"img_size": 16, "flip": False, "shift": 0, "precision": "fp32", "device": "cpu", "batch_size": 32}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """Return a data folder with a CelebA whose pictures are bright or dark, and brighter at the left or right."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("data") / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    rows, parts = [], []
    for number, part in enumerate("".join(part * count for part, count in COUNTS.items())):
        values = np.where(rng.random(40) < 0.5, 1, -1)
        pixels = rng.normal(128, 12, (16, 16, 3)) + 35 * values[BRIGHT]
        pixels[:, :8] += 15 * values[LEFT]
        pixels[:, 8:] -= 15 * values[LEFT]
        name = f"{number:06}.jpg"
        picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        picture.save(folder / "img_align_celeba" / name, "PNG")
        rows.append(f"{name} {' '.join(map(str, values))}")
        parts.append(f"{name} {part}")
    (folder / "list_attr_celeba.txt").write_text("\n".join([str(len(rows)), " ".join(ATTRIBUTES), *rows, ""]))
    (folder / "list_eval_partition.txt").write_text("\n".join([*parts, ""]))
    return folder.parent


@pytest.fixture(scope="module")
def run(tree: Path, tmp_path_factory) -> Run:
    return striate.train(DATA, out=tmp_path_factory.mktemp("runs"), name="two", data_dir=tree, epochs=5, **SETTINGS)


def truth(tree: Path, names: list[str]) -> np.ndarray:
    """Return what the table says of pictures 'celeba/NAME', bool N 2."""
    lines = (tree / "celeba" / "list_attr_celeba.txt").read_text().splitlines()[2:]
    values = {line.split()[0]: line.split()[1:] for line in lines}
    rows = [values[name.removeprefix("celeba/")] for name in names]
    return np.array([[row[BRIGHT] == "1", row[LEFT] == "1"] for row in rows])


def test_two_independent_attributes_are_learned_and_every_figure_agrees_with_the_table(run, tree) -> None:
    measured = measure(run.path, data_dir=tree, device="cpu")
    result = measured.result
    assert isinstance(result, MultiLabelEvaluation)
    assert run.spec.multi_label
    assert run.spec.classes == ("Smiling", "Male")
    true = truth(tree, list(measured.pictures.names))
    assert result.accuracy == accuracy_score(true, result.predictions.numpy()) > 0.95
    for k, score in enumerate(result.per_class):
        assert score.average_precision == pytest.approx(
            average_precision_score(true[:, k], result.probabilities[:, k]), abs=1e-3
        )
        assert score.count == true[:, k].sum()
    assert result.summary() == json.loads((run.path / "evaluation.json").read_bytes())["test"]
    assert run.metrics()[-1]["val_accuracy"] > 0.95


def test_prediction_is_what_was_evaluated(run, tree) -> None:
    measured = measure(run.path, data_dir=tree, device="cpu")
    predictor = striate.load(run.path, device="cpu")
    paths = [tree / "celeba" / "img_align_celeba" / Path(name).name for name in measured.pictures.names]
    predictions = predictor.predict(paths)
    probabilities = np.array([list(prediction.probabilities.values()) for prediction in predictions])
    np.testing.assert_allclose(probabilities, measured.result.probabilities, atol=1e-5)
    with torch.inference_mode():
        logits = predictor.model(predictor.inputs(paths)).numpy()
    np.testing.assert_allclose(probabilities, expit(logits / predictor.card.calibration.temperature), atol=1e-6)
    for prediction, flags in zip(predictions, measured.result.predictions.tolist(), strict=True):
        assert prediction.labels == tuple(name for name, there in zip(predictor.classes, flags, strict=True) if there)
        assert prediction.label == max(prediction.probabilities, key=prediction.probabilities.__getitem__)
        assert prediction.probability == max(prediction.probabilities.values())
    assert {len(prediction.labels) for prediction in predictions} == {0, 1, 2}


def test_predictions_of_the_run_are_the_tables_names_joined(run, tree) -> None:
    with open(run.path / "predictions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == COUNTS["1"] + COUNTS["2"]
    true = truth(tree, [row["path"] for row in rows])
    assert [row["label"] for row in rows] == [
        "|".join(name for name, there in zip(("Smiling", "Male"), flags, strict=True) if there) for flags in true
    ]
    test = [row for row in rows if row["part"] == "test"]
    right = np.mean([row["label"] == row["prediction"] for row in test])
    assert right == json.loads((run.path / "evaluation.json").read_bytes())["test"]["exact_match"]


def test_stopped_after_any_step_it_goes_on_to_the_same_bytes(tree, tmp_path) -> None:
    settings = TrainSettings.parse(
        {**SETTINGS, "data_dir": tree, "epochs": 2, "mixup": 0.3, "cutmix": 0.5, "checkpoint_every": 1e6, "ema": 0.9}
    )

    def job(out: str) -> Job:
        return prepare(DATA, settings, given=frozenset(), out=tmp_path / out, name=None)

    def finish(job: Job) -> bytes:
        list(job.epochs())
        job.finish()
        return job.run.model_path.read_bytes() + (job.run.path / "predictions.csv").read_bytes()

    wanted = finish(job("straight"))
    for stops in (0, 1):  # within the first epoch, within the second
        stopped = job(f"stopped-{stops}")
        epochs = stopped.epochs()
        for _ in range(stops):
            next(epochs)
        stopped.run.stop_signal = 15
        with pytest.raises(Interrupted):
            list(epochs)
        stopped.run.release()
        assert finish(resume(stopped.run.path, {})) == wanted


def test_the_plan_says_so_and_refuses_one_logit_for_several_outputs(tree) -> None:
    settings = TrainSettings.parse({**SETTINGS, "data_dir": tree})
    data = open_data(DATA, settings, 0)
    plan = make_plan(settings, data)
    assert plan.spec.multi_label
    assert "2 classes, any number of them each" in plan.lines()[0]
    with pytest.raises(SettingsError, match="one_logit"):
        make_plan(settings.with_values(one_logit=True), data)


def test_difficulty_counts_neighbours_of_another_label_set(tree) -> None:
    data = open_data(DATA, TrainSettings.parse({**SETTINGS, "data_dir": tree}), 0).train
    points, flags = data.images.flatten(1).numpy().astype(np.float64), data.labels.numpy()
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    expected = np.mean((flags[distances.argmin(1)] != flags).any(1))
    assert neighbour_error(data) == pytest.approx(expected, abs=0.01)


# What it is measured on


def test_other_data_are_matched_by_name_in_any_order(run, tree) -> None:
    own = measure(run.path, data_dir=tree, device="cpu").result
    named = measure(run.path, "celeba:Male,Smiling", "test", tree, device="cpu").result
    assert named.summary() == own.summary()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("celeba:Smiling", "one class each"),
        ("celeba:Smiling,Young", "Young"),
        ("celeba:Smiling,Male,Young", "Young"),
    ],
)
def test_data_of_other_classes_or_of_one_class_each_are_refused(run, tree, data, told) -> None:
    with pytest.raises(DataError, match=told) as caught:
        measure(run.path, data, data_dir=tree, device="cpu")
    assert caught.value.fix


def test_missing_classes_are_not_taken_as_absent(tree, tmp_path) -> None:
    settings = {**SETTINGS, "data_dir": tree, "first": 32, "epochs": 1}
    three = striate.train("celeba:Smiling,Male,Young", out=tmp_path, **settings)
    with pytest.raises(DataError, match="whether a picture is of Young is not known"):
        measure(three.path, DATA, data_dir=tree, device="cpu")


def test_a_network_of_one_class_each_is_not_measured_on_label_sets(tree, tmp_path) -> None:
    settings = {**SETTINGS, "data_dir": tree, "first": 32, "epochs": 1}
    one = striate.train("celeba:Smiling", out=tmp_path, **settings)
    assert not one.spec.multi_label
    with pytest.raises(DataError, match="any number of classes each; the network tells one class"):
        measure(one.path, DATA, data_dir=tree, device="cpu")


@pytest.mark.parametrize("part", [None, "test"])
def test_a_folder_of_classes_is_refused_with_the_reason(run, picture_folder, part) -> None:
    folder = picture_folder(Smiling=2, Male=2)
    for refuse in (
        lambda: measure(run.path, str(folder), part, device="cpu"),
        lambda: read_labelled(folder, run.spec, part),
    ):
        with pytest.raises(DataError, match="one class of each picture") as caught:
            refuse()
        assert caught.value.where == str(folder)


# The commands


def test_evaluate_shows_the_figures_that_apply_and_no_others(run, tree, tmp_path, capsys) -> None:
    table, figure = tmp_path / "p.csv", tmp_path / "mistakes.png"
    arguments = ["evaluate", str(run.path), "--data-dir", str(tree), "--device", "cpu"]
    assert main([*arguments, "--predictions", str(table), "--figure", str(figure)]) == 0
    out = capsys.readouterr().out
    assert "of 100 label sets" in out.splitlines()[0]
    for told in ("Hamming", "macro F1", "micro F1", "average precision"):
        assert told in out
    assert "top-" not in out
    assert "confusion" not in out
    assert table.read_text(encoding="utf-8").count("\n") == 101
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert f"{100 * result['exact_match']:.2f} %" in out
    assert f"Hamming {result['hamming_accuracy']:.4f}" in out
    row = next(line for line in out.splitlines() if line.startswith("Smiling")).split()
    assert row[-1] == f"{result['per_class'][0]['average_precision']:.4f}"
    with Image.open(figure) as picture:
        assert min(picture.size) > 50
    assert main(["inspect", str(run.path)]) == 0
    assert "of 100 label sets" in capsys.readouterr().out


def test_predict_prints_the_classes_joined_the_most_probable_on_request_and_json(run, tree, tmp_path, capsys) -> None:
    pictures = [str(tree / "celeba" / "img_align_celeba" / f"{number:06}.jpg") for number in range(12)]
    predictions = striate.load(run.path, device="cpu").predict(pictures)
    assert {len(prediction.labels) for prediction in predictions} == {0, 1, 2}
    arguments = ["predict", str(run.path), *pictures, "--device", "cpu"]
    assert main([*arguments, "--figure", str(tmp_path / "p.svg")]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    for row, prediction in zip(rows, predictions, strict=True):
        shares = [f"{prediction.probabilities[name]:.4f}" for name in prediction.labels]
        assert row == [prediction.name, "|".join(prediction.labels), "|".join(shares)]
    for top in (1, 2):
        assert main([*arguments, "--top", str(top)]) == 0
        rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        for row, prediction in zip(rows, predictions, strict=True):
            ranked = sorted(prediction.probabilities.values(), reverse=True)[:top]
            assert row[1] == prediction.label
            assert row[2::2] == [f"{share:.4f}" for share in ranked]
    assert main([*arguments, "--json"]) == 0
    for line, prediction in zip(capsys.readouterr().out.splitlines(), predictions, strict=True):
        value = json.loads(line)
        assert value["labels"] == list(prediction.labels)
        assert value["label"] == "|".join(prediction.labels)
        shares = prediction.probabilities.items()
        right = math.prod(share if name in prediction.labels else 1 - share for name, share in shares)
        assert value["probability"] == pytest.approx(right, rel=1e-5)
        assert value["probabilities"] == pytest.approx(prediction.probabilities)


def test_the_data_are_shown_with_pictures_counted_once(tree, tmp_path, capsys) -> None:
    figure = tmp_path / "sheet.png"
    arguments = ["data", "show", DATA, "--data-dir", str(tree), "--img-size", "16", "--epochs", "1"]
    assert main([*arguments, "--figure", str(figure), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    names = [f"{number:06}.jpg" for number in range(sum(COUNTS.values()))]
    true = truth(tree, names)
    assert shown["multi_label"] is True
    assert shown["parts"]["train"] == {"Smiling": true[:320, 0].sum(), "Male": true[:320, 1].sum()}
    assert shown["pictures"] == {"train": 320, "val": 60, "test": 100}
    assert figure.stat().st_size > 5000
    assert main(arguments) == 0
    assert re.search(r"^all +320 +60 +100$", capsys.readouterr().out, re.MULTILINE)


# Figures


def test_the_title_of_a_sheet_of_few_classes_stays_on_it(tree) -> None:
    settings = TrainSettings.parse({**SETTINGS, "data_dir": tree})
    figure = contact_sheet(open_data(DATA, settings, 0), settings)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert len(figure.axes) == 7 * 2
    title = figure.get_suptitle()
    assert title.replace("\n", " ") == "celeba:Smiling,Male: 320 training pictures, 2 classes"
    box = next(text for text in figure.texts if text.get_text() == title).get_window_extent(canvas.get_renderer())
    assert figure.bbox.x0 <= box.x0
    assert box.x1 <= figure.bbox.x1


LOGITS = torch.tensor([[3.0, -3.0], [0.1, -0.1], [-2.0, -2.0], [4.0, 4.0]])
FLAGS = torch.tensor([[True, False], [True, True], [True, False], [False, False]])  # the first is right


def test_mistakes_come_by_the_probability_of_their_label_set() -> None:
    result = from_logits(LOGITS, FLAGS, ("a", "b"), "test")
    chances = [expit(4) ** 2, expit(2) ** 2, expit(0.1) ** 2]
    assert mistakes(result).tolist() == [3, 2, 1]
    images = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    figure = mistakes_grid(result, ImageDataset(images, FLAGS, ("a", "b"), list("wxyz")))
    said = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    shares = [f"{100 * chance:.1f} % as a set" for chance in chances]
    assert said == [
        ["✗ a|b", shares[0], "true: (none)"],
        ["✗ (none)", shares[1], "true: a"],
        ["✗ a", shares[2], "true: a|b"],
    ]
    unknown = prediction_grid(images[:1], None, result.probabilities[:1], ("a", "b"), predictions=FLAGS[:1])
    assert [text.get_text() for text in unknown.axes[0].texts] == [f"a  {100 * expit(3) ** 2:.1f} % as a set"]
