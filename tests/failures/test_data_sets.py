"""Data sets that cannot be trained on are refused by name and with a remedy; those that can are (D01 to D24)."""

from __future__ import annotations

import csv
import json
import os
import shutil
import unicodedata
import zipfile
from pathlib import Path

import pytest

from striate.cli.main import main
from striate.core.settings import TrainSettings
from striate.training.job import Job, prepare

from .conftest import QUICK
from .odd_pictures import picture


def fill(folder: Path, count: int, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture(12, seed=seed + number).save(folder / f"{number:03}.png")
    return folder


def test_d01_missing_a_file_or_closed_are_three_messages(refused, picture_folder, tmp_path: Path) -> None:
    root = picture_folder(cats=2, dogs=2)
    missing = refused(["train", tmp_path / "photographs"], 3, "no such folder", "photographs")
    file = refused(["train", root / "cats" / "000.png"], 3, "is a file, not a folder", "000.png")
    assert missing != file


def test_d01_a_closed_folder_names_itself_and_chmod(as_nobody: Path, capsys) -> None:
    for name in ("cats", "dogs"):
        fill(as_nobody / "photos" / name, 2)
    for closed in (as_nobody / "photos" / "dogs", as_nobody / "photos"):
        closed.chmod(0)
        assert main(["train", str(as_nobody / "photos"), "--out", str(as_nobody / "runs")]) == 3
        err = capsys.readouterr().err
        assert "may not be read" in err
        assert f"fix: chmod u+rx {closed}" in err
        closed.chmod(0o755)


def test_d02_an_empty_folder_shows_the_layout(refused, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    refused(["train", tmp_path / "photos"], 3, "no pictures found", "FOLDER/CLASS/picture.jpg")


def test_d03_pictures_without_class_folders_are_told_the_layout(refused, tmp_path: Path) -> None:
    refused(["train", fill(tmp_path / "photos", 3)], 3, "3 pictures lie outside class folders", "FOLDER/CLASS")


def test_d04_one_class_is_none(refused, picture_folder) -> None:
    refused(["train", picture_folder(cats=5)], 3, "only one class ('cats')", "needs two or more")


def test_d05_empty_classes_are_all_named_and_the_remedy_works(refused, trained, picture_folder) -> None:
    root = picture_folder(cats=12, dogs=12, elks=0, gnus=0)
    err = refused(["train", root], 3, "\n  elks\n  gnus\n", f"{root}:cats,dogs")
    assert "dogs, elks" not in err
    run, _ = trained(root, data=f"{root}:cats,dogs")
    assert json.loads((run / "config.json").read_text())["data"] == f"{root}:cats,dogs"


def test_d06_what_the_system_leaves_behind_is_ignored_and_counted(trained, picture_folder) -> None:
    root = picture_folder(cats=12, dogs=12)
    for folder in (".ipynb_checkpoints", "__MACOSX"):
        shutil.copytree(root / "cats", root / folder)
    for file in (".DS_Store", "Thumbs.db", "._x.jpg"):
        (root / "cats" / file).write_bytes(b"x")
    run, err = trained(root)
    assert "note: 5 ignored: hidden or system file" in err
    assert json.loads((run / "config.json").read_text())["spec"]["classes"] == ["cats", "dogs"]


def test_d07_a_class_of_the_validation_part_alone_is_named_with_its_pictures(refused, tmp_path: Path) -> None:
    for place in ("train/cats", "train/dogs", "val/cats", "val/elks"):
        fill(tmp_path / "photos" / place, 2)
    first = tmp_path / "photos" / "val" / "elks" / "000.png"
    refused(["train", tmp_path / "photos"], 3, f"val/elks: 2 pictures, the first {first}")


def test_d08_a_class_that_validation_lacks_is_told_once_and_its_figures_are_not_0(
    trained, tmp_path: Path, capsys
) -> None:
    root = tmp_path / "photos"
    for place in ("train/cats", "train/dogs", "train/elks", "val/cats", "val/dogs"):
        fill(root / place, 4)
    run, err = trained(root)
    assert err.count("no val picture of elks") == 1
    scores = json.loads((run / "evaluation.json").read_text())["val"]["per_class"]
    assert [(score["count"], score["recall"]) for score in scores][2] == (0, None)
    assert main(["evaluate", str(run)]) == 0
    out, err = capsys.readouterr()
    (line,) = (line for line in out.splitlines() if line.startswith("elks") and "n/a" in line)
    assert line.split()[:2] == ["elks", "0"]
    assert "figures are of 2 of 3 classes" in err


def test_d09_two_pictures_of_each_class_are_the_least(refused, trained, tmp_path: Path) -> None:
    one = fill(tmp_path / "single" / "cats", 1)
    refused(["train", one.parent], 3, "only one class")
    for name in ("cats", "dogs"):
        fill(tmp_path / "photos" / name, 1)
    refused(["train", tmp_path / "photos"], 3, "fewer than 2", "cats (1), dogs (1)")
    for name in ("cats", "dogs"):
        fill(tmp_path / "photos" / name, 2)
    trained(tmp_path / "photos")


def test_d11_a_batch_larger_than_the_data_is_made_smaller_and_that_is_told(trained, picture_folder) -> None:
    run, err = trained(picture_folder(cats=10, dogs=10), "--batch-size", 512)
    config = json.loads((run / "config.json").read_text())
    assert f"batch {config['settings']['batch_size']}," in err
    assert config["settings"]["batch_size"] <= 20
    assert "only" in config["reasons"]["batch_size"]
    assert json.loads((run / "metrics.jsonl").read_text())["step"] == 1


def test_d14_loops_and_dangling_links_end_and_are_named(trained, picture_folder) -> None:
    root = picture_folder(cats=12, dogs=12)
    (root / "cats" / "self").symlink_to(root, target_is_directory=True)
    (root / "dogs" / "gone.png").symlink_to("nowhere.png")
    (root / "cats" / "circle.png").symlink_to("circle.png")
    run, err = trained(root)
    rows = {row["path"]: row for row in csv.DictReader((run / "files.csv").read_text().splitlines())}
    assert rows["cats/self"]["reason"] == "link to a folder read elsewhere"
    assert rows["dogs/gone.png"]["reason"] == rows["cats/circle.png"]["reason"] == "dangling link"
    assert sum(row["status"] == "used" for row in rows.values()) == 24
    assert "2 ignored: dangling link" in err


ODD_CLASSES = [
    unicodedata.normalize("NFC", "naïve"), unicodedata.normalize("NFD", "naïve"), "Cat", "cat", "😀", "كلب",
    "line\nbreak", 255 * "x", "-dash", "<img src=x onerror=alert(1)>", "[red]x[", "CON", "a,b", "a|b", "percent %s {0}",
]  # fmt: skip


def test_d15_odd_class_names_are_learnt_measured_and_shown_as_they_are(trained, tmp_path: Path, capsys) -> None:
    for number, name in enumerate(ODD_CLASSES):
        fill(tmp_path / "photos" / name, 3, seed=10 * number)
    run, err = trained(tmp_path / "photos")
    assert json.loads((run / "config.json").read_text())["spec"]["classes"] == sorted(ODD_CLASSES)
    assert r"names that look alike: 'nai\u0308ve' and 'na\xefve'" in err
    assert "names that look alike: 'Cat' and 'cat'" in err
    assert main(["evaluate", str(run), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["per_class"]
    assert [score["name"] for score in scores] == sorted(ODD_CLASSES)
    assert main(["evaluate", str(run)]) == 0
    assert "<img src=x onerror=alert(1)>" in capsys.readouterr().out
    assert main(["predict", str(run), str(tmp_path / "photos" / "Cat" / "000.png"), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["probabilities"]) == sorted(ODD_CLASSES)


def test_d15_a_class_spelt_otherwise_in_another_part_is_told(refused, tmp_path: Path) -> None:
    for name in (f"train/{ODD_CLASSES[0]}", "train/b", f"val/{ODD_CLASSES[1]}", "val/b"):
        fill(tmp_path / "photos" / name, 2)
    refused(["train", tmp_path / "photos"], 3, r"'na\xefve' and 'nai\u0308ve'")


def test_d16_names_of_no_valid_bytes_are_used_and_named_with_escapes(refused, trained, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for name in ("cats", "dogs"):
        fill(root / name, 10)
    odd = Path(os.fsdecode(os.fsencode(root / "cats") + b"/\xff\xfe.png"))
    shutil.copy(root / "cats" / "000.png", odd)
    run, _ = trained(root)
    assert b"cats/\xff\xfe.png" in (run / "files.csv").read_bytes()
    odd.write_bytes(b"no picture")
    refused(["train", root], 3, r"\xff\xfe.png", "not a picture")


def test_d16_a_class_or_folder_of_no_valid_bytes_is_refused_with_escapes(refused, tmp_path: Path) -> None:
    for name in (b"cats", b"\xff\xfe"):
        fill(Path(os.fsdecode(os.fsencode(tmp_path / "photos") + b"/" + name)), 3)
    refused(["train", tmp_path / "photos"], 3, r"\udcff\udcfe", "not valid Unicode", "rename")
    whole = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    (tmp_path / "photos").rename(whole)
    refused(["train", whole], 3, r"\udcff", "not valid Unicode", "rename")


def test_d21_an_archive_is_no_folder_and_is_not_opened(refused, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("../evil.txt", "x")
    refused(["train", tmp_path / "photos.zip"], 3, "is a file, not a folder", "photos.zip")
    assert not (tmp_path.parent / "evil.txt").exists()


def job_on(folder: Path, out: Path, **settings: object) -> Job:
    parsed = TrainSettings.parse({"epochs": 2, "batch_size": 4, "precision": "fp32", "device": "cpu", **settings})
    return prepare(str(folder), parsed, given=frozenset(), out=out, name="r")


@pytest.mark.parametrize("change", ["added", "removed", "replaced", "class renamed"])
def test_d22_a_resumed_run_says_which_files_have_changed(refused, picture_folder, tmp_path: Path, change: str) -> None:
    root = picture_folder(cats=12, dogs=12)
    picture(seed=98).convert("RGBA").save(root / "dogs" / "003.png")  # used, but not as it came
    job = job_on(root, tmp_path / "runs")
    trained_on = Path(job.data.train.names[0])
    job.run.release()
    match change:
        case "added":
            shutil.copy(root / "cats" / "000.png", root / "cats" / "100.png")
            told = "1 added: cats/100.png"
        case "removed":
            (root / "dogs" / "003.png").unlink()
            told = "1 removed: dogs/003.png"
        case "replaced":
            picture(seed=99).save(root / trained_on)
            told = f"1 with other pixels: {trained_on}"
        case _:
            (root / "dogs").rename(root / "hounds")
            told = "12 added: hounds/000.png"
    err = refused(["train", "--resume", job.run.path], 3, "the data have changed", told, lines=6)
    assert ("12 removed: dogs/000.png" in err) == (change == "class renamed")


def test_d23_a_file_that_goes_while_training_runs_changes_nothing(picture_folder, tmp_path: Path, refused) -> None:
    root = picture_folder(cats=12, dogs=12)
    undisturbed = job_on(root, tmp_path / "a").complete().model_path.read_bytes()
    job, stopped = job_on(root, tmp_path / "b"), job_on(root, tmp_path / "c")
    epochs = job.epochs()
    next(epochs)
    (root / "cats" / "000.png").unlink()
    (root / "dogs" / "000.png").write_bytes(b"garbage")
    for _ in epochs:
        pass
    job.finish()
    assert job.run.model_path.read_bytes() == undisturbed
    stopped.run.release()
    refused(["train", "--resume", stopped.run.path], 3, "dogs/000.png", "not a picture")


def test_d24_a_read_only_folder_is_trained_on_and_a_closed_place_for_runs_is_not(
    as_nobody: Path, trained, capsys
) -> None:
    for name in ("cats", "dogs"):
        fill(as_nobody / "photos" / name, 8).chmod(0o555)
    (as_nobody / "photos").chmod(0o555)
    trained(as_nobody / "photos", out=as_nobody / "runs")
    (as_nobody / "closed").mkdir(mode=0o555)
    assert main(["train", str(as_nobody / "photos"), *QUICK, "--out", str(as_nobody / "closed" / "runs")]) == 6
    err = capsys.readouterr().err
    assert "closed/runs" in err
    assert "fix: check the path and its permissions" in err
    assert "epoch" not in err, "before training"


def test_d24_the_run_may_lie_on_another_file_system(trained, picture_folder, tmp_path: Path) -> None:
    root, other = picture_folder(cats=8, dogs=8), Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev or not os.access(other, os.W_OK):
        pytest.skip("there is no other file system here")
    out = other / f"striate-{os.getpid()}"
    try:
        run, _ = trained(root, out=out)
        assert (run / "model.safetensors").is_file()
    finally:
        shutil.rmtree(out, ignore_errors=True)
