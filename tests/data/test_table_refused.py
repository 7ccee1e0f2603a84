"""Tables that cannot be used: every row that is wrong is named with its number and column, and nothing is decoded."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from striate.core.errors import DataError, ResourceError, SettingsError, StriateError
from striate.core.settings import DataSettings
from striate.data.sources import load_data, open_data

from .tables import pictures_of, write_table

PLAIN = DataSettings()


def refused(table: Path | str, asked: DataSettings = PLAIN) -> DataError:
    with pytest.raises(StriateError) as caught:
        load_data(str(table), asked)
    assert isinstance(caught.value, DataError), caught.value
    assert caught.value.exit_code == 3
    assert caught.value.fix
    return caught.value


def table_of(root: Path, *lines: str) -> Path:
    (root / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    return root / "t.csv"


def told(error: DataError) -> dict[int, list[str]]:
    """Return what is said of each row."""
    rows: dict[int, list[str]] = {}
    for line in error.what.splitlines()[1:]:
        head, _, what = line.strip().partition(": ")
        rows.setdefault(int(head.split()[1].rstrip(",")), []).append(f"{head.partition(', ')[2]}: {what}")
    return rows


def test_every_bad_row_is_named_at_once_by_its_number_and_column(picture_folder):
    root = picture_folder(cats=4, dogs=4)
    (root / "folder").mkdir()
    error = refused(
        table_of(
            root,
            "path;label;split;patient",  # row 1, as a spreadsheet counts
            "cats/000.png;cat;train;a",
            "cats/001.png;cat;train;a",
            "dogs/000.png;dog;train;b",
            "dogs/001.png;dog;train;b",
            "",
            "cats/nowhere.png;cat;train;a",  # 7
            ";cat;train;a",
            "cats/002.png;;train;a",
            "cats/003.png;NaN;train;a",
            "./cats/000.png;cat;train;a",  # 11
            "cats/../dogs/000.png;cat;train;a",
            "dogs/002.png;dog;trian;b",
            "dogs/003.png;elk;val;c",  # 14
            "folder;dog;train;nan",
            "cats/nowhere.png;cat;;a;x",  # 16
        )
    )
    assert error.where == str(root / "t.csv")
    assert told(error) == {
        7: [f"column 'path': no such file: {root}/cats/nowhere.png"],
        8: ["column 'path': no path"],
        9: ["column 'label': no label"],
        10: ["column 'label': no label (NaN)"],
        11: ["column 'path': the same file as in row 2"],
        12: ["column 'path': the same file as in row 4, where it is 'dog', not 'cat'"],
        13: ["column 'split': 'trian' is not train, val or test"],
        14: ["column 'label': no training row is of class elk"],
        15: ["column 'path': a folder, not a picture: " + f"{root}/folder", "column 'patient': no group"],
        16: [
            f"column 'path': no such file: {root}/cats/nowhere.png",
            "column 'patient': 5 cells where the header has 4",
            "column 'split': '' is not train, val or test",
        ],
    }
    assert "10 of the table's rows" in str(error)


@given(bad=st.sets(st.integers(0, 11), min_size=1))
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exactly_the_bad_rows_are_named(picture_folder, bad):
    root = picture_folder(cats=6, dogs=6)
    names = pictures_of(root)
    rows = [f"{name},{'' if number in bad else name.split('/')[0]}" for number, name in enumerate(names)]
    assert set(told(refused(table_of(root, "path,label", *rows)))) == {number + 2 for number in bad}


def test_a_hard_link_and_a_link_are_the_same_file(picture_folder):
    root = picture_folder(cats=3, dogs=3)
    os.link(root / "cats" / "000.png", root / "cats" / "h.png")
    (root / "cats" / "s.png").symlink_to("000.png")
    assert list(told(refused(write_table(root / "t.csv")))) == [5, 6]


def test_a_table_in_the_wrong_place_is_told_once_and_not_for_each_row(picture_folder, tmp_path):
    root = picture_folder(cats=9, dogs=9)
    table = write_table(root / "t.csv").rename(tmp_path / "t.csv")
    error = refused(table)
    assert "none of the table's 18 files is there" in error.what
    assert str(tmp_path / "cats" / "000.png") in error.what
    assert len(str(error)) < 500


@pytest.mark.parametrize("header", ["name,kind", "path,kind", "name,label"])
def test_missing_columns_are_told_with_those_there_are(picture_folder, header):
    error = refused(table_of(picture_folder(cats=2), header, "cats/000.png,cat"))
    for name in header.split(","):
        assert f"'{name}'" in error.fix
    assert ("--path-column" in error.what) == ("name" in header)
    assert ("--label-column" in error.what) == ("kind" in header)


def test_a_column_that_is_not_there_gets_a_suggestion(picture_folder):
    table = table_of(picture_folder(cats=2), "path,label,Patient No", "cats/000.png,cat,1")
    error = refused(table, DataSettings(group_column="Patient Nr", label_column="zzz"))
    assert "no column 'Patient Nr' (did you mean 'Patient No'?)" in error.what
    assert "no column 'zzz'" in error.what


def test_columns_that_could_both_be_it_are_not_chosen_between(picture_folder):
    error = refused(table_of(picture_folder(cats=2), "path,label,class,site,patient", "cats/000.png,a,b,c,d"))
    assert "2 columns could say their classes ('label', 'class'): --label-column" in error.what
    assert "2 columns could say their groups ('site', 'patient'): --group-column" in error.what


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "nothing"),
        (b"\xef\xbb\xbf\r\n\r\n", "nothing"),
        (b"path,label\n", "no rows"),
        (b"path,label\ncats/000.png,\xff\n", "line 2"),
        ("path,label\ncats/000.png,ca\n".encode("utf-16"), "UTF-8"),
        (b'path,label\ncats/000.png,"cat\ncats/001.png,cat\n', "row 2"),
        (b'path,label\ncats/000.png,"c"at\n', "row 2"),
        (b"\x00" * 50, "zero bytes"),
        ("path,label\ncats/000.png,ca\n".encode("utf-16-le"), "UTF-16"),
    ],
)
def test_a_file_that_is_no_table_is_refused(picture_folder, content, word):
    root = picture_folder(cats=2, dogs=2)
    (root / "t.csv").write_bytes(content)
    assert word in refused(root / "t.csv").what


@given(content=st.binary(max_size=200))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_bytes_a_table_holds_it_is_refused_by_a_typed_error(picture_folder, content):
    root = picture_folder(cats=2)
    (root / "t.csv").write_bytes(b"path,label\n" + content)
    refused(root / "t.csv")


def test_a_missing_table_a_pipe_and_one_that_may_not_be_read(picture_folder, tmp_path):
    assert "no such table" in refused(tmp_path / "none.csv").what
    os.mkfifo(tmp_path / "pipe.csv")
    assert "not a regular file" in refused(tmp_path / "pipe.csv").what
    root = picture_folder(cats=2, dogs=2)
    table = write_table(root / "t.csv")
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    table.chmod(0)
    assert "chmod" in refused(table).fix


def test_a_folder_called_like_a_table_is_a_folder(picture_folder):
    assert len(load_data(str(picture_folder(root="photos.csv", cats=2, dogs=2)), PLAIN).train) == 4


def test_no_training_rows_are_told(picture_folder):
    root = picture_folder(cats=2, dogs=2)
    table = write_table(root / "t.csv", ("path", "label", "split"), lambda n, name: (name, name.split("/")[0], "val"))
    assert "training part in column 'split'" in refused(table).what


@pytest.mark.parametrize("labels", [["a"] * 4, ["a", "a", "a", "b"]])
def test_one_class_and_classes_of_one_picture_are_refused(picture_folder, labels):
    root = picture_folder(cats=4)
    error = refused(write_table(root / "t.csv", row=lambda n, name: (name, labels[n])))
    assert ("'a'" if labels[3] == "a" else "b (1)") in error.what


def test_names_that_look_the_same_are_refused_and_capitals_told(picture_folder):
    root = picture_folder(x=8)
    labels = ["naïve", "naïve", "b", "b", "nai\u0308ve", "b", "b", "b"]
    assert "Unicode" in refused(write_table(root / "t.csv", row=lambda n, name: (name, labels[n]))).fix
    labels = ["Cat", "Cat", "cat", "cat", "cat", "dog", "dog", "dog"]
    splits = open_data(str(write_table(root / "t.csv", row=lambda n, name: (name, labels[n]))), PLAIN, 0)
    (alike,) = (note for note in splits.notes if "alike" in note)
    counts = dict(zip(splits.classes, splits.train.class_counts(), strict=True))
    told = f"'Cat' and 'cat' ({counts['Cat']} and {counts['cat']} training pictures)"
    assert alike == f"different classes with names that look alike: {told}"


def test_unknown_classes_of_a_subset_are_named_with_the_known_ones(picture_folder):
    table = write_table(picture_folder(cats=2, dogs=2) / "t.csv")
    with pytest.raises(SettingsError, match="elks") as caught:
        load_data(f"{table}:cats,elks", PLAIN)
    assert "cats, dogs" in caught.value.fix


def test_unreadable_pictures_are_all_named(picture_folder):
    root = picture_folder(cats=4, dogs=4)
    table = write_table(root / "t.csv")
    for name in ("cats/000.png", "dogs/002.png"):
        (root / name).write_bytes(b"<html>")
    error = refused(table)
    assert "2 of 8" in error.what
    assert str(root / "dogs/002.png") in error.what


@pytest.mark.parametrize("key", ["path_column", "label_column", "split_column", "group_column"])
def test_columns_without_a_table_are_refused(picture_folder, key):
    for data in (str(picture_folder(cats=2, dogs=2)), "digits"):
        with pytest.raises(SettingsError, match=f"--{key.replace('_', '-')}"):
            load_data(data, DataSettings(**{key: "x"}))


def test_a_folder_of_pictures_with_a_table_says_so(picture_folder):
    root = picture_folder(images=4)
    table = write_table(root / "metadata.csv")
    assert f"striate train {table}" in refused(root).fix
    for name in pictures_of(root):
        (root / name).rename(root / Path(name).name)
    (root / "images").rmdir()
    assert f"striate train {table}" in refused(root).fix


def test_parquet_without_pyarrow_says_what_to_install(picture_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    root = picture_folder(cats=2, dogs=2)
    (root / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(ResourceError, match=r"pip install 'striate\[parquet\]'"):
        load_data(str(root / "t.parquet"), PLAIN)


def test_damaged_parquet_and_columns_without_text_are_refused(picture_folder):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed (the extra 'parquet')")
    from pyarrow import parquet

    root = picture_folder(cats=2, dogs=2)
    (root / "t.parquet").write_bytes(b"PAR1" + b"\0" * 40 + b"PAR1")
    assert "Parquet" in refused(root / "t.parquet").what
    names = pictures_of(root)
    pictures = [{"bytes": b"x", "path": name} for name in names]
    parquet.write_table(pyarrow.table({"image": pictures, "label": [1, 2, None, 2]}), root / "t.parquet")
    assert "struct" in refused(root / "t.parquet").what
    parquet.write_table(pyarrow.table({"image": names, "label": [1, 2, None, 2]}), root / "t.parquet")
    assert told(refused(root / "t.parquet")) == {3: ["column 'label': no label"]}
    parquet.write_table(pyarrow.table({"image": names[:0], "label": names[:0]}), root / "t.parquet")
    assert "no rows" in refused(root / "t.parquet").what
