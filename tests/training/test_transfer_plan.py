"""When a run begins from pretrained weights, what is planned and said of it, and what is refused."""

from __future__ import annotations

import json

import pytest
import torch

from striate.cli.main import main
from striate.core.errors import SettingsError, StriateError
from striate.evaluation import evaluate
from striate.runs.model_file import load_model
from striate.training import outlook, transfer_plan

from .striped import needs_lite0, photographs


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


@pytest.mark.parametrize("settings", [{"pretrained": "no/such/file.pth"}, {"pretrained": "lite9"}])
def test_weights_that_are_nowhere_are_refused_before_the_data_are_read(make, settings) -> None:
    with pytest.raises(StriateError) as caught:
        make(data="no such folder", **settings)
    assert settings["pretrained"] in str(caught.value)
