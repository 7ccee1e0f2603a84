"""Answers in a file: the same in CSV, JSON lines and Parquet as on stdout; whole or not there, and over no other."""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import striate
from striate.cli.main import main
from striate.deploy import prediction_file as files
from striate.evaluation.calibration import Calibration
from striate.evaluation.unknown import Detector, UnknownRule
from striate.models import Architecture, build
from striate.runs.model_file import ModelCard, save_model

pyarrow = pytest.importorskip("pyarrow")


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch) -> list[str]:
    """Return the paths of 9 pictures below the current folder, one of a name that a table has to quote."""
    monkeypatch.chdir(tmp_path)
    names = [f"photos/{number}.png" for number in range(8)] + ['photos/a, "b"\n=c.png']
    Path("photos").mkdir()
    for number, name in enumerate(names):
        noise = np.random.default_rng(number).integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(noise).save(name, "PNG")
    return names


@pytest.fixture
def model(make_spec, save_untrained) -> Path:
    """Return a model file whose classes are called like columns."""
    return save_untrained(make_spec(side=16).model_copy(update={"classes": ("label", "a, b", "p(label)")}))


def predict(*arguments: object) -> int:
    return main(["predict", *map(str, arguments), "--device", "cpu"])


def read(path: Path) -> list[dict[str, Any]]:
    """Return a file's rows as its readers give them, values as JSON has them."""
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert [row["label"] for row in rows] == ["|".join(row.pop("labels")) for row in rows]
        return [row | {f"p({name})": p for name, p in row.pop("probabilities").items()} for row in rows]
    if path.suffix == ".parquet":
        from pyarrow import parquet

        return parquet.read_table(path).to_pylist()
    with open(path, newline="", encoding="utf-8") as file:
        said: dict[str, object] = {"true": True, "false": False, "": None}
        return [
            {
                key: value if key in ("path", "label") else said[value] if value in said else float(value)
                for key, value in row.items()
            }
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("suffix", files.SUFFIXES)
@pytest.mark.parametrize("multi_label", [False, True])
def test_a_file_holds_what_the_predictor_says(
    model: Path, pictures, make_spec, save_untrained, suffix: str, multi_label: bool, monkeypatch, capsys
) -> None:
    if multi_label:
        spec = make_spec(side=16, classes=3).model_copy(update={"multi_label": True})
        model = save_untrained(spec, "several.safetensors")
    monkeypatch.setattr(files, "ROWS", 4)
    path = Path(f"answers{suffix}")
    assert predict(model, "photos", "--out", path) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert f"answers    {path}" in err
    rows = {row["path"]: row for row in read(path)}
    assert list(rows) == [str(path) for path in sorted(map(Path, pictures))]
    for prediction in striate.load(model, "cpu").predict(pictures):
        row = rows[prediction.name]
        label = row.pop("label")
        assert label == "|".join(prediction.labels)
        assert multi_label or label == prediction.label
        assert row.pop("path") == prediction.name
        assert row.pop("accepted") is prediction.accepted
        assert row.pop("unknown") is None, "not told by this network"
        assert row.pop("unknown_score") is None
        values = [row.pop("probability"), *row.values()]
        wanted = [prediction.confidence, *prediction.probabilities.values()]
        np.testing.assert_array_equal(np.float32(values), np.float32(wanted))  # bit for bit
        assert list(row) == [f"p({name})" for name in prediction.probabilities]


def test_pandas_reads_all_three_alike(model: Path, pictures) -> None:
    pandas = pytest.importorskip("pandas")
    for suffix in files.SUFFIXES:
        assert predict(model, "photos", "--out", f"answers{suffix}") == 0
    table = pandas.read_csv("answers.csv")
    assert table["accepted"].dtype == bool
    parquet, lines = pandas.read_parquet("answers.parquet"), pandas.read_json("answers.jsonl", lines=True)
    assert list(table["path"]) == list(parquet["path"]) == list(lines["path"])
    np.testing.assert_array_equal(table["p(label)"].astype("float32"), parquet["p(label)"])
    np.testing.assert_array_equal(lines["probability"].astype("float32"), parquet["probability"])


def test_what_is_unknown_and_what_is_not_accepted_are_told(pictures, make_spec) -> None:
    torch.manual_seed(0)
    spec, architecture = make_spec(side=16, classes=3), Architecture(name="fast")
    model = build(architecture, spec).eval()
    layer, last = [(n, m) for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)][-1]
    detector = Detector(layer, torch.nn.functional.normalize(torch.randn(9, last.in_features), dim=1).half())
    card = ModelCard(architecture=architecture, spec=spec)
    save_model(Path("m.safetensors"), model, _with(card, layer, 1.0, 1.0), detector)
    first = striate.load("m.safetensors", "cpu").predict(pictures)
    score, certainty = (
        float(np.median(values)) for values in zip(*((p.unknown_score, p.probability) for p in first), strict=True)
    )
    save_model(Path("n.safetensors"), model, _with(card, layer, score, certainty), detector)
    wanted = {prediction.name: prediction for prediction in striate.load("n.safetensors", "cpu").predict(pictures)}
    assert {p.unknown for p in wanted.values()} == {p.accepted for p in wanted.values()} == {False, True}
    for suffix in files.SUFFIXES:
        assert predict("n.safetensors", "photos", "--out", f"answers{suffix}") == 0
        for row in read(Path(f"answers{suffix}")):
            prediction = wanted[row["path"]]
            assert (row["unknown"], row["accepted"]) == (prediction.unknown, prediction.accepted)
            assert np.float32(row["unknown_score"]) == np.float32(prediction.unknown_score)


def _with(card: ModelCard, layer: str, threshold: float, certainty: float) -> ModelCard:
    rule = UnknownRule(layer=layer, threshold=threshold, false_alarms=0.05, count=30)
    return card.model_copy(update={"calibration": Calibration(count=30, reject_below=certainty, unknown=rule)})


def test_bad_pictures_are_named_and_the_others_written(model: Path, pictures, capsys) -> None:
    Path("photos/3.png").write_text("<html>")
    assert predict(model, "photos", "--out", "answers.csv") == 3
    assert "photos/3.png" in capsys.readouterr().err
    assert len(read(Path("answers.csv"))) == 8


@pytest.mark.parametrize("suffix", files.SUFFIXES)
def test_a_file_is_never_written_over_and_never_half_there(
    model: Path, pictures, suffix: str, monkeypatch, capsys
) -> None:
    path = Path(f"answers{suffix}")
    path.write_text("mine")
    assert predict(model, "photos", "--out", path) == 2
    path.unlink()
    before = sorted(os.listdir())
    real = files.answer

    def interrupted(prediction):
        if prediction.name.endswith("5.png"):
            raise KeyboardInterrupt
        return real(prediction)

    monkeypatch.setattr(files, "answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        predict(model, "photos", "--out", path)
    assert sorted(os.listdir()) == before

    def meanwhile(prediction):
        path.write_text("another's")
        return real(prediction)

    monkeypatch.setattr(files, "answer", meanwhile)
    assert predict(model, "photos", "--out", path) == 2
    assert "file exists by now" in capsys.readouterr().err
    assert path.read_text() == "another's"
    assert sorted(os.listdir()) == sorted([*before, path.name])


def test_without_files_that_have_no_name_yet_nothing_is_left_either(model: Path, pictures, monkeypatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")
    before = sorted(os.listdir())
    assert predict(model, "photos", "--out", "answers.csv") == 0
    assert len(read(Path("answers.csv"))) == 9
    assert sorted(os.listdir()) == sorted([*before, "answers.csv"])


def test_a_place_or_kind_that_cannot_be_is_refused_before_anything_is_read(model: Path, pictures, capsys) -> None:
    for out in ("answers.txt", "absent/answers.csv", "photos/answers.csv"):
        assert predict(model, "photos", "--out", out) == 2
    for extra in (["--json"], ["--top", "2"]):
        assert predict(model, "photos", "--out", "answers.csv", *extra) == 2
        assert extra[0] in capsys.readouterr().err
    assert not Path("answers.csv").exists()


def test_a_name_that_is_no_utf8_is_escaped_alike_and_told(model: Path, pictures, capsys) -> None:
    odd = [os.fsdecode(name) for name in (b"\xff.png", b"\xff\\n.png")]
    plain = ["\\xff.png", "é.png"]  # which are text: they stand as they are
    for name in [*odd, *plain]:
        shutil.copy(pictures[0], name)
    told = [r"\xff.png", r"\xff\\n.png", *plain]
    for suffix in files.SUFFIXES:
        assert predict(model, *odd, *plain, "--out", f"answers{suffix}") == 0
        assert "2 names not in UTF-8" in capsys.readouterr().err
        assert [row["path"] for row in read(Path(f"answers{suffix}"))] == told
    assert predict(model, *odd, *plain, "--json") == 0
    out, err = capsys.readouterr()
    assert "2 names not in UTF-8" in err
    assert out == Path("answers.jsonl").read_text(encoding="utf-8")
    assert predict(model, *odd) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == told[:2]


def test_where_nothing_was_classified_no_file_is_left(model: Path, pictures, capsys) -> None:
    Path("bad.png").write_text("<html>")
    for suffix in files.SUFFIXES:
        assert predict(model, "bad.png", "absent.csv", "--out", f"answers{suffix}") == 3
        err = capsys.readouterr().err
        assert f"no answers: answers{suffix} is not written" in err
        assert "0 pictures classified, 1 not; 1 source of pictures that cannot be used" in err
        assert not Path(f"answers{suffix}").exists()


def test_what_cannot_be_the_file_is_refused_at_once(model: Path, pictures, capsys) -> None:
    Path("link.csv").symlink_to("nowhere")
    assert predict(model, "photos", "--out", "link.csv") == 2
    assert "file exists: link.csv" in capsys.readouterr().err
    for arguments in (["--out", "-"], ["--out=-"]):
        assert predict(model, "photos", *arguments) == 2
        assert "fix: leave --out away for standard output" in capsys.readouterr().err
    for empty in (["--out", ""], ["--out="], ["--figure="], [""]):
        assert predict(model, "photos", *empty) == 2
        assert "an empty name" in capsys.readouterr().err
    assert predict(model, "photos", "--top", "0") == 2
    assert "1 or more: --top 0\n" in capsys.readouterr().err


def test_a_limit_on_the_size_of_files_is_named(model: Path, pictures, capsys) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        assert predict(model, "photos", "--out", "answers.csv") == 6
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "ulimit -f" in capsys.readouterr().err
    assert not Path("answers.csv").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_no_file_and_one_line(
    model: Path, pictures, number: int, code: int, monkeypatch, capsys
) -> None:
    real = files.answer

    def stopped(prediction):
        os.kill(os.getpid(), number)
        return real(prediction)

    monkeypatch.setattr(files, "answer", stopped)
    handler = signal.getsignal(number)
    for suffix in files.SUFFIXES:
        assert predict(model, "photos", "--out", f"answers{suffix}") == code
        assert capsys.readouterr() == ("", f"stopped: answers{suffix} was not written\n")
        assert not Path(f"answers{suffix}").exists()
    assert signal.getsignal(number) is handler
