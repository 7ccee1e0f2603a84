"""The benchmark of few pictures: what is linked, what is asked of `striate train`, and what is kept of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import contest, transfer
from benchmarks.contest import Finished
from benchmarks.transfer import CONTESTS, WAYS, link
from striate.core.settings import TrainSettings


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six files of each of three classes in train, four in test."""
    for part, count in (("train", 6), ("test", 4)):
        for name in ("cat", "dog", "frog"):
            folder = tmp_path / "cifar10-jpeg" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number}.jpg").write_text(f"{part} {name} {number}")
    return tmp_path / "cifar10-jpeg"


def names(folder: Path, part: str) -> list[str]:
    return sorted(str(path.relative_to(folder / part)) for path in (folder / part).rglob("*.jpg"))


def test_so_many_of_each_class_are_chosen_by_the_seed_and_all_are_tested(source: Path, tmp_path: Path) -> None:
    made = {}
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        link(source, tmp_path / out, 3, seed)
        made[out] = names(tmp_path / out, "train")
        assert names(tmp_path / out, "test") == sorted(f"{name}/{n}.jpg" for name in ("cat", "dog") for n in range(4))
    assert [name.split("/")[0] for name in made["a"]] == ["cat"] * 3 + ["dog"] * 3
    assert made["a"] == made["b"]
    assert made["a"] != made["c"]
    some = tmp_path / "a" / "train" / made["a"][0]
    assert some.read_text() == f"train {made['a'][0].replace('/', ' ').removesuffix('.jpg')}"


def test_settings_exist_and_fine_tuning_alone_has_epochs() -> None:
    parsed = {way: TrainSettings.parse(settings) for way, settings in WAYS.items()}
    assert [(one.pretrained, one.epochs) for one in parsed.values()] == [(None, None), ("none", None), (None, 3)]
    assert CONTESTS["cifar10-cat-dog"][1] == list(WAYS)


@pytest.mark.parametrize(("size", "asked"), [([], 6), (["--quick"], 1)])
def test_every_way_runs_in_turn_and_the_test_part_counts_where_there_is_one(
    size, asked, source: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    commands: list[list[str]] = []

    def run(module: str, *arguments: object, **environment: str) -> Finished:
        words = [str(argument) for argument in arguments]
        commands.append(words)
        scratch = "none" in words
        folder = Path(words[words.index("--out") + 1], "run")
        folder.mkdir()
        settings = {"pretrained": "none" if scratch else "lite0"}
        (folder / "config.json").write_text(json.dumps({"settings": settings}))
        assert environment["STRIATE_CACHE"].startswith(str(folder.parent)), "nothing from before"
        parts = {"val": {"accuracy": 0.5, "count": 10}}
        if "cifar10" in words[1]:
            parts["test"] = {"accuracy": 0.75, "count": 20}
        return Finished(60.0 if scratch else 15.0, parts)

    (tmp_path / "hymenoptera").mkdir()
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path))
    monkeypatch.setattr(contest, "RESULTS", tmp_path)
    monkeypatch.setattr(transfer, "run_program", run)
    monkeypatch.setattr(transfer, "is_installed", lambda package: True)
    monkeypatch.setattr(
        sys, "argv", ["transfer", *size] if size else ["transfer", "--rounds", "1", "--only", *CONTESTS]
    )
    if not size:
        monkeypatch.setattr(sys, "argv", ["transfer", "--rounds", "1"])
    transfer.main()
    rows = capsys.readouterr().out.splitlines()[2:]
    assert rows[0] == "| hymenoptera | no option | lite0 | 15.0 s | 0.5000, 0.5000 | 1 |"
    if size:
        assert (len(commands), len(rows)) == (1, 1)
        assert (tmp_path / "transfer-quick.json").exists()
        return
    assert len(commands) == len(rows) == asked - 1
    assert rows[3] == "| cifar10-cat-dog | from scratch | none | 60.0 s | 0.7500, 0.7500 | 1 |"
    kept = json.loads((tmp_path / "transfer.json").read_text())["contests"]
    assert [one["ratios"] for one in kept.values()] == [{"time, from scratch / no option": 4.0}] * 2
    assert list(kept["cifar10-cat-dog"]["ways"]) == ["no option", "from scratch", "fine-tuned"]
