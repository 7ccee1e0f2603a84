"""What a check finds and proposes, in training: told, applied, kept, resumed."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

from striate.cli.main import main
from striate.core.settings import TrainSettings
from striate.data.audit.report import check_data
from striate.training import transfer_plan

from .checking import check, files_of, state
from .quick_run import QUICK


def test_what_is_proposed_can_be_trained_with_and_leaves_nothing_to_propose(troubled: Path, tmp_path, capsys) -> None:
    out = tmp_path / "check"
    assert main(["data", "check", str(troubled), "--out", str(out)]) == 0
    capsys.readouterr()
    again = ["--strict", "--fixes", str(out / "fixes.csv"), "--out", str(tmp_path / "again")]
    code, found, _ = check(troubled, *again, capsys=capsys)
    assert code == 0
    assert not [kind for kind in found if "across" in kind or kind == "blank"]
    assert len((tmp_path / "again" / "fixes.csv").read_text().splitlines()) == 1


def test_training_keeps_what_the_check_found_and_tells_what_matters(troubled: Path, tmp_path: Path, capsys) -> None:
    before = state(troubled)
    assert main(["train", str(troubled), *QUICK, "--out", str(tmp_path), "--name", "r"]) == 0
    err = capsys.readouterr().err
    assert "1 of 7 test pictures is a training picture, too, pixel for pixel" in err
    assert "1 picture under more than one class" in err
    kept = json.loads((tmp_path / "r" / "data-check.json").read_text())
    assert {finding["kind"] for finding in kept} >= {"duplicates-across-parts", "duplicates-across-classes", "blank"}
    with open(tmp_path / "r" / "files.csv", newline="") as file:
        assert [tuple(row) for row in csv.reader(file)][1:] == list(check_data(str(troubled), TrainSettings()).files)
    assert state(troubled) == before


def test_training_applies_fixes_keeps_them_and_resuming_and_measuring_do_the_same(
    clean: Path, tmp_path: Path, capsys
) -> None:
    fixes = tmp_path / "mine.csv"
    fixes.write_text("path,action,label,reason\ncats/003.png,relabel,dogs,a dog\ndogs/004.png,exclude,,blurred\n")
    before = state(clean)
    assert main(["train", str(clean), *QUICK, "--fixes", str(fixes), "--out", str(tmp_path), "--name", "r"]) == 0
    assert "1 relabelled, 1 excluded" in capsys.readouterr().err
    run = tmp_path / "r"
    rows = {row["path"]: row for row in csv.DictReader((run / "files.csv").read_text().splitlines())}
    assert (rows["cats/003.png"]["status"], rows["cats/003.png"]["class"]) == ("fixed", "dogs")
    assert rows["dogs/004.png"]["status"] == "skipped"
    config = json.loads((run / "config.json").read_text())
    assert config["fixes_sha256"] == hashlib.sha256(fixes.read_bytes()).hexdigest()
    assert (run / "fixes.csv").read_bytes() == fixes.read_bytes()
    assert state(clean) == before
    fixes.unlink()  # the run has its own
    assert main(["evaluate", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((run / "evaluation.json").read_text())["test"]
    model = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").unlink()
    assert main(["train", "--resume", str(run), "--quiet"]) == 0
    assert (run / "model.safetensors").read_bytes() == model


def test_a_resumed_run_keeps_its_fixes(clean: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("path,action\ncats/003.png,exclude\n")
    Path("other.csv").write_text("path,action\ncats/004.png,exclude\n")
    arguments = [*QUICK, "--fixes", "mine.csv", "--out", ".", "--name", "r", "--quiet"]
    assert main(["train", str(clean), *arguments]) == 0
    (tmp_path / "r" / "model.safetensors").unlink()
    assert main(["train", "--resume", "r", "--fixes", "other.csv"]) == 2
    assert "fixes" in capsys.readouterr().err
    assert main(["train", "--resume", "r", "--fixes", "mine.csv", "--quiet"]) == 0
    (tmp_path / "r" / "model.safetensors").unlink()
    Path("r/fixes.csv").write_text("path,action\n")
    assert main(["train", "--resume", "r"]) == 3
    assert "r/fixes.csv" in capsys.readouterr().err


def test_fixes_that_were_proposed_are_not_applied_unless_named(troubled: Path, tmp_path: Path) -> None:
    assert main(["data", "check", str(troubled), "--out", str(tmp_path / "check")]) == 0
    assert main(["train", str(troubled), *QUICK, "--out", str(tmp_path / "check"), "--name", "r", "--quiet"]) == 0
    config = json.loads((tmp_path / "check" / "r" / "config.json").read_text())
    assert config["settings"]["fixes"] is None
    rows = csv.DictReader((tmp_path / "check" / "r" / "files.csv").read_text().splitlines())
    assert not [row for row in rows if row["status"] == "skipped" or "→" in row["reason"]]


def test_fixes_for_pictures_that_are_not_there_stop_training_before_it_begins(clean: Path, tmp_path, capsys) -> None:
    (tmp_path / "f.csv").write_text("path,action,label\ncats/900.png,exclude,\ncats/001.png,relabel,gnus\n")
    arguments = ["train", str(clean), *QUICK, "--fixes", str(tmp_path / "f.csv"), "--out", str(tmp_path / "runs")]
    assert main(arguments) == 3
    err = capsys.readouterr().err
    assert "row 2" in err
    assert "row 3" in err
    assert not (tmp_path / "runs").exists()


def test_a_thousand_to_one_trains_and_is_told(picture_folder, tmp_path: Path, capsys) -> None:
    folder = picture_folder(side=8, mode="L", common=1000, rare=2)
    assert main(["train", str(folder), *QUICK, "--out", str(tmp_path), "--name", "r"]) == 0
    err = capsys.readouterr().err
    assert "training pictures of common, 1 of rare" in err
    metrics = json.loads((tmp_path / "r" / "metrics.jsonl").read_text().splitlines()[0])
    assert np.isfinite(metrics["train_loss"])


def test_classes_of_one_colour_train_and_are_told(tmp_path: Path, capsys) -> None:
    for name, level in (("black", 0), ("white", 255)):
        for number in range(12):
            path = tmp_path / "plain" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (16, 16), level).save(path)
    assert main(["train", str(tmp_path / "plain"), *QUICK, "--out", str(tmp_path), "--name", "r"]) == 0
    assert "24 pictures with hardly anything to see" in capsys.readouterr().err
    code, found, _ = check(tmp_path / "plain", capsys=capsys)
    assert code == 0
    assert len(found["blank"]["cases"]) == 24
    assert not [kind for kind in found if kind.startswith("near-")]


def test_fixes_are_read_once(clean: Path, tmp_path: Path, monkeypatch) -> None:
    fixes, read = tmp_path / "mine.csv", []
    fixes.write_text("path,action\ncats/003.png,exclude\n")
    read_bytes = Path.read_bytes

    def watched(path: Path) -> bytes:
        read.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", watched)
    run = tmp_path / "r"
    assert main(["train", str(clean), *QUICK, "--fixes", str(fixes), "--out", str(tmp_path), "--name", "r"]) == 0
    assert read.count(fixes) == 1
    assert (run / "fixes.csv").read_bytes() == fixes.read_bytes()
    read.clear()
    assert main(["evaluate", str(run)]) == 0
    assert (read.count(fixes), read.count(run / "fixes.csv")) == (0, 1)
    read.clear()
    assert main(["data", "check", str(clean), "--fixes", str(fixes)]) == 0
    assert read.count(fixes) == 1


def test_fixes_that_leave_nothing_of_a_class_are_named_by_the_check(clean: Path, tmp_path: Path, capsys) -> None:
    fixes = tmp_path / "mine.csv"
    fixes.write_text("path,action\n" + "".join(f"cats/{number:03}.png,exclude\n" for number in range(12)))
    code, found, _ = check(clean, "--fixes", str(fixes), capsys=capsys)
    assert code == 3
    assert "the fixes leave no training picture of class cats (of 12)" in found["unusable"]["summary"]
    assert found["unusable"]["cases"][0]["detail"] == str(fixes)
    fixes.write_text("path,action,label\ncats/900.png,exclude,\ncats/000.png,relabel,gnus\n")
    code, found, _ = check(clean, "--fixes", str(fixes), capsys=capsys)
    assert code == 3
    assert str(fixes) in found["unusable"]["summary"]
    assert [case["detail"].split(":")[0] for case in found["unusable"]["cases"]] == ["row 2", "row 3"]


def test_sizes_are_judged_by_the_side_at_which_training_would_read(tmp_path: Path, capsys, monkeypatch) -> None:
    rng = np.random.default_rng(5)
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number, side in enumerate((130, 140, 150, 100)):
            values = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(values).save(tmp_path / "photos" / name / f"{number}.png")
    folder = tmp_path / "photos"
    small = {"cats/3.png", "dogs/3.png"}

    monkeypatch.setattr(transfer_plan, "lite0", lambda: None)  # from scratch, at the pictures' own 128
    assert "tiny" not in check(folder, capsys=capsys)[1]
    assert {name for (name,) in files_of(check(folder, "--img-size", "224", capsys=capsys)[1]["tiny"])} == small

    monkeypatch.setattr(transfer_plan, "lite0", object)  # EfficientNet-Lite0 is at hand, which is best at 224
    found = check(folder, capsys=capsys)[1]["tiny"]
    assert {name for (name,) in files_of(found)} == small
    assert "to 224 pixels" in found["summary"]
    assert "tiny" not in check(folder, "--img-size", "128", capsys=capsys)[1]
    assert "tiny" not in check(folder, "--pretrained", "none", capsys=capsys)[1]
