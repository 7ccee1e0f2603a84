"""Runs from pretrained weights: what is fitted, fine-tuned, kept and resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import striate
from striate.cli.main import main
from striate.core.errors import Interrupted, ModelFileError
from striate.core.settings import TrainSettings
from striate.evaluation import evaluate
from striate.models.pretrained import head_names
from striate.models.weights import lite0
from striate.runs.folder import Run
from striate.runs.model_file import load_model
from striate.training import outlook
from striate.training import transfer as transfer_module
from striate.training.features import head_layer, picture_features
from striate.training.job import Job, prepare, resume
from striate.training.linear_head import fit_head

from .striped import needs_lite0, photographs
from .test_resume import run_to_the_end, without_times


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


@needs_lite0
def test_ants_and_bees_are_told_apart_with_no_option(real_data, tmp_path) -> None:
    """0.95 is what is promised; some seconds, since it takes photographs of their size to reach it."""
    folder = str(real_data("hymenoptera"))
    job = prepare(folder, TrainSettings(), given=frozenset(), out=tmp_path, name=None)
    job.complete()
    evaluation = json.loads((job.run.path / "evaluation.json").read_text())
    assert evaluation["val"]["accuracy"] >= 0.95
