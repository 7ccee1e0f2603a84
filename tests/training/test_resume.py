"""Stopped after any step, a run goes on to the same bits."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch

from striate.core.errors import DataError, Interrupted, ModelFileError, SettingsError
from striate.core.settings import TrainSettings
from striate.evaluation import evaluate
from striate.runs.folder import Run
from striate.training.job import Job, prepare, resume

EVERYTHING = {
    "model": "mnist-cnn",  # has dropout
    "ema": 0.9, "mixup": 0.4, "cutmix": 0.5, "rotate": 10, "zoom": 0.1, "brightness": 0.2, "erase": 0.3, "shift": 1,
    "flip_vertical": True, "clip_norm": 5.0, "checkpoint_every": 1e6, "optimizer": "adamw", "lr": 2e-3,
}  # fmt: skip


class StoppingRun(Run):
    """A run that is asked to stop once it has done some steps."""

    stop_after = 0

    @property
    def stop_signal(self) -> int | None:  # type: ignore[override]
        return 15 if self.progress.step >= self.stop_after else None

    @stop_signal.setter
    def stop_signal(self, value: int | None) -> None:
        pass


def run_to_the_end(job: Job) -> tuple[bytes, list[dict]]:
    list(job.epochs())
    job.finish()
    return job.run.model_path.read_bytes(), job.run.metrics()


def stop_after(job: Job, steps: int) -> None:
    run = StoppingRun(job.run.path, job.run.config)
    run.stop_after = steps
    job.run.release()
    with pytest.raises(Interrupted) as caught:
        list(Job(job.data, job.model, run).epochs())
    assert caught.value.exit_code == 143
    assert str(job.run.path) in str(caught.value)


def without_times(lines: list[dict]) -> list[dict]:
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines]


def test_stopped_at_every_step_of_thirty_the_result_is_the_same_file(make_job) -> None:
    wanted, wanted_metrics = run_to_the_end(make_job("straight", **EVERYTHING))
    for steps in range(1, 31):
        job = make_job(f"stop-{steps}", **EVERYTHING)
        stop_after(job, steps)
        file, metrics = run_to_the_end(resume(job.run.path, {}))
        assert file == wanted, f"stopped after step {steps}"
        assert without_times(metrics) == without_times(wanted_metrics)


RECORD = {
    "optimizer": "muon", "lr": 0.1, "stem": "whitened", "depth": 2, "norm": "batch-shift", "activation": "gelu",
    "identity": True, "logit_scale": 0.2, "bias_lr": 8.0, "flip": True, "alternate_flip": True, "views": 6,
}  # fmt: skip


@pytest.mark.parametrize("rule", ["sgd", "adam", "muon"])
def test_stopped_three_times_with_patience_and_another_rule(make_job, rule: str) -> None:
    options = {**EVERYTHING, "optimizer": rule, "patience": 1, "model": "fast", "epochs": 6}
    if rule == "muon":  # with every option of the fast network
        options |= {**RECORD, "img_size": 9, "epochs": 3}
    wanted, metrics = run_to_the_end(make_job("straight", **options))
    job = make_job("stopped", **options)
    total = metrics[-1]["step"]
    for steps in (3, total // 2, total - 1):
        stop_after(job, steps)
        job = resume(job.run.path, {})
    assert run_to_the_end(job)[0] == wanted


def test_a_run_killed_before_its_first_checkpoint_whitens_as_one_that_was_not(make_job) -> None:
    wanted, _ = run_to_the_end(make_job("straight", epochs=1, img_size=9, **RECORD))
    job = make_job("killed", epochs=1, img_size=9, **RECORD)
    job.run.release()
    assert run_to_the_end(resume(job.run.path, {}))[0] == wanted


def test_a_damaged_newest_checkpoint_costs_steps_but_not_the_result(make_job) -> None:
    wanted, _ = run_to_the_end(make_job("straight", **EVERYTHING))
    job = make_job("damaged", **{**EVERYTHING, "checkpoint_every": 0})
    stop_after(job, 17)
    newest = sorted(job.run.checkpoints.iterdir())[-1] / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    again = resume(job.run.path, {})
    file, _ = run_to_the_end(again)
    assert file == wanted
    assert any(newest.parent.name in note for note in again.run.notes)


def test_a_finished_run_is_not_resumed(make_job) -> None:
    job = make_job(epochs=1)
    run_to_the_end(job)
    with pytest.raises(SettingsError, match="finished"):
        resume(job.run.path, {})


def test_other_settings_are_refused_with_both_values(make_job) -> None:
    job = make_job()
    stop_after(job, 5)
    with pytest.raises(SettingsError, match=r"lr: 0\.\d+ in the run, 0\.5 given"):
        resume(job.run.path, {"lr": 0.5})
    assert resume(job.run.path, {"checkpoint_every": 3.0}).settings.checkpoint_every == 3.0


def test_changed_data_are_refused(picture_folder, tmp_path: Path) -> None:
    folder = picture_folder(cats=12, dogs=12)
    settings = TrainSettings.parse({"epochs": 2, "batch_size": 4, "precision": "fp32"})
    job = prepare(str(folder), settings, given=frozenset(), out=tmp_path / "runs", name=None)
    stop_after(job, 2)
    shutil.copy(folder / "cats" / "000.png", folder / "cats" / "100.png")
    with pytest.raises(DataError, match="changed"):
        resume(job.run.path, {})
    (folder / "cats" / "100.png").unlink()
    run_to_the_end(resume(job.run.path, {}))


def test_a_picture_that_fixes_relabelled_is_not_told_as_added(picture_folder, tmp_path: Path) -> None:
    folder = picture_folder(cats=12, dogs=12)
    fixes = tmp_path / "fixes.csv"
    fixes.write_text("path,action,label\ncats/000.png,relabel,dogs\n")
    settings = TrainSettings.parse({"epochs": 2, "batch_size": 4, "precision": "fp32", "fixes": fixes})
    job = prepare(str(folder), settings, given=frozenset(), out=tmp_path / "runs", name=None)
    stop_after(job, 2)
    shutil.copy(folder / "cats" / "001.png", folder / "cats" / "100.png")
    with pytest.raises(DataError, match=r"1 added: cats/100\.png") as caught:
        resume(job.run.path, {})
    assert "000.png" not in str(caught.value)


def test_a_checkpoint_of_another_architecture_is_refused_by_name(make_job) -> None:
    job = make_job(model="fast")
    stop_after(job, 5)
    config = json.loads((job.run.path / "config.json").read_bytes())
    config["architecture"] = {"name": "mnist-cnn", "options": {}}
    (job.run.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelFileError, match="another architecture") as caught:
        list(resume(job.run.path, {}).epochs())
    assert caught.value.exit_code == 4
    assert "convolutional.conv1.0.weight is missing" in str(caught.value)


def test_a_checkpoint_of_other_settings_is_refused(make_job) -> None:
    job, other = make_job("a", optimizer="sgd"), make_job("b", optimizer="adam", ema=0.9)
    for one in (job, other):
        stop_after(one, 5)
    shutil.rmtree(other.run.checkpoints)
    shutil.copytree(job.run.checkpoints, other.run.checkpoints)
    with pytest.raises(ModelFileError, match="other settings"):
        list(resume(other.run.path, {}).epochs())


def test_the_command_that_began_a_run_also_resumes_it(make_job) -> None:
    job = make_job(first=40, batch_size=512)
    stop_after(job, 1)
    assert resume(job.run.path, {"batch_size": 512, "first": 40}).settings.batch_size == 40


def test_a_stop_while_validating_the_last_epoch_is_obeyed(make_job, monkeypatch) -> None:
    from striate.training import loop

    job = make_job(epochs=1)

    def stop(*arguments, **options):
        job.run.stop_signal = signal.SIGINT
        return evaluate(*arguments, **options)

    monkeypatch.setattr(loop, "evaluate", stop)
    with pytest.raises(Interrupted, match="the state is saved"):
        list(job.epochs())
    job.run.release()
    monkeypatch.undo()
    assert run_to_the_end(resume(job.run.path, {}))[0] == run_to_the_end(make_job("other", epochs=1))[0]


def test_a_signal_finishes_the_step_and_a_second_one_stops_at_once(make_job, capfd) -> None:
    job = make_job()
    before = signal.getsignal(signal.SIGINT)
    epochs = job.epochs()
    next(epochs)
    signal.raise_signal(signal.SIGINT)
    assert "stopping after this step" in capfd.readouterr().err
    with pytest.raises(Interrupted, match="at once") as caught:
        signal.raise_signal(signal.SIGINT)
    assert caught.value.exit_code == 130
    assert "--resume" in str(caught.value)
    epochs.close()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_while_measuring_says_how_to_go_on(make_job, monkeypatch) -> None:
    from striate.training import job as jobs

    job = make_job(epochs=1)
    list(job.epochs())
    monkeypatch.setattr(jobs, "evaluate", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Interrupted, match="training is done") as caught:
        job.finish()
    assert caught.value.exit_code == 143
    assert not job.run.is_finished


def test_another_number_of_threads_is_told(make_job) -> None:
    job = make_job()
    stop_after(job, 5)
    environment = json.loads((job.run.path / "environment.json").read_bytes())
    environment["threads"] = torch.get_num_threads() + 7
    (job.run.path / "environment.json").write_text(json.dumps(environment))
    assert any("threads" in note and "last bits" in note for note in resume(job.run.path, {}).run.notes)
