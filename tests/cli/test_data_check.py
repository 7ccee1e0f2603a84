"""`striate data check`: every kind of trouble is told, nothing is touched, and fixes are proposed, applied and kept."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.cli.main import main
from striate.core.settings import TrainSettings
from striate.data.audit.report import check_data
from striate.training import transfer_plan

from .quick_run import QUICK, tree


def state(folder: Path) -> dict[str, tuple[str, int]]:
    """What a folder holds, and when each entry was changed."""
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "", path.stat().st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
    }


def check(folder: Path, *options: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict], str]:
    """Exit code, findings by kind, and what went to stderr."""
    code = main(["data", "check", str(folder), "--json", *options])
    out, err = capsys.readouterr()
    findings = json.loads(out)["findings"]
    assert len({finding["kind"] for finding in findings}) == len(findings)
    return code, {finding["kind"]: finding for finding in findings}, err


def files_of(finding: dict) -> list[list[str]]:
    return [case["files"] for case in finding["cases"]]


@pytest.fixture
def clean(picture_folder) -> Path:
    return picture_folder(root="clean", side=24, cats=12, dogs=12)


@pytest.fixture
def troubled(picture_folder) -> Path:
    """A folder with one of each trouble that training survives."""
    picture_folder()
    picture_folder(root="photos/train", side=24, cats=12, dogs=12)
    picture_folder(root="photos/test", side=24)
    folder = picture_folder()
    train, test = folder / "train", folder / "test"
    for name in ("cats", "dogs"):
        (test / name).mkdir()
    rng = np.random.default_rng(70_007)  # none of `picture_folder`'s
    for number in range(6):
        name = ("cats", "dogs")[number % 2]
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(test / name / f"t{number}.png")
    shutil.copy(train / "cats" / "000.png", test / "cats" / "copy.png")
    shutil.copy(train / "dogs" / "001.png", train / "cats" / "not a cat.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(train / "cats" / "phone.jpg", exif=exif)
    Image.new("RGB", (24, 24)).save(train / "dogs" / "black.png")
    Image.fromarray(rng.integers(0, 256, (24, 24, 4), dtype=np.uint8)).save(train / "dogs" / "cut out.png")
    Image.fromarray(rng.integers(0, 256, (24, 100, 3), dtype=np.uint8)).save(train / "dogs" / "strip.png")
    Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(train / "dogs" / "p.jpg", format="PNG")
    Image.fromarray(rng.integers(0, 65536, (24, 24), dtype=np.uint16)).save(train / "dogs" / "deep.png")
    (train / "cats" / ".DS_Store").write_bytes(b"x")
    (train / "cats" / "notes.txt").write_text("x")
    return folder


def test_a_clean_folder_has_no_finding_and_exit_code_0(clean: Path, capsys) -> None:
    assert main(["data", "check", str(clean)]) == 0
    out, err = capsys.readouterr()
    assert "24 pictures of 2 classes" in out
    assert "nothing found" in out
    assert f"striate data check {clean} --labels" in err


def test_each_trouble_is_told_with_its_files(troubled: Path, capsys) -> None:
    code, found, _ = check(troubled, capsys=capsys)
    assert code == 0, "training could begin"
    assert files_of(found["duplicates-across-parts"]) == [["train/cats/000.png", "test/cats/copy.png"]]
    assert files_of(found["duplicates-across-classes"]) == [["train/cats/not a cat.png", "train/dogs/001.png"]]
    assert files_of(found["turned"]) == [["train/cats/phone.jpg"]]
    assert files_of(found["blank"]) == [["train/dogs/black.png"]]
    assert files_of(found["transparent"]) == [["train/dogs/cut out.png"]]
    assert files_of(found["odd-shape"]) == [["train/dogs/strip.png"]]
    assert files_of(found["mislabelled"]) == [["train/dogs/p.jpg"]]
    assert files_of(found["deep"]) == [["train/dogs/deep.png"]]
    assert files_of(found["grey"]) == [["train/dogs/deep.png"]]
    assert {case["files"][0] for case in found["ignored"]["cases"]} == {"train/cats/.DS_Store", "train/cats/notes.txt"}
    levels = [finding["level"] for finding in found.values()]
    assert levels == sorted(levels, key=["error", "falsifies", "warning", "note"].index)
    assert all(finding["remedy"] for finding in found.values())


def test_strictly_what_falsifies_figures_is_an_error(troubled: Path, clean: Path, capsys) -> None:
    code, _, err = check(troubled, "--strict", capsys=capsys)
    assert code == 3
    assert "duplicates-across-parts" in err
    assert "duplicates-across-classes" in err
    assert main(["data", "check", str(clean), "--strict"]) == 0


def test_unreadable_pictures_are_all_listed_and_an_error_unless_they_are_skipped(clean: Path, capsys) -> None:
    (clean / "cats" / "000.png").write_bytes(b"")
    (clean / "cats" / "001.png").write_bytes((clean / "cats" / "001.png").read_bytes()[:300])
    for number in range(4):
        (clean / "dogs" / f"page{number}.jpg").write_text("<html>")
    assert main(["data", "check", str(clean)]) == 3
    out, err = capsys.readouterr()
    for name in ("cats/000.png (empty file)", "cats/001.png", *(f"dogs/page{number}.jpg" for number in range(4))):
        assert name in out
    assert "--skip-bad" in err
    code, found, _ = check(clean, "--skip-bad", capsys=capsys)
    assert code == 0
    assert found["unreadable"]["level"] == "warning"
    assert len(found["unreadable"]["cases"]) == 6


def test_all_that_is_wrong_with_classes_is_told_at_once_and_the_rest_is_looked_at(picture_folder, capsys) -> None:
    picture_folder()
    picture_folder(root="photos/train", cats=4, dogs=4, elks=1, gnus=0)
    picture_folder(root="photos/test", cats=2, yaks=2)
    folder = picture_folder()
    (folder / "train" / "cats" / "bad.png").write_bytes(b"")
    code, found, err = check(folder, capsys=capsys)
    assert code == 3
    assert [case["detail"] for case in found["empty-classes"]["cases"]] == ["gnus"]
    assert [case["detail"] for case in found["too-few"]["cases"]] == ["elks"]
    assert [case["detail"] for case in found["unknown-classes"]["cases"]] == ["test/yaks"]
    assert files_of(found["unreadable"]) == [["train/cats/bad.png"]]
    assert "add pictures" in err


def test_one_class_is_told(picture_folder, capsys) -> None:
    code, found, _ = check(picture_folder(cats=3), capsys=capsys)
    assert code == 3
    assert "one-class" in found


@pytest.mark.parametrize("case", ["missing", "empty"])
def test_what_is_no_data_set_is_refused(tmp_path: Path, capsys, case: str) -> None:
    folder = tmp_path / case
    if case == "empty":
        folder.mkdir()
    assert main(["data", "check", str(folder)]) == 3
    assert str(folder) in capsys.readouterr().err


def test_named_data_sets_are_checked_too(capsys) -> None:
    assert main(["data", "check", "digits", "--json"]) == 0
    assert sum(json.loads(capsys.readouterr().out)["pictures"].values()) == 1797


def test_the_folder_holds_manifest_findings_proposals_and_sheets(troubled: Path, tmp_path: Path, capsys) -> None:
    (troubled / "train" / "dogs" / "broken.png").write_bytes(b"")
    before = state(troubled)
    out = tmp_path / "check"
    assert main(["data", "check", str(troubled), "--out", str(out)]) == 3
    printed = capsys.readouterr().out
    assert state(troubled) == before, "no file of the user is touched"
    manifest = {row["path"]: row for row in csv.DictReader((out / "manifest.csv").read_text().splitlines())}
    everything = {str(p.relative_to(troubled)) for p in troubled.rglob("*") if p.is_file()}
    assert set(manifest) == everything
    assert {row["status"] for row in manifest.values()} == {"used", "fixed", "skipped", "ignored"}
    assert "EXIF orientation 6" in manifest["train/cats/phone.jpg"]["reason"]
    assert manifest["train/dogs/deep.png"]["status"] == "fixed"
    assert manifest["train/dogs/broken.png"]["reason"] == "empty file"
    assert all(row["reason"] for row in manifest.values() if row["status"] != "used")
    findings = json.loads((out / "findings.json").read_text())["findings"]
    assert {finding["kind"] for finding in findings} >= {"unreadable", "blank", "duplicates-across-parts"}
    for kind in ("blank", "duplicates-across-parts", "duplicates-across-classes", "turned"):
        with Image.open(out / f"{kind}.png") as drawn:
            assert drawn.width > 300
        assert str(out / f"{kind}.png") in printed
    proposed = {row["path"]: row["action"] for row in csv.DictReader((out / "fixes.csv").read_text().splitlines())}
    assert proposed == {
        "train/dogs/broken.png": "exclude",
        "train/dogs/black.png": "exclude",
        "train/cats/not a cat.png": "exclude",
        "train/dogs/001.png": "exclude",
        "train/cats/000.png": "exclude",
    }


def test_what_is_proposed_can_be_trained_with_and_leaves_nothing_to_propose(troubled: Path, tmp_path, capsys) -> None:
    out = tmp_path / "check"
    assert main(["data", "check", str(troubled), "--out", str(out)]) == 0
    capsys.readouterr()
    again = ["--strict", "--fixes", str(out / "fixes.csv"), "--out", str(tmp_path / "again")]
    code, found, _ = check(troubled, *again, capsys=capsys)
    assert code == 0
    assert not [kind for kind in found if "across" in kind or kind == "blank"]
    assert len((tmp_path / "again" / "fixes.csv").read_text().splitlines()) == 1


def test_a_folder_with_something_in_it_or_among_the_pictures_is_refused(clean: Path, tmp_path: Path, capsys) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").write_text("x")
    before = tree(tmp_path)
    for out in (full, clean / "check", clean):
        assert main(["data", "check", str(clean), "--out", str(out)]) == 2
        assert str(out) in capsys.readouterr().err
    assert tree(tmp_path) == before


def test_labels_are_suspected_ranked_and_proposed(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "shades"
    rng = np.random.default_rng(3)
    for name, level in (("dark", 50), ("light", 190)):
        (folder / name).mkdir(parents=True)
        for number in range(60):
            values = rng.normal(level, 25, (8, 8)).clip(0, 255).astype(np.uint8)
            Image.fromarray(values).save(folder / name / f"{number:02}.png")
    for number in range(6):
        (folder / "dark" / f"{number:02}.png").rename(folder / "light" / f"wrong {number}.png")
    out = tmp_path / "check"
    assert main(["data", "check", str(folder), "--labels", *QUICK[2:], "--epochs", "6", "--out", str(out)]) == 0
    printed, err = capsys.readouterr()
    assert "networks" in err, "it says what it is doing"
    findings = {f["kind"]: f for f in json.loads((out / "findings.json").read_text())["findings"]}
    first = [case["files"][0] for case in findings["suspected-labels"]["cases"]][:3]
    assert all(name.startswith("light/wrong") for name in first)
    assert f"{first[0]} (light → dark" in printed
    rows = {row["path"]: row for row in csv.DictReader((out / "fixes.csv").read_text().splitlines())}
    assert (rows[first[0]]["action"], rows[first[0]]["label"]) == ("relabel", "dark")
    assert (out / "suspected-labels.png").is_file()


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


def test_pictures_of_classes_not_asked_for_are_no_finding(capsys, picture_folder, tmp_path):
    folder = picture_folder(cats=12, dogs=12, cows=12)
    assert main(["train", f"{folder}:cats,dogs", "--epochs", "1", "--out", str(tmp_path), "--name", "r"]) == 0
    kept = json.loads((tmp_path / "r" / "data-check.json").read_text())
    assert "ignored" not in {finding["kind"] for finding in kept}
    assert "12 ignored: class not asked for" in capsys.readouterr().err


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


@pytest.mark.parametrize("verb", [["data", "check"], ["data", "show"], ["train"]])
def test_help_says_what_data_may_be(verb: list[str], capsys) -> None:
    assert main([*verb, "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "A folder of pictures, a table of them, or a data set by name" in said
    assert main([*verb, "photos", "--lables"]) == 2
    assert f"fix: striate {' '.join(verb)} --help" in capsys.readouterr().err


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
