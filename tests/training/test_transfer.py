"""Runs from pretrained weights: what is planned, fitted, fine-tuned, kept and resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import striate
from striate.cli.main import main
from striate.core.errors import Interrupted, ModelFileError, SettingsError, StriateError
from striate.core.settings import TrainSettings
from striate.evaluation import evaluate
from striate.models.pretrained import head_names
from striate.models.weights import lite0
from striate.runs.folder import Run
from striate.runs.model_file import load_model
from striate.training import outlook, transfer_plan
from striate.training import transfer as transfer_module
from striate.training.features import head_layer, picture_features
from striate.training.job import Job, prepare, resume
from striate.training.linear_head import fit_head

from .test_resume import run_to_the_end, without_times

needs_lite0 = pytest.mark.skipif(lite0() is None, reason="the `pretrained` extra is not installed")


def photographs(folder: Path, count: int = 8, side: int = 64, grey: bool = False) -> Path:
    """Write pictures of two classes that differ in the direction of their stripes."""
    rng = np.random.default_rng(0)
    stripes = np.sin(np.arange(side) * 0.8)[:, None] * np.ones(side)
    for part, of_class in (("train", count), ("val", 4)):
        for name in ("across", "along"):
            (folder / part / name).mkdir(parents=True)
            for number in range(of_class):
                pattern = stripes if name == "across" else stripes.T
                picture = 128 + 60 * pattern[..., None] + rng.normal(0, 30, (side, side, 3))
                made = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
                (made.convert("L") if grey else made).save(folder / part / name / f"{number}.png")
    return folder


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Job]:
    """Return a function that prepares a run on a folder of striped pictures, made on the first call."""

    def make(out: str = "runs", data: str | None = None, **settings: Any) -> Job:
        if data is None:
            data = str(tmp_path / "photos")
            if not Path(data).exists():
                photographs(Path(data))
        values = {"precision": "fp32", "device": "cpu", **settings}
        return prepare(data, TrainSettings.parse(values), given=frozenset(values), out=tmp_path / out, name=None)

    return make


@needs_lite0
def test_photographs_are_transferred_to_unasked_and_it_is_said_why(make) -> None:
    job = make()
    assert job.settings.pretrained == "lite0"
    assert job.settings.epochs is None
    assert "pretrained: lite0 (of ImageNet; photographs, and its weights are at hand)" in job.plan.lines()[1]
    assert "a linear head on frozen features" in job.plan.lines()[2]
    assert (job.run.spec.mean, job.run.spec.std) == ((0.5,) * 3, (0.5,) * 3)
    assert job.run.spec.input_shape == (3, 128, 128)
    (head,) = list(job.epochs())
    assert (head.epoch, head.step) == (0, 0)
    assert head.val_accuracy == 1.0
    measured = job.finish()
    loaded = load_model(job.run.path)
    again = evaluate(loaded.model, job.data.val, loaded.card.spec, "val", calibration=loaded.card.calibration)
    torch.testing.assert_close(again.probabilities, measured["val"].probabilities, rtol=1e-3, atol=1e-4)
    record = json.loads((job.run.path / "transfer.json").read_text())
    assert record["weights"] == "lite0"
    assert record["head"]["accuracy"] == 1.0
    assert [line["epoch"] for line in job.run.metrics()] == [0]


@needs_lite0
def test_what_is_measured_is_what_evaluating_the_model_measures(make) -> None:
    for views in (1, 2):
        job = make(f"views-{views}", views=views)
        (head,) = list(job.epochs())
        measured = job.finish()["val"]
        loaded = load_model(job.run.path)
        again = evaluate(loaded.model, job.data.val, loaded.card.spec, "val", calibration=loaded.card.calibration)
        assert loaded.card.spec.views == views
        torch.testing.assert_close(again.probabilities, measured.probabilities, rtol=1e-3, atol=1e-4)
        assert head.val_loss == pytest.approx(again.loss, rel=1e-3)


@needs_lite0
def test_the_model_is_the_pretrained_network_with_the_fitted_head(make) -> None:
    job = make()
    run_to_the_end(job)
    found = lite0()
    assert found is not None
    reference = found.build(job.run.spec)
    model = load_model(job.run.path).model
    own = model.state_dict()
    head = head_names(model)
    assert all(torch.equal(t, own[name]) for name, t in reference.state_dict().items() if name not in head)
    features = picture_features(model, job.data.train, job.run.spec, bf16=False, cache=False)
    fitted = fit_head(features, job.data.train.labels, 2)
    torch.testing.assert_close(head_layer(model).weight, fitted.weight, rtol=1e-2, atol=1e-4)


@needs_lite0
def test_predictor_and_evaluate_take_the_finished_run_as_any_other(make) -> None:
    job = make()
    job.complete()
    picture = next((job.data.folder / "val" / "along").iterdir())
    (prediction,) = striate.load(job.run.path).predict(picture)
    assert prediction.label == "along"


@pytest.mark.parametrize(
    ("pictures", "settings", "why"),
    [
        ({"side": 30}, {}, "too small"),
        ({"grey": True}, {}, "these are grey"),
        ({}, {"model": "fast"}, "none are at hand for fast"),
        ({}, {"width": 1.0}, "width asks for another network"),
        ({}, {"pretrained": "none"}, "as asked"),
    ],
)
def test_other_pictures_and_networks_begin_from_scratch_and_it_is_said_why(
    make, tmp_path, pictures, settings, why
) -> None:
    photographs(tmp_path / "photos", **pictures)
    job = make(epochs=1, **settings)
    assert job.settings.pretrained == "none"
    assert why in job.plan.reasons["pretrained"]
    assert "pretrained" not in job.plan.lines()[1]


@needs_lite0
def test_small_pictures_are_transferred_to_while_they_are_few(make, tmp_path, monkeypatch) -> None:
    photographs(tmp_path / "photos", side=40)
    few = make("few")
    assert few.settings.pretrained == "lite0"
    assert few.run.spec.input_shape == (3, 128, 128)
    monkeypatch.setattr(transfer_plan, "FEW", 10)
    assert make("many", epochs=1).settings.pretrained == "none"


@needs_lite0
def test_photographs_are_read_at_the_side_of_the_weights_unless_a_side_is_given(make, tmp_path) -> None:
    photographs(tmp_path / "photos", count=2, side=150)
    job = make()
    assert job.run.spec.input_shape == (3, 224, 224)
    assert job.settings.img_size == 224
    assert job.plan.architecture.options == {}
    smaller = make("smaller", img_size=100)
    assert smaller.run.spec.input_shape == (3, 100, 100)
    assert smaller.plan.architecture.options == {"side": 128}
    assert make("scratch", pretrained="none", epochs=1).run.spec.input_shape == (3, 128, 128)


def test_data_sets_by_name_begin_from_scratch(make_job) -> None:
    job = make_job(epochs=1)
    assert job.plan.reasons["pretrained"] == "a data set by name has pictures enough of its own"


@needs_lite0
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"lr": 0.1}, "lr: read in fine-tuning alone"),
        ({"rotate": 10, "mixup": 0.2}, "rotate, mixup: read in fine-tuning"),
        ({"patience": 2}, "patience: read"),
        ({"unfreeze": 2}, "unfreeze concerns fine-tuning"),
        ({"freeze": True, "epochs": 2}, "epochs is of fine-tuning, which --freeze rules out"),
        ({"freeze": True, "time_budget": 20}, "time_budget is of fine-tuning"),
        ({"freeze": True, "unfreeze": 2}, "contradict"),
        ({"pretrained": "lite0", "norm": "layer"}, "norm makes another network"),
        ({"pretrained": "lite0", "width": 2.0}, "width makes another network"),
        ({"pretrained": "lite0", "normalize": "picture"}, "normalize"),
        ({"pretrained": "lite0", "one_logit": True}, "one_logit"),
        ({"pretrained": "lite0", "model": "resnet18"}, "the weights are of efficientnet-lite0"),
        ({"pretrained": "none", "freeze": True}, "--freeze: nothing was pretrained"),
        ({"model": "fast", "unfreeze": 1}, "--unfreeze: nothing was pretrained"),
    ],
)
def test_options_without_effect_are_refused_by_name(make, tmp_path, settings, named) -> None:
    with pytest.raises(SettingsError) as caught:
        make(**settings)
    assert named in str(caught.value)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "runs").exists()


@needs_lite0
def test_fine_tuning_without_a_validation_part_is_refused(make, tmp_path) -> None:
    photographs(tmp_path / "all")
    with pytest.raises(StriateError, match="validation part"):
        make(data=str(tmp_path / "all" / "train"), epochs=1, val_share=0.0)


@needs_lite0
def test_the_summary_says_whether_fine_tuning_was_kept(tmp_path: Path, monkeypatch, capsys) -> None:
    data = str(photographs(tmp_path / "photos"))
    for kept in (True, False):
        monkeypatch.setattr(transfer_module, "_is_better", lambda tuned, before, kept=kept: kept)
        options = ["--epochs", "1", "--precision", "fp32", "--device", "cpu", "--no-report", "--quiet"]
        arguments = ["train", data, *options, "--pretrained", "lite0", "--img-size", "32", "--out", str(tmp_path)]
        assert main([*arguments, "--name", f"{kept}"]) == 0
        out = capsys.readouterr().out
        record = json.loads((tmp_path / f"{kept}" / "transfer.json").read_bytes())
        accuracy = f"accuracy {record['head']['accuracy']:.4f} → {record['fine_tuned']['accuracy']:.4f}"
        assert (f"fine-tuned kept: val {accuracy}" in out) == kept
        assert ("fine-tuning did not help" in out) != kept
        assert main([*arguments, "--name", f"{kept}-json", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)["fine_tuning"]
        assert told["kept"] is kept
        assert told["head"] == record["head"]


@needs_lite0
@pytest.mark.parametrize("better", [True, False])
def test_fine_tuning_is_kept_only_where_the_validation_part_agrees(make, monkeypatch, better) -> None:
    monkeypatch.setattr(transfer_module, "_is_better", lambda tuned, before: better)
    job = make(epochs=1, unfreeze=1)
    assert "fine-tuning: 1 epoch" in job.plan.lines()[2]
    head, epoch = list(job.epochs())
    assert (head.epoch, epoch.epoch) == (0, 1)
    measured = job.finish()["val"]
    assert json.loads((job.run.path / "transfer.json").read_text())["kept"] == ("fine-tuned" if better else "head")
    frozen = make("frozen")
    run_to_the_end(frozen)
    tuned, plain = (load_model(path).model.state_dict() for path in (job.run.path, frozen.run.path))
    moved = {name for name, tensor in plain.items() if not torch.equal(tensor, tuned[name])}
    if not better:
        assert moved == set()
        assert measured.loss == pytest.approx(head.val_loss, rel=1e-3)
        assert "did not help" in job.run.progress.ending
        return
    assert moved
    assert {name.split(".")[0] for name in moved} <= {"conv_head", "bn2", "classifier"}
    assert not any("running" in name for name in moved)


def test_more_right_is_better_and_as_much_with_a_lower_loss() -> None:
    class Figures:
        def __init__(self, accuracy: float, loss: float) -> None:
            self.accuracy, self.loss = accuracy, loss

    before = {"accuracy": 0.9, "loss": 0.3}
    assert transfer_module._is_better(Figures(0.91, 9.0), before)
    assert transfer_module._is_better(Figures(0.9, 0.2), before)
    assert not transfer_module._is_better(Figures(0.9, 0.3), before)
    assert not transfer_module._is_better(Figures(0.89, 0.1), before)


@needs_lite0
def test_stopped_while_features_are_computed_or_in_fine_tuning_it_ends_the_same(make) -> None:
    wanted, metrics = run_to_the_end(make("straight", epochs=2, unfreeze=1, batch_size=8))
    for number, steps in enumerate((1, 1000)):  # while features are computed, and before fine-tuning
        job = make(f"stopped-{number}", epochs=2, unfreeze=1, batch_size=8)
        run = Run(job.run.path, job.run.config)
        job.run.release()
        stopping = Job(job.data, job.model, run)
        generator = stopping.epochs()
        if steps == 1:
            run.stop_signal = 15
            with pytest.raises(Interrupted) as caught:
                next(generator)
            assert caught.value.exit_code == 143
        else:
            next(generator)  # the head
            run.stop_signal = 15
            with pytest.raises(Interrupted):
                list(generator)
        file, lines = run_to_the_end(resume(job.run.path, {}))
        assert file == wanted
        assert without_times(lines) == without_times(metrics)


@needs_lite0
def test_other_weights_than_the_run_began_with_are_refused(make) -> None:
    job = make()
    list(job.epochs())
    job.run.release()
    record = json.loads((job.run.path / "transfer.json").read_text())
    (job.run.path / "transfer.json").write_text(json.dumps({**record, "body_sha256": "0" * 64}))
    with pytest.raises(ModelFileError, match="other pretrained weights"):
        list(resume(job.run.path, {}).epochs())


def test_a_run_of_ours_is_taken_over_with_its_network_size_and_normalisation(make, make_job, tmp_path) -> None:
    base = make_job("base", epochs=3, model="fast")
    base.complete()
    job = make("second", data="digits:3,5", pretrained=str(base.run.path), first=60)
    assert job.plan.architecture == base.plan.architecture
    assert (job.run.spec.mean, job.run.spec.std) == (base.run.spec.mean, base.run.spec.std)
    assert job.run.spec.classes == ("3", "5")
    assert job.settings.pretrained == str(base.run.path.absolute())
    (head,) = list(job.epochs())
    job.finish()
    old, new = (load_model(path).model.state_dict() for path in (base.run.path, job.run.path))
    assert {name for name in old if not torch.equal(old[name], new[name])} == {"classifier.weight", "classifier.bias"}
    assert head.val_accuracy is not None
    assert head.val_accuracy > 0.8


def test_weights_of_small_grey_pictures_are_not_taken_for_photographs_without_a_word(
    make, make_job, tmp_path, capsys
) -> None:
    base = make_job("base", epochs=1, model="fast")
    base.complete()
    photographs(tmp_path / "photos")
    (said,) = make("second", pretrained=str(base.run.path)).data.notes
    assert said.startswith(f"{base.run.path}: they come from grey pictures, so the colours of these are not seen")
    assert "they come from pictures of 8 pixels, and these, which have 64 or more, are read at 8" in said
    assert "--pretrained lite0 or none" in said
    (said,) = make("larger", pretrained=str(base.run.path), img_size=16, channels=1).data.notes
    assert "come from grey" not in said
    assert "are read at 16" in said
    assert make("own", data="digits:3,5", pretrained=str(base.run.path), first=60).data.notes == base.data.notes
    assert main(["train", str(tmp_path / "photos"), "--pretrained", str(base.run.path), "--dry-run"]) == 0
    assert capsys.readouterr().err.count("they come from grey pictures") == 1


@needs_lite0
def test_weights_of_photographs_need_no_word(make) -> None:
    assert list(make(pretrained="lite0").data.notes) == []


@needs_lite0
def test_a_run_that_only_fits_a_head_records_only_what_it_read(make) -> None:
    job = make()
    settings = json.loads((job.run.path / "config.json").read_bytes())["settings"]
    assert not {"epochs", "lr", "optimizer", "batch_size", "flip", "mixup", "checkpoint_every"} & settings.keys()
    assert {"img_size", "views", "balance", "model", "pretrained", "seed"} <= settings.keys()
    assert {"lr", "batch_size", "flip", "label_smoothing"} & job.run.config.reasons.keys() == set()
    assert Run.open(job.run.path).config == job.run.config
    tuned = make("tuned", epochs=1)
    settings = json.loads((tuned.run.path / "config.json").read_bytes())["settings"]
    assert (settings["epochs"], settings["lr"], settings["batch_size"]) == (1, 2e-4, 16)


@needs_lite0
def test_what_a_head_takes_is_not_what_training_takes(make) -> None:
    """Nothing is kept for a backward pass, and there are no checkpoints: the folder holds one copy of the weights."""
    head, tuned = make().run, make("tuned", epochs=1).run
    assert head.config.estimate.disk < 2 * 19e6 < tuned.config.estimate.disk
    assert head.config.estimate.memory < tuned.config.estimate.memory
    job = make("told")
    job.complete()
    taken = sum(file.stat().st_size for file in job.run.path.rglob("*") if file.is_file())
    assert taken < job.run.config.estimate.disk < 1.5 * taken


@needs_lite0
def test_a_time_in_which_no_features_fit_is_refused_at_once(make, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(outlook, "seconds_of_features", lambda *_, **__: 100.0)
    monkeypatch.setattr(outlook, "probe", lambda *_: pytest.fail("no step is tried"))
    with pytest.raises(SettingsError, match=r"30.0 s are too short here.*features of all pictures take") as caught:
        make(time_budget=30)
    least = int(str(caught.value).partition("--time-budget ")[2].partition("s")[0])
    assert least > 100
    assert "--img-size" in str(caught.value)
    assert not (tmp_path / "runs").exists()


@needs_lite0
def test_a_time_in_which_the_head_alone_fits_says_so_in_the_plan(make, monkeypatch) -> None:
    monkeypatch.setattr(outlook, "seconds_of_features", lambda *_, **__: 590.0)
    job = make(time_budget=600)
    assert "fine-tuning only if enough of the 10:00 is left, which is not expected" in job.plan.lines()[2]
    assert job.plan.costs.features == 590.0
    assert "frozen features take 9:50" in job.plan.reasons["epochs"]


@needs_lite0
def test_label_sets_get_a_head_of_one_logistic_output_each(make, monkeypatch) -> None:
    """Through the loss of the linear head; a folder has one class per picture, so labels are put in its place."""
    own = outlook.open_data

    def label_sets(*arguments: Any) -> Any:
        splits = own(*arguments)
        parts = {
            name: replace(part, labels=torch.stack([part.labels == 0, torch.ones_like(part.labels) == 1], 1))
            for name, part in splits.parts().items()
        }
        return replace(splits, **parts)

    monkeypatch.setattr(outlook, "open_data", label_sets)
    job = make()
    assert job.run.spec.multi_label
    (head,) = list(job.epochs())
    assert head.val_accuracy == 1.0


@pytest.mark.parametrize("settings", [{"pretrained": "no/such/file.pth"}, {"pretrained": "lite9"}])
def test_weights_that_are_nowhere_are_refused_before_the_data_are_read(make, settings) -> None:
    with pytest.raises(StriateError) as caught:
        make(data="no such folder", **settings)
    assert settings["pretrained"] in str(caught.value)


@needs_lite0
def test_ants_and_bees_are_told_apart_with_no_option(real_data, tmp_path) -> None:
    """0.95 is what is promised; some seconds, since it takes photographs of their size to reach it."""
    folder = str(real_data("hymenoptera"))
    job = prepare(folder, TrainSettings(), given=frozenset(), out=tmp_path, name=None)
    job.complete()
    evaluation = json.loads((job.run.path / "evaluation.json").read_text())
    assert evaluation["val"]["accuracy"] >= 0.95
