"""Tables of pictures: the same pixels, labels and record as the folder that holds the same pictures."""

from __future__ import annotations

import csv
import os
import random
from pathlib import Path

import pytest
import torch
from PIL import Image

from striate.core.settings import DataSettings
from striate.data.dataset import Splits
from striate.data.sources import load_data, open_data
from striate.data.sources.columns import USUAL

from .tables import pictures_of, write_table

PLAIN = DataSettings()


def same_pictures(ours: Splits, theirs: Splits) -> bool:
    return ours.fingerprint() == theirs.fingerprint() and all(
        list(part.names) == list(theirs.parts()[name].names) for name, part in ours.parts().items()
    )


def test_a_table_of_a_folders_pictures_is_the_folder(picture_folder):
    root = picture_folder(cats=4, dogs=3)
    splits = load_data(str(write_table(root / "labels.csv")), PLAIN)
    assert same_pictures(splits, load_data(str(root), PLAIN))
    assert splits.classes == ("cats", "dogs")
    assert splits.name == "labels.csv"
    assert splits.source == str(root / "labels.csv")
    assert [record[:4] for record in splits.files] == [
        (name, "", name.split("/")[0], "used") for name in pictures_of(root)
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".CSV"])
def test_any_usual_separator_and_a_byte_order_mark_are_read(picture_folder, separator, encoding, suffix):
    root = picture_folder(cats=2, dogs=2)
    table = write_table(root / f"labels{suffix}", separator=separator, encoding=encoding)
    assert same_pictures(load_data(str(table), PLAIN), load_data(str(root), PLAIN))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_empty_lines_blanks_quotes_and_line_ends_of_any_system_are_read(picture_folder, newline):
    root = picture_folder(**{"cats, small": 2, 'dogs "big"': 2})
    lines = ["", '"path","label",""', ",,"]
    for name in pictures_of(root):
        doubled = name.replace('"', '""')
        lines += [f'"{doubled}"," {doubled.split("/")[0]} ",', ""]
    (root / "labels.csv").write_bytes(newline.join(lines).encode())
    splits = load_data(str(root / "labels.csv"), PLAIN)
    assert splits.classes == ("cats, small", 'dogs "big"')
    assert same_pictures(splits, load_data(str(root), PLAIN))


@pytest.mark.parametrize("path", [*USUAL["path"], "Image Path", "FILE_NAME", "file-path"])
def test_usual_names_of_the_column_of_files_are_recognised(picture_folder, path):
    root = picture_folder(cats=2, dogs=2)
    assert len(load_data(str(write_table(root / "labels.csv", (path, "label"))), PLAIN).train) == 4


@pytest.mark.parametrize("label", [*USUAL["label"], "Class", "LABEL"])
def test_usual_names_of_the_column_of_classes_are_recognised(picture_folder, label):
    root = picture_folder(cats=2, dogs=2)
    table = write_table(root / "labels.csv", (label, "age", "file"), lambda n, name: (name.split("/")[0], str(n), name))
    splits = load_data(str(table), PLAIN)
    assert splits.classes == ("cats", "dogs")
    assert any(f"'{label}'" in note and "not read: 'age'" in note for note in splits.notes)


def test_columns_can_be_named(picture_folder):
    root = picture_folder(cats=3, dogs=3)
    header = ("path", "Foto", "class", "Art", "Teil", "Tier")
    table = write_table(
        root / "t.csv",
        header,
        lambda n, name: ("nowhere", name, "x", name.split("/")[0], "Test" if n % 3 == 0 else "training", f"t{n}"),
    )
    settings = DataSettings(path_column="Foto", label_column="Art", split_column="Teil", group_column="Tier")
    splits = load_data(str(table), settings)
    assert splits.classes == ("cats", "dogs")
    assert (len(splits.train), len(splits.test), splits.val) == (4, 2, None)
    assert sorted(torch.cat([splits.train.groups, splits.test.groups]).tolist()) == list(range(6))


def test_parts_are_those_of_the_column_whatever_the_order_of_rows(picture_folder):
    root = picture_folder(cats=9, dogs=9)
    said = ["Train", "valid", "TEST", "training", "validation", "testing", "train", "val", "test"]
    table = write_table(
        root / "t.csv", ("set", "path", "label"), lambda n, name: (said[n % 9], name, name.split("/")[0])
    )
    splits = load_data(str(table), PLAIN)
    rows = list(csv.reader(table.read_text().splitlines()))[1:]
    for part, words in (("train", ("train",)), ("val", ("val",)), ("test", ("test",))):
        expected = [name for word, name, _ in rows if word.lower().startswith(words)]
        assert list(splits.parts()[part].names) == expected
        assert splits.parts()[part].class_counts() == [3, 3]
    assert {record.path: record.part for record in splits.files} == {
        name: next(part for part in ("train", "val", "test") if word.lower().startswith(part)) for word, name, _ in rows
    }


def test_a_column_can_be_left_unread(picture_folder):
    root = picture_folder(cats=3, dogs=3)
    table = write_table(
        root / "t.csv",
        ("path", "label", "set", "site"),
        lambda n, name: (name, name.split("/")[0], "blue", ""),
    )
    splits = load_data(str(table), DataSettings(split_column="", group_column=""))
    assert len(splits.train) == 6
    assert splits.train.groups is None


def test_paths_may_be_absolute_climb_out_of_the_folder_or_have_backslashes(picture_folder, tmp_path):
    root = picture_folder(cats=4, dogs=4)
    (tmp_path / "tables").mkdir()
    shapes = [
        lambda name: str(root / name),
        lambda name: f"../photos/{name}",
        lambda name: f"..\\photos\\{name}".replace("/", "\\"),
        lambda name: f"./../tables/../photos/./{name}",
    ]
    names = pictures_of(root)
    lines = ["path,label", *(f"{shapes[n % 4](name)},{name.split('/')[0]}" for n, name in enumerate(names))]
    (tmp_path / "tables" / "t.csv").write_text("\n".join(lines))
    splits = load_data(str(tmp_path / "tables" / "t.csv"), PLAIN)
    assert splits.fingerprint() == load_data(str(root), PLAIN).fingerprint()
    assert list(splits.train.names) == [str(root / name) for name in names]
    assert any("8 pictures lie outside" in note for note in splits.notes)


def test_pictures_outside_the_folder_are_kept_in_the_cache_apart(picture_folder, tmp_path, kept):
    roots = [picture_folder(root=name, cats=2, dogs=2) for name in ("a1", "b1")]
    for seed, root in enumerate(roots):
        for number, name in enumerate(pictures_of(root)):
            shade = Image.new("RGB", (16, 16), (40 * number, 100 * seed, 0))
            shade.save(root / name)
            os.utime(root / name, ns=(10**18, 10**18))
    (tmp_path / "tables").mkdir()
    loaded = []
    for root in roots:
        table = tmp_path / "tables" / "t.csv"
        rows = [f"{root / name},{name.split('/')[0]}" for name in pictures_of(root)]
        table.write_text("\n".join(["path,label", *rows]))
        loaded.append(load_data(str(table), PLAIN))
        assert torch.equal(loaded[-1].train.images, load_data(str(root), PLAIN).train.images)
        assert torch.equal(load_data(str(table), PLAIN).train.images, loaded[-1].train.images)
    assert not torch.equal(loaded[0].train.images, loaded[1].train.images)


def test_whole_numbers_are_names_of_classes_in_their_own_order(picture_folder):
    root = picture_folder(**dict.fromkeys(("10", "9", "-1", "2"), 2))
    splits = load_data(str(write_table(root / "t.csv")), PLAIN)
    assert splits.classes == ("-1", "2", "9", "10")
    for name, label in zip(splits.train.names, splits.train.labels.tolist(), strict=True):
        assert splits.classes[label] == name.split("/")[0]


def test_a_class_subset_is_all_that_is_decoded(picture_folder):
    root = picture_folder(cats=3, dogs=3, owls=3)
    table = write_table(root / "t.csv")
    (root / "owls" / "000.png").write_bytes(b"")  # not to be opened
    ours, theirs = (load_data(f"{place}:dogs,cats", PLAIN) for place in (table, root))
    assert same_pictures(ours, theirs)
    assert ours.classes == ("dogs", "cats")
    assert ours.source == f"{table}:dogs,cats"
    ignored = [record.path for record in ours.files if record.status == "ignored"]
    assert ignored == [name for name in pictures_of(root) if name.startswith("owls")]


def test_bad_pictures_of_a_table_are_recorded_as_a_folders_are(picture_folder):
    root = picture_folder(cats=4, dogs=4)
    table = write_table(root / "t.csv")
    (root / "cats" / "001.png").write_bytes(b"")
    splits = load_data(str(table), DataSettings(skip_bad=True))
    assert splits.train.class_counts() == [3, 4]
    (skipped,) = (record for record in splits.files if record.status == "skipped")
    assert (skipped.path, skipped.reason) == ("cats/001.png", "empty file")


def test_an_unsplit_table_is_split_as_its_folder(picture_folder):
    root = picture_folder(cats=20, dogs=30)
    ours, theirs = (open_data(str(place), PLAIN, 3) for place in (write_table(root / "t.csv"), root))
    assert same_pictures(ours, theirs)
    assert set(ours.parts()) == {"train", "val", "test"}


def test_the_first_n_of_a_table_sorted_by_class_keep_the_shares_of_its_classes(picture_folder):
    table = write_table(picture_folder(cats=40, dogs=20) / "t.csv")
    assert open_data(str(table), DataSettings(first=12), 0).train.class_counts() == [8, 4]


def test_a_table_is_found_again_from_elsewhere_and_by_a_link_beside_its_pictures(picture_folder, tmp_path, monkeypatch):
    root = picture_folder(cats=3, dogs=3)
    write_table(root / "t.csv").rename(tmp_path / "kept.csv")
    (root / "t.csv").symlink_to(tmp_path / "kept.csv")
    monkeypatch.chdir(root)
    here = load_data("t.csv", PLAIN)
    monkeypatch.chdir(tmp_path)
    assert same_pictures(load_data(here.source, PLAIN), here)


@pytest.mark.parametrize("tail", ["", "\n", "\n\n\n"])
def test_empty_rows_are_told_and_blank_lines_at_the_end_are_none(picture_folder, tail):
    root = picture_folder(cats=2, dogs=2)
    lines = [
        "",
        "path,label",
        "cats/000.png,cat",
        "",
        "cats/001.png,cat",
        " , ",
        "dogs/000.png,dog",
        "dogs/001.png,dog",
    ]
    (root / "t.csv").write_text("\n".join(lines) + tail)
    told = [note for note in load_data(str(root / "t.csv"), PLAIN).notes if "empty" in note]
    assert told == ["2 empty rows of the table left out: rows 4, 6"]
    (root / "t.csv").write_text("\n".join(line for line in lines if line.strip(" ,")) + "\n" + ",\n" * 30 + tail)
    told = [note for note in load_data(str(root / "t.csv"), PLAIN).notes if "empty" in note]
    assert told == ["30 empty rows of the table left out: rows 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 …"]
    (root / "t.csv").write_text("\n".join(line for line in lines if line.strip(" ,")) + tail)
    assert not [note for note in load_data(str(root / "t.csv"), PLAIN).notes if "empty" in note]


# Several classes


def flags_of(root: Path, cells: list[str]) -> Splits:
    table = write_table(root / "t.csv", ("path", "labels"), lambda n, name: (name, cells[n]))
    return load_data(str(table), PLAIN)


def test_labels_with_several_names_make_a_multi_label_set(picture_folder):
    root = picture_folder(x=6)
    splits = flags_of(root, ["ant", "bee|ant", "", "cow | bee", "cow|ant|bee", "cow|"])
    assert splits.multi_label
    assert splits.classes == ("ant", "bee", "cow")
    expected = [[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 1]]
    assert splits.train.labels.int().tolist() == expected
    assert [record.class_name for record in splits.files] == ["ant", "ant|bee", "", "bee|cow", "ant|bee|cow", "cow"]
    assert any("any number of classes, 1 of none" in note for note in splits.notes)


def test_labels_with_one_name_each_are_of_one_class(picture_folder):
    splits = flags_of(picture_folder(x=4), ["ant", "bee", "ant", "bee"])
    assert not splits.multi_label
    assert splits.train.labels.tolist() == [0, 1, 0, 1]


def test_a_subset_of_a_multi_label_tables_classes_keeps_all_pictures(picture_folder):
    root = picture_folder(x=6)
    cells = ["ant", "bee|ant", "", "cow|bee", "cow|ant|bee", "cow"]
    flags_of(root, cells)
    splits = load_data(f"{root / 't.csv'}:cow,bee", PLAIN)
    assert splits.classes == ("cow", "bee")
    assert splits.train.labels.int().tolist() == [[0, 0], [0, 1], [0, 0], [1, 1], [1, 1], [1, 0]]


def test_a_multi_label_table_is_split_and_every_class_stays(picture_folder):
    rng = random.Random(0)
    root = picture_folder(x=60)
    cells = ["|".join(name for name in ("ant", "bee", "cow") if rng.random() < 0.5) for _ in range(60)]
    table = write_table(root / "t.csv", ("path", "labels"), lambda n, name: (name, cells[n]))
    splits = open_data(str(table), PLAIN, 0)
    assert set(splits.parts()) == {"train", "val", "test"}
    assert min(splits.train.class_counts()) > 0


# Parquet


def test_a_parquet_table_is_the_csv_table(picture_folder):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed (the extra 'parquet')")
    from pyarrow import parquet

    root = picture_folder(cats=6, dogs=6)
    names = pictures_of(root)
    columns = {
        "file_name": names,
        "label": [0 if name.startswith("cats") else 1 for name in names],
        "patient": [float(number // 2) for number in range(12)],
        "split": pyarrow.array(["train", "train", "train", "train", "val", "val"] * 2).dictionary_encode(),
        "embedding": [[0.5, 0.5]] * 12,
    }
    parquet.write_table(pyarrow.table(columns), root / "t.parquet")
    texts = {**columns, "split": columns["split"].to_pylist(), "patient": [str(n // 2) for n in range(12)]}
    del texts["embedding"]
    table = write_table(root / "t.csv", list(texts), lambda n, name: [str(column[n]) for column in texts.values()])
    ours, theirs = load_data(str(root / "t.parquet"), PLAIN), load_data(str(table), PLAIN)
    assert same_pictures(ours, theirs)
    assert ours.classes == ("0", "1")
    assert torch.equal(ours.train.groups, theirs.train.groups)
