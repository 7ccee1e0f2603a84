"""Reproducing: documents' systems beside ours, from where a folder left off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from striate.cli.main import main
from striate.core.errors import Interrupted, SettingsError
from striate.core.registry import Registry
from striate.recipes import Recipe
from striate.recipes.reproduce import reproduce
from striate.recipes.result import as_json, from_json, table
from striate.training import loop

QUICK = {"epochs": 2, "first": 100, "precision": "fp32", "model": "fast"}


@pytest.fixture
def recipes(monkeypatch) -> Registry[Recipe]:
    known: Registry[Recipe] = Registry("recipe")
    for name, published, seeds in (("small", {"test": 0.9}, 2), ("unpublished", {}, 1)):
        known.register(name)(
            Recipe(name, "A claim.", "000", "digits", {**QUICK, "lr": 0.01}, published, QUICK, seeds=seeds)
        )
    monkeypatch.setattr("striate.recipes.reproduce.RECIPES", known)
    monkeypatch.setattr("striate.recipes.result.RECIPES", known)
    monkeypatch.setattr("striate.recipes.RECIPES", known)
    return known


def test_a_row_holds_what_the_runs_measured(recipes, tmp_path: Path) -> None:
    (row,) = reproduce(["small"], tmp_path, device="cpu")
    for name, outcome in (("document-small", row.document), ("ours-digits-few", row.ours)):
        tests = [json.loads((tmp_path / f"{name}-{seed}" / "evaluation.json").read_text())["test"] for seed in (0, 1)]
        assert outcome.accuracies == [test["accuracy"] for test in tests]
        assert outcome.accuracy == pytest.approx(sum(outcome.accuracies) / 2)
        low, high = outcome.interval
        assert low < outcome.accuracy < high
    assert row.published == 0.9
    assert row.ratio == pytest.approx(row.document.seconds / row.ours.seconds)
    assert from_json(json.loads(json.dumps(as_json([row], {})))) == [row]
    assert "| `small` | digits | 0.9000 |" in table([row])
    assert "mean of 2" in table([row])


def test_what_is_done_is_not_done_again_and_what_was_stopped_goes_on(recipes, tmp_path: Path, monkeypatch) -> None:
    (row,) = reproduce(["unpublished"], tmp_path / "whole", device="cpu")
    original = loop.TrainingState.after_step

    def stop(self, loss, logits, labels) -> None:
        original(self, loss, logits, labels)
        if self.step == 3:
            raise Interrupted(2, "stop here")

    monkeypatch.setattr(loop.TrainingState, "after_step", stop)
    with pytest.raises(Interrupted):
        list(reproduce(["unpublished"], tmp_path / "cut", device="cpu"))
    monkeypatch.setattr(loop.TrainingState, "after_step", original)
    (again,) = reproduce(["unpublished"], tmp_path / "cut", device="cpu")
    assert again.document.accuracies == row.document.accuracies
    before = (tmp_path / "cut" / "document-unpublished-0" / "model.safetensors").stat().st_mtime_ns
    assert list(reproduce(["unpublished"], tmp_path / "cut", device="cpu")) == [again]
    assert (tmp_path / "cut" / "document-unpublished-0" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(SettingsError, match="other settings"):
        list(reproduce(["unpublished"], tmp_path / "cut", quick=True, device="cpu"))


def test_ctrl_c_says_that_the_same_command_goes_on(recipes, tmp_path: Path, monkeypatch, capsys) -> None:
    def stop(*args: object, **options: object) -> None:
        raise Interrupted(2, "stopped", fix="striate train --resume")

    monkeypatch.setattr("striate.recipes.reproduce.reproduce", stop)
    assert main(["reproduce", "small", "--out", str(tmp_path)]) == 130
    told = capsys.readouterr().err
    assert "the same command again" in told
    assert "--resume" not in told


def test_the_command_writes_table_json_and_figure(recipes, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert main(["reproduce", "--quick", "--out", str(out), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "none given" in printed
    assert (out / "reproduction.md").read_text().strip() in printed
    assert len(json.loads((out / "reproduction.json").read_text())["rows"]) == 2
    assert (out / "reproduction.png").stat().st_size > 10_000
    assert main(["reproduce", "small", "small", "--out", str(out)]) == 2
    assert main(["reproduce", "smal", "--out", str(out)]) == 2
    assert "small" in capsys.readouterr().err


def test_rows_of_other_recipes_are_kept(recipes, tmp_path: Path, capsys) -> None:
    out = str(tmp_path / "out")
    assert main(["reproduce", "small", "--quick", "--out", out, "--device", "cpu"]) == 0
    assert main(["reproduce", "unpublished", "--quick", "--out", out, "--device", "cpu"]) == 0
    table = (tmp_path / "out" / "reproduction.md").read_text()
    assert "`small`" in table
    assert "`unpublished`" in table
    assert "rehearsal" in table.lower()


def test_a_run_on_other_data_is_not_taken_for_this_one(recipes, tmp_path: Path) -> None:
    list(reproduce(["unpublished"], tmp_path, device="cpu"))
    config = tmp_path / "document-unpublished-0" / "config.json"
    config.write_text(config.read_text().replace('"data": "digits"', '"data": "mnist"'))
    with pytest.raises(SettingsError, match=r"other settings \(data\)"):
        list(reproduce(["unpublished"], tmp_path, device="cpu"))
