"""fixes.csv: relabels and excludes before anything is held out, records it, and names every row it cannot obey."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from striate.core.errors import DataError
from striate.core.settings import DataSettings
from striate.data.dataset import ImageDataset, Splits
from striate.data.fixes import Fix, apply_fixes, fixes_text, read_fixes
from striate.data.sources import open_data

HEADER = "path,action,label,reason\n"


@pytest.fixture
def table(tmp_path: Path):
    def write(text: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
        (tmp_path / "fixes.csv").write_bytes((header + text).encode(encoding))
        return tmp_path / "fixes.csv"

    return write


def opened(folder: Path, fixes: Path | None, **settings: object) -> Splits:
    return open_data(str(folder), DataSettings(fixes=fixes, **settings), 0)


def labels_by_name(splits: Splits) -> dict[str, str]:
    return {
        name: splits.classes[label]
        for part in splits.parts().values()
        for name, label in zip(part.names, part.labels.tolist(), strict=True)
    }


def test_pictures_are_relabelled_and_excluded_and_all_others_stay(picture_folder, table) -> None:
    folder = picture_folder(cats=8, dogs=8)
    fixes = table("cats/001.png,relabel,dogs,a dog\ndogs/003.png,exclude,,twice\n")
    before, after = labels_by_name(opened(folder, None)), labels_by_name(opened(folder, fixes))
    assert after == {**{k: v for k, v in before.items() if k != "dogs/003.png"}, "cats/001.png": "dogs"}


def test_each_application_is_recorded_with_its_row_and_reason(picture_folder, table) -> None:
    folder = picture_folder(cats=8, dogs=8)
    fixes = table("cats/001.png,relabel,dogs,a dog\n\ndogs/003.png,exclude,,twice\ncats/002.png,relabel,cats,\n")
    splits = opened(folder, fixes)
    records = {record.path: record for record in splits.files}
    assert len(records) == 16
    assert (records["cats/001.png"].status, records["cats/001.png"].class_name) == ("fixed", "dogs")
    assert records["cats/001.png"].reason == "cats → dogs (fixes.csv row 2: a dog)"
    assert records["dogs/003.png"].status == "skipped"
    assert records["dogs/003.png"].reason == "excluded (fixes.csv row 4: twice)"
    assert records["cats/002.png"].status == "used", "it changes nothing"
    assert {record.part for record in splits.files if record.status in ("used", "fixed")} == {"train", "val", "test"}
    (note,) = (note for note in splits.notes if "fixes.csv" in note)
    assert note.startswith("1 relabelled, 1 excluded")
    assert note.endswith("; 1 row changes nothing: cats/002.png is cats already")


def test_held_out_parts_are_drawn_from_the_corrected_labels(picture_folder, table) -> None:
    folder = picture_folder(cats=20, dogs=20)
    rows = "".join(f"cats/{i:03}.png,relabel,dogs,\n" for i in range(10))
    splits = opened(folder, table(rows))
    assert splits.test is not None
    # a tenth of 10 cats and of 30 dogs
    assert splits.test.class_counts() == [1, 3]


def test_an_unreadable_picture_that_is_excluded_is_no_longer_in_the_way(picture_folder, table) -> None:
    folder = picture_folder(cats=6, dogs=6)
    (folder / "cats" / "000.png").write_bytes(b"")
    (folder / "dogs" / "000.png").write_bytes(b"x")
    with pytest.raises(DataError, match="1 of 12 pictures cannot be used") as caught:
        opened(folder, table("cats/000.png,exclude,,\n"))
    assert "cats/000.png" not in str(caught.value)
    splits = opened(folder, table("cats/000.png,exclude,,\ndogs/000.png,exclude,,gone\n"))
    reasons = {record.path: record.reason for record in splits.files if record.status == "skipped"}
    assert reasons["cats/000.png"] == "excluded (fixes.csv row 2), empty file"
    assert set(reasons) == {"cats/000.png", "dogs/000.png"}


def test_every_row_that_cannot_be_obeyed_is_named_by_its_number(picture_folder, table) -> None:
    folder = picture_folder(cats=6, dogs=6)
    fixes = table(
        "cats/900.png,exclude,,\ncats/001.png,relabel,gnus,\ncats/002.png,relabel,dogs,\nx.png,relabel,elks,\n"
    )
    with pytest.raises(DataError) as caught:
        opened(folder, fixes)
    lines = str(caught.value).splitlines()
    assert str(fixes) in lines[0]
    assert [line.strip().split(":")[0] for line in lines[1:-1]] == ["row 2", "row 3", "row 5", "row 5"]
    assert "gnus" in lines[2]
    assert "cats, dogs" in lines[2]


def test_rows_wrong_in_themselves_and_for_the_data_are_all_named_at_once_before_a_picture_is_decoded(
    picture_folder, table, monkeypatch
) -> None:
    folder = picture_folder(cats=6, dogs=6)
    fixes = table(
        "cats/001.png,delete,,\n"
        "cats/900.png,exclude,,\n"
        "cats/002.png,relabel,,\n"
        ",exclude,,\n"
        "cats/003.png,relabel,gnus,\n"
        "dogs/000.png,exclude,,\n"
        "dogs/000.png,relabel,cats,\n"
        "dogs/001.png,exclude,,a dog, not a cat\n"
    )

    def decode(*_: object) -> None:
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr("striate.data.sources.assemble.read_pictures", decode)
    with pytest.raises(DataError) as caught:
        opened(folder, fixes)
    first, *lines, _ = (line.strip() for line in str(caught.value).splitlines())
    assert first == f"{fixes}: 7 rows cannot be obeyed:"
    assert lines == [
        "row 2: action 'delete': either relabel or exclude",
        "row 3: no such picture: cats/900.png",
        "row 4: a relabel without a label",
        "row 5: no path",
        "row 6: no class gnus; there are cats, dogs",
        "row 8: dogs/000.png is in row 7 already",
        "row 9: 5 cells where the header has 4",
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_fixes_are_read_as_tables_are(picture_folder, table, separator: str, encoding: str) -> None:
    folder = picture_folder(cats=6, dogs=6)
    rows = "cats/001.png,Relabel,dogs,ein Hund\r\n,,,\r\ndogs/003.png,exclude,,\r\n".replace("Relabel", "relabel")
    fixes = table(rows.replace(",", separator), HEADER.replace(",", separator), encoding)
    before, after = labels_by_name(opened(folder, None)), labels_by_name(opened(folder, fixes))
    assert after == {**{k: v for k, v in before.items() if k != "dogs/003.png"}, "cats/001.png": "dogs"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_refused_with_the_remedy(table, encoding: str) -> None:
    with pytest.raises(DataError, match="UTF-16") as caught:
        read_fixes(table("a.png,exclude,,\n", HEADER, encoding))
    assert "CSV UTF-8" in caught.value.fix


@pytest.mark.parametrize(
    ("header", "told"),
    [("file,action\n", "no column path"), ("", "no header row"), ("path,action,path\n", "a column twice")],
)
def test_a_table_without_the_columns_is_refused(table, header: str, told: str) -> None:
    with pytest.raises(DataError, match=told) as caught:
        read_fixes(table("", header))
    assert "path, action, label, reason" in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.csv", tmp_path, tmp_path / "nul\0.csv"):
        with pytest.raises(DataError) as caught:
            read_fixes(path)
        assert str(path) in str(caught.value)


def test_columns_may_be_in_any_order_and_the_file_may_come_from_a_spreadsheet(picture_folder, table) -> None:
    folder = picture_folder(cats=6, dogs=6)
    fixes = table("dogs , cats/001.png,Relabel\r\n".replace("Relabel", "relabel"), "Label,path,action\r\n", "utf-8-sig")
    text = fixes.read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    with pytest.raises(DataError, match="no such picture:  cats"):
        opened(folder, fixes)
    fixes.write_bytes(text.replace(b", cats", b",cats"))
    assert labels_by_name(opened(folder, fixes))["cats/001.png"] == "dogs"


def test_a_part_may_not_lose_all_its_pictures(picture_folder, table) -> None:
    picture_folder()
    picture_folder(root="photos/train", cats=4, dogs=4)
    picture_folder(root="photos/val", cats=1)
    with pytest.raises(DataError, match="val part"):
        opened(picture_folder(), table("val/cats/000.png,exclude,,\n"))


def test_a_class_may_not_lose_all_its_training_pictures_and_the_fixes_are_named_as_the_cause(
    picture_folder, table
) -> None:
    folder = picture_folder(cats=6, dogs=2, owls=4)
    fixes = table("dogs/000.png,exclude,,\ndogs/001.png,relabel,cats,\n")
    with pytest.raises(DataError, match=r"the fixes leave no training picture of class dogs \(of 2\)") as caught:
        opened(folder, fixes)
    assert caught.value.where == str(fixes)
    everything = "".join(f"{name}/{number:03}.png,exclude,,\n" for name in ("dogs", "owls") for number in range(2))
    fixes = table(everything + "owls/002.png,exclude,,\nowls/003.png,exclude,,\n")
    with pytest.raises(DataError, match=r"dogs \(of 2\), owls \(of 4\)"):
        opened(folder, fixes)


def test_named_data_sets_have_fixes_too_and_a_record_of_them(table) -> None:
    name = open_data("digits", DataSettings(), 0).train.names[5]
    splits = open_data("digits", DataSettings(fixes=table(f"{name},exclude,,\n")), 0)
    assert name not in [n for part in splits.parts().values() for n in part.names]
    assert [(record.path, record.status) for record in splits.files] == [(name, "skipped")]


def test_several_classes_of_a_picture_are_written_with_a_bar(table) -> None:
    images = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    labels = torch.tensor([[True, False, False], [False, True, True], [False, False, False]])
    splits = Splits("many", ImageDataset(images, labels, ("a", "b", "c"), ["x", "y", "z"]))
    fixed = apply_fixes(splits, read_fixes(table("x,relabel,b|c,\nz,relabel,a,\n")))
    assert fixed.train.labels.tolist() == [[False, True, True], [False, True, True], [True, False, False]]
    assert torch.equal(splits.train.labels, labels), "the data themselves are not written to"


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1).filter(str.strip)


@given(rows=st.dictionaries(names, st.tuples(st.booleans(), names.map(str.strip)), max_size=6))
def test_what_is_written_is_read_again(rows: dict[str, tuple[bool, str]], tmp_path_factory) -> None:
    fixes = [
        Fix(path, "relabel" if relabel else "exclude", text if relabel else "", text)
        for path, (relabel, text) in rows.items()
    ]
    file = tmp_path_factory.mktemp("fixes") / "fixes.csv"
    file.write_bytes(fixes_text(fixes))
    assert [fix for _, fix in read_fixes(file).rows] == fixes


def test_odd_bytes_in_names_survive(tmp_path: Path) -> None:
    fix = Fix(b"cats/\xff\xfe.png".decode("utf-8", "surrogateescape"), "exclude", "", "x")
    (tmp_path / "f.csv").write_bytes(fixes_text([fix]))
    assert [row for _, row in read_fixes(tmp_path / "f.csv").rows] == [fix]
