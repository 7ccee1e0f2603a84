"""Snapshots of a run: what they hold is what the network was, and taking them changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from striate.core.errors import ResourceError
from striate.core.settings import TrainSettings
from striate.data.loader import normalize
from striate.runs.checkpoint import load_newest
from striate.runs.model_file import load_model
from striate.runs.snapshots import NAME, Moment, Snapshots, read_snapshots, write_snapshots
from striate.training import snapshots as taking
from striate.training.job import Job, resume
from striate.training.snapshots import Sampling, sampling

from .test_resume import EVERYTHING, RECORD, run_to_the_end, stop_after


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take snapshots of runs that are too small for it."""
    monkeypatch.setattr(taking, "sampling", lambda trained, held_out, epochs: Sampling(13, min(20, held_out)))


def taken(job: Job) -> Snapshots:
    found = read_snapshots(job.run.path)
    assert found is not None
    return found


def equal(one: Snapshots, other: Snapshots) -> bool:
    ours, theirs = one.named(), other.named()
    assert list(ours) == list(theirs)
    return one.pictures.equal(other.pictures) and all(
        ours[name].filters.equal(theirs[name].filters) and ours[name].features.equal(theirs[name].features)
        for name in ours
    )


def hidden(model, images, spec):
    """What the classifier sees, by a second path: everything before the last layer is called by hand."""
    with torch.no_grad():
        return model.eval().features(normalize(images, spec)).amax((2, 3))


@pytest.mark.parametrize("options", [{**EVERYTHING, "patience": 2}, {**RECORD, "img_size": 9}], ids=["dropout", "muon"])
def test_the_model_file_is_the_same_with_and_without_snapshots(make_job, monkeypatch, options) -> None:
    monkeypatch.setattr(taking, "sampling", lambda *_: None)
    without, metrics = run_to_the_end(make_job("without", **options))
    assert not list(Path(make_job("none", **options).run.path).glob(NAME))
    monkeypatch.setattr(taking, "sampling", lambda *_: Sampling(13, 20))
    job = make_job("with", **options)
    file, again = run_to_the_end(job)
    assert len(taken(job).named()) >= 3
    assert file == without
    assert [line["val_loss"] for line in again] == [line["val_loss"] for line in metrics]


@pytest.mark.parametrize("steps", [3, 20, 29])
def test_a_resumed_run_has_the_snapshots_of_one_that_was_not_stopped(make_job, many, steps: int) -> None:
    straight = make_job("straight", **EVERYTHING)
    run_to_the_end(straight)
    job = make_job("stopped", **EVERYTHING)
    stop_after(job, steps)
    again = resume(job.run.path, {})
    run_to_the_end(again)
    assert list(taken(again).named()) == ["start", "epoch 1", "epoch 2", "end"]
    assert equal(taken(again), taken(straight))


def test_snapshots_are_what_checkpoint_and_model_file_say(make_job, many) -> None:
    options = {"model": "fast", "checkpoint_every": 1e6, "stem": "none", "depth": 1}
    job = make_job(**options)
    initial = {name: tensor.clone() for name, tensor in job.model.state_dict().items()}
    stop_after(job, 20)
    checkpoint, _ = load_newest(job.run.checkpoints)
    assert checkpoint is not None
    after_two = {k.removeprefix("model/"): t for k, t in checkpoint.tensors.items() if k.startswith("model/")}
    again = resume(job.run.path, {})
    run_to_the_end(again)
    found, loaded = taken(again), load_model(again.run.path)
    images = again.data.parts()[found.part].images[found.pictures]
    final = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    for moment, weights in ((found.moments[0], initial), (found.moments[2], after_two), (found.end, final)):
        assert moment is not None
        loaded.model.load_state_dict(weights)
        torch.testing.assert_close(
            moment.features.float(), hidden(loaded.model, images, again.run.spec), rtol=2e-3, atol=1e-4
        )
        assert moment.filters.equal(weights["body.0.conv.weight"][:64].half())
    assert found.labels.equal(again.data.parts()[found.part].labels[found.pictures])
    assert not found.moments[0].filters.equal(found.moments[2].filters)


def test_the_last_snapshot_is_of_the_averaged_weights_that_the_run_ends_with(make_job, many) -> None:
    job = make_job(model="fast", ema=0.9, stem="none", depth=1)
    run_to_the_end(job)
    weight = load_file(job.run.model_path)["body.0.conv.weight"]
    end = taken(job).end
    assert end is not None
    assert end.filters.equal(weight[:64].half())


def test_a_damaged_file_or_one_of_other_pictures_is_begun_anew(make_job, many) -> None:
    straight = make_job("straight", **EVERYTHING)
    run_to_the_end(straight)
    for number, damage in enumerate(["cut", "other"]):
        job = make_job(f"damaged-{number}", **EVERYTHING)
        stop_after(job, 17)
        before = taken(job)
        if damage == "cut":
            file = job.run.path / NAME
            file.write_bytes(file.read_bytes()[:-50])
            assert read_snapshots(job.run.path) is None
        else:
            write_snapshots(job.run.path, Snapshots("val", before.pictures + 1, before.labels, before.moments))
        again = resume(job.run.path, {})
        run_to_the_end(again)
        assert list(taken(again).named()) == ["start", "epoch 2", "end"]
        ours, theirs = taken(again).moments[0], taken(straight).moments[0]
        assert ours.features.equal(theirs.features)


def test_a_disk_that_refuses_is_a_note_and_not_the_end_of_the_run(make_job, many, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise ResourceError("cannot write 7 bytes")

    monkeypatch.setattr(taking, "write_snapshots", refuse)
    job = make_job()
    run_to_the_end(job)
    assert job.run.is_finished
    assert any("cannot write 7 bytes" in note for note in job.run.notes)


def test_the_network_is_left_in_its_modes_and_without_hooks(make_job, many) -> None:
    job = make_job(**EVERYTHING)
    run_to_the_end(job)
    assert len(taken(job).named()) == 4
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in job.model.modules())


@pytest.mark.parametrize("options", [{"epochs": 1}, {}], ids=["one epoch", "too few pictures"])
def test_runs_too_short_have_no_snapshots(make_job, options) -> None:
    job = make_job(**options)
    run_to_the_end(job)
    assert not (job.run.path / NAME).exists()


@given(st.integers(1, 10**6), st.integers(1, 10**5), st.floats(0, 500))
def test_snapshots_take_less_than_a_hundredth_of_the_training(trained: int, held_out: int, epochs: float) -> None:
    chosen = sampling(trained, held_out, epochs)
    if chosen is None:
        return
    # a picture forward is a third of one forward and backward
    assert chosen.moments * chosen.pictures / 3 <= 0.01 * trained * epochs
    assert 10 <= chosen.pictures <= min(100, held_out)
    assert 2 <= chosen.moments <= 13


def test_long_runs_have_a_dozen_moments_of_a_hundred_pictures() -> None:
    assert sampling(55_000, 5_000, 20) == (13, 100)
    assert sampling(55_000, 5_000, 2) == (3, 100)
    assert sampling(1_000, 100, 1) is None
    assert sampling(200, 60, 3) is None


def test_snapshots_survive_the_file_and_extreme_values_its_type(tmp_path: Path) -> None:
    extreme = torch.tensor([[1e9, -1e9, float("nan"), 0.5]])
    halved = taking.halved(extreme)
    assert halved.tolist() == [[65504.0, -65504.0, 0.0, 0.5]]
    start, later, end = (Moment(torch.ones(2, 1, 3, 3).half() * n, halved.clone()) for n in range(3))
    kept = Snapshots("val", torch.tensor([4]), torch.tensor([[True, False]]), {0: start, 12: later}, end)
    write_snapshots(tmp_path, kept)
    found = read_snapshots(tmp_path)
    assert found is not None
    assert list(found.named()) == ["start", "epoch 12", "end"]
    assert equal(found, kept)
    assert found.labels.equal(kept.labels)
    assert list(tmp_path.iterdir()) == [tmp_path / NAME]


def test_settings_that_fit_the_head_alone_have_no_snapshots() -> None:
    settings = TrainSettings.parse({"pretrained": "x"})
    assert taking._head_alone(settings)
    assert not taking._head_alone(settings.with_values(epochs=3))
