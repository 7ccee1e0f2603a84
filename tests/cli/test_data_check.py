"""`striate data check`: every kind of trouble is told, nothing is touched, and fixes are proposed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.cli.main import main

from .checking import check, files_of, state
from .quick_run import QUICK, tree


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


def test_pictures_of_classes_not_asked_for_are_no_finding(capsys, picture_folder, tmp_path):
    folder = picture_folder(cats=12, dogs=12, cows=12)
    assert main(["train", f"{folder}:cats,dogs", "--epochs", "1", "--out", str(tmp_path), "--name", "r"]) == 0
    kept = json.loads((tmp_path / "r" / "data-check.json").read_text())
    assert "ignored" not in {finding["kind"] for finding in kept}
    assert "12 ignored: class not asked for" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["data", "check"], ["data", "show"], ["train"]])
def test_help_says_what_data_may_be(verb: list[str], capsys) -> None:
    assert main([*verb, "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "A folder of pictures, a table of them, or a data set by name" in said
    assert main([*verb, "photos", "--lables"]) == 2
    assert f"fix: striate {' '.join(verb)} --help" in capsys.readouterr().err
