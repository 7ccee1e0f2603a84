"""What a newcomer with photographs meets: every refusal and note says which file, why, and what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from striate.cli.main import main

from .quick_run import QUICK


@pytest.fixture
def said(capsys):
    """Return a function that runs a command and returns its exit code and all that it wrote, in one line of words."""

    def run(*words: object) -> tuple[int, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, " ".join("".join(capsys.readouterr()).split())

    return run


def test_photographs_of_another_format_are_named_with_the_remedy(picture_folder, said) -> None:
    folder = picture_folder(root="iphone", cats=0, dogs=0)
    for number in range(3):
        (folder / "cats" / f"IMG_{number}.HEIC").write_bytes(b"heic")
    (folder / "dogs" / "IMG_9.heic").write_bytes(b"heic")
    for verb in (["train"], ["data", "check"], ["data", "show"]):
        code, text = said(*verb, folder)
        assert code == 3
        assert "4 files left aside: .heic is not read" in text
        assert "convert such pictures to JPEG" in text


def test_a_class_of_another_format_alone_is_told_as_such(picture_folder, said) -> None:
    folder = picture_folder(root="mixed", cats=6, dogs=0, elks=0)
    (folder / "dogs" / "a.heic").write_bytes(b"heic")
    (folder / "dogs" / "b.NEF").write_bytes(b"raw")
    code, text = said("train", folder)
    assert code == 3
    assert "class folders without a picture: dogs (2 files left aside: .heic and .nef are not read) elks" in text
    assert "convert such pictures to JPEG" in text
    code, text = said("data", "check", folder)
    assert code == 3
    assert "dogs (2 files left aside: .heic and .nef are not read)" in text


def test_single_files_of_another_format_are_left_aside_by_name(picture_folder, said) -> None:
    folder = picture_folder(root="some", cats=12, dogs=12)
    (folder / "dogs" / "a.avif").write_bytes(b"avif")
    _, text = said("data", "show", folder)
    assert "1 ignored: .avif is not read: convert it to JPEG: a.avif" in text


def test_the_check_of_a_table_tells_what_training_would_tell_and_once(picture_folder, tmp_path: Path, said) -> None:
    folder = picture_folder(root="tabled", Ant=12, Bee=12)
    rows = [(f"{path.parent.name}/{path.name}", path.parent.name) for path in sorted(folder.rglob("*.png"))]
    rows = [(path, "ant" if number < 5 else label) for number, (path, label) in enumerate(rows)]
    table = folder / "t.csv"
    table.write_text("file,label,group\n" + "".join(f"{path},{label},{path}\n" for path, label in rows))
    _, checked = said("data", "check", table)
    code, trained = said("train", table, *QUICK, "--out", tmp_path / "runs", "--no-report")
    assert code == 0
    for told in ("columns read: the pictures' files in 'file'", "names that look alike: 'Ant' and 'ant'"):
        assert checked.count(told) == trained.count(told) == 1
    assert "capitals" not in trained


def test_folders_beside_the_parts_are_named(picture_folder, said) -> None:
    root = picture_folder(root="mix", b=4)
    picture_folder(root="mix/train", a=4)
    code, text = said("train", root)
    assert code == 3
    assert "only one class ('a')" in text
    assert "beside train/, b is ignored: not one of train, val, test" in text
    picture_folder(root="mix/train", c=4)
    assert "1 ignored: not one of train, val, test: b" in said("data", "show", root)[1]


def test_the_notes_of_training_name_the_first_pictures_and_where_all_are(picture_folder, tmp_path: Path, said) -> None:
    folder = picture_folder(root="doubled", cats=14, dogs=14)
    first = folder / "cats" / "000.png"
    Image.effect_noise((40, 40), 60).convert("RGB").save(first)
    shutil.copy(first, folder / "dogs" / "copy.png")
    (folder / "dogs" / "bad.png").write_bytes(b"no picture")
    code, text = said("train", folder, *QUICK, "--skip-bad", "--out", tmp_path / "runs", "--name", "x", "--no-report")
    assert code == 0
    assert "1 picture under more than one class (pixel for pixel): " in text
    note = text.partition("under more than one class")[2]
    assert "cats/000.png" in note
    assert "dogs/copy.png" in note
    assert "1 unreadable picture left out (--skip-bad): bad.png" in text
    assert str(tmp_path / "runs" / "x" / "data-check.json") in text
    assert f"striate data check {folder}" in text


def test_a_table_without_a_header_is_told_what_to_write(picture_folder, said) -> None:
    folder = picture_folder(root="bare", cats=4, dogs=4)
    table = folder / "t.csv"
    table.write_text("".join(f"{p.parent.name}/{p.name},{p.parent.name}\n" for p in sorted(folder.rglob("*.png"))))
    code, text = said("train", table)
    assert code == 3
    assert "its first row looks like data ('cats/000.png')" in text
    assert "file,label" in text


def test_a_column_that_stands_twice_is_told(picture_folder, said) -> None:
    folder = picture_folder(root="twice", cats=4, dogs=4)
    (folder / "t.csv").write_text("file,label,label\ncats/000.png,cats,cats\n")
    code, text = said("train", folder / "t.csv")
    assert code == 3
    assert "column 'label' stands twice in the header" in text


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_first_line_of_excel_says_what_divides_the_cells(picture_folder, said, newline: str) -> None:
    folder = picture_folder(root="excel", cats=8, dogs=8)
    rows = [f"{path.parent.name}/{path.name};{path.parent.name}" for path in sorted(folder.rglob("*.png"))]
    (folder / "t.csv").write_bytes(newline.join(["sep=;", "file;label", *rows, ""]).encode())
    assert said("data", "show", folder / "t.csv")[0] == 0
    (folder / "t.csv").write_bytes(newline.join(["sep=;", "file;label", "cats/000.png;cats", "gone.png;cats"]).encode())
    assert "row 3, column 'file': no such file" in said("data", "show", folder / "t.csv")[1], "the header is row 1"
    (folder / "t.csv").write_bytes(newline.join(["sep=|", "file|label", "cats/000.png|cats"]).encode())
    code, text = said("data", "show", folder / "t.csv")
    assert code == 3
    assert "'|' divides its cells" in text


def test_groups_of_a_folder_are_asked_for_by_another_option(picture_folder, said) -> None:
    code, text = said("train", picture_folder(cats=4, dogs=4), "--group-column", "patient")
    assert code == 2
    assert "--group-column" in text
    assert "--group 'patient" in text


def test_actions_of_fixes_may_have_capitals(picture_folder, tmp_path: Path, said) -> None:
    folder = picture_folder(cats=12, dogs=12)
    fixes = tmp_path / "fixes.csv"
    fixes.write_text("path,action,label\ncats/001.png,Exclude,\ncats/002.png,RELABEL,dogs\ncats/003.png,relabel,cats\n")
    code, text = said("data", "show", folder, "--fixes", fixes)
    assert code == 0
    assert "1 relabelled, 1 excluded" in text
    assert "1 row changes nothing: cats/003.png is cats already" in text


def test_the_help_of_the_check_lists_what_it_reads_and_accepts_the_rest(picture_folder, said) -> None:
    _, text = said("data", "check", "--help")
    for option in ("--labels", "--out", "--skip-bad", "--img-size", "--fixes", "--seed"):
        assert option in text
    for option in ("--lr ", "--mixup", "--weight-decay", "--checkpoint-every"):
        assert option not in text
    assert text.index("--labels") < text.index("--img-size")
    assert said("data", "check", picture_folder(cats=12, dogs=12), "--lr", "0.1")[0] == 0


def test_data_show_says_at_which_side_training_reads(picture_folder, capsys, monkeypatch) -> None:
    from striate.training import transfer_plan

    monkeypatch.setattr(transfer_plan, "lite0", lambda: object())
    folder = picture_folder(side=160, cats=3, dogs=3)
    assert main(["data", "show", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trained_at"] == 224
    assert main(["data", "show", str(folder)]) == 0
    assert "training with these options reads them at 224×224" in capsys.readouterr().out
    assert main(["data", "show", str(folder), "--pretrained", "none"]) == 0
    assert "reads them at" not in capsys.readouterr().out
