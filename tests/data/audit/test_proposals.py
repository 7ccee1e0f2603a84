"""What the check proposes to do: one row for a picture, and of every copied picture one copy stays."""

from __future__ import annotations

from striate.data.audit.finding import Case, Finding
from striate.data.audit.proposals import proposed_fixes
from striate.data.dataset import FileRecord

FILES = [
    FileRecord("train/a", "train", "cat", "used"),
    FileRecord("train/b", "train", "cat", "used"),
    FileRecord("train/c", "train", "dog", "used"),
    FileRecord("val/a", "val", "cat", "used"),
    FileRecord("test/a", "test", "cat", "used"),
    FileRecord("test/b", "test", "dog", "used"),
    FileRecord("broken", "train", "dog", "skipped", "empty file"),
]


def proposed(**cases: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    findings = [Finding(kind.replace("_", "-"), "note", "", "", [Case(names)]) for kind, names in cases.items()]
    return {fix.path: (fix.action, fix.label) for fix in proposed_fixes(findings, FILES)}


def test_unreadable_and_blank_pictures_go() -> None:
    assert proposed(unreadable=("broken",), blank=("train/a",)) == {
        "broken": ("exclude", ""),
        "train/a": ("exclude", ""),
    }


def test_of_copies_in_several_parts_the_one_for_the_test_stays() -> None:
    found = proposed(duplicates_across_parts=("train/a", "train/b", "val/a", "test/a"))
    assert set(found) == {"train/a", "train/b", "val/a"}
    assert set(proposed(near_duplicates_across_parts=("train/a", "val/a"))) == {"train/a"}


def test_of_copies_under_two_classes_one_of_the_majority_stays() -> None:
    assert set(proposed(duplicates_across_classes=("train/a", "train/b", "train/c"))) == {"train/b", "train/c"}


def test_without_a_majority_all_copies_go() -> None:
    assert set(proposed(duplicates_across_classes=("train/a", "train/c"))) == {"train/a", "train/c"}


def test_a_suspected_label_decides_between_two_classes() -> None:
    findings = [
        Finding("duplicates-across-classes", "falsifies", "", "", [Case(("train/a", "train/c"))]),
        Finding("suspected-labels", "warning", "", "", [Case(("train/c",), "dog → cat, 97 %", "cat")]),
    ]
    assert {fix.path: fix.action for fix in proposed_fixes(findings, FILES)} == {"train/c": "exclude"}


def test_a_picture_in_two_findings_gets_one_row() -> None:
    names = ("train/c", "test/a")
    found = proposed(duplicates_across_classes=names, duplicates_across_parts=names)
    assert set(found) == set(names)


def test_suspected_labels_are_replaced_unless_the_picture_goes() -> None:
    cases = [Case(("train/a",), "cat → dog, 97 %", "dog"), Case(("train/b",), "cat → dog, 80 %", "dog")]
    findings = [
        Finding("suspected-labels", "warning", "", "", cases),
        Finding("blank", "warning", "", "", [Case(("train/b",))]),
    ]
    rows = {fix.path: fix for fix in proposed_fixes(findings, FILES)}
    assert (rows["train/a"].action, rows["train/a"].label) == ("relabel", "dog")
    assert "97 %" in rows["train/a"].reason
    assert rows["train/b"].action == "exclude"


def test_duplicates_in_one_part_and_notes_need_nothing() -> None:
    assert proposed(duplicates=("train/a", "train/b"), dark=("train/a",)) == {}
