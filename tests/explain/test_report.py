"""The page of a report: whole, without anything from elsewhere, and what an earlier one has is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from striate.core.errors import SettingsError
from striate.core.spec import ImageSpec
from striate.explain.chapter import Chapter, Table
from striate.explain.record.confusion import cells
from striate.explain.report.making import make
from striate.explain.report.page import NAME, Page, kept_sections, write_page
from striate.explain.report.section import section, table

from .page_reader import PageReader, check_page
from .subjects import untrained

RECORD = ["summary", "confusion", "classes", "calibration", "data", "settings"]
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "\"><a href='http://elsewhere.example/'>",
    "$\\frac{1}{2}$ & 'so'",
    "שלום‏ עולם",
    "\u202egnp.tac",
    "👩‍🔬 🐈",
    "x" * 300,
    "odd \udcff byte",
    "<!--end-->",
)


def spec_of(classes: tuple[str, ...], multi_label: bool = False, side: int = 12) -> ImageSpec:
    return ImageSpec(
        channels=3, height=side, width=side, classes=classes, mean=(0.5,) * 3, std=(0.25,) * 3, multi_label=multi_label
    )


def report(subject, folder: Path, names=RECORD) -> str:
    page = Page(subject)
    for name in names:
        page.sections[name] = make(subject, name, "quick", for_report_alone=True).section
    write_page(page, folder / NAME, folder)
    return (folder / NAME).read_text(encoding="utf-8")


def test_a_report_holds_all_it_shows(digits_subject, tmp_path):
    page = report(digits_subject, tmp_path, ["plan", *RECORD])
    reader = check_page(page)
    assert "Of 359 pictures of the test part" in reader.text
    assert len(page.encode()) < 300_000
    assert {"summary", "plan", "confusion", "settings"} <= set(reader.ids)
    assert [link["href"] for link in reader.of("a")][:3] == ["#summary", "#plan", "#confusion"], "contents first"


def test_every_mistake_and_right_answer_is_reached_from_its_cell(digits_subject, tmp_path):
    reader = check_page(report(digits_subject, tmp_path))
    there = {f"#confusion-{cell.row}-{cell.column}" for cell in cells(digits_subject.evaluation)}
    assert there <= {link["href"] for link in reader.of("a")}
    counted = digits_subject.evaluation.confusion
    assert len(there) == int((counted > 0).sum())


@pytest.mark.parametrize("multi_label", [False, True])
def test_names_are_shown_literally(tmp_path, multi_label):
    subject = untrained(spec_of(HOSTILE, multi_label))
    pictures = replace(subject.pictures, names=[HOSTILE[n % len(HOSTILE)] for n in range(len(subject.pictures))])
    page = report(replace(subject, pictures=pictures), tmp_path)
    reader = check_page(page)
    for name in HOSTILE[:5]:
        assert name in reader.text
    assert "\u202e" not in page
    assert "alert(1)>" not in page


def test_many_classes_lead_to_their_pictures_too(tmp_path):
    subject = untrained(spec_of(tuple(f"class {n}" for n in range(200))), count=230)
    page = report(subject, tmp_path, ["summary", "confusion", "classes"])
    reader = check_page(page)
    assert any(name.startswith("confusion-") and name[10:11].isdigit() for name in reader.ids)
    assert len(page.encode()) < 1_500_000


def test_one_picture_is_a_report(tmp_path):
    subject = untrained(spec_of(("a", "b")), count=1)
    reader = check_page(report(subject, tmp_path))
    assert "Of 1 picture" in reader.text
    assert "say little" in reader.text


def test_sections_made_before_stay_and_are_replaced_by_new_ones(digits_subject, tmp_path):
    first = report(digits_subject, tmp_path, ["summary", "classes"])
    second = report(digits_subject, tmp_path, ["calibration"])
    assert {"summary", "classes", "calibration"} <= set(check_page(second).ids)
    page = Page(digits_subject)
    page.sections["classes"] = section(Chapter("classes", "New", ["anew"]), {}, digits_subject, "quick")
    write_page(page, tmp_path / NAME, tmp_path)
    third = check_page((tmp_path / NAME).read_text())
    assert "anew" in third.text
    assert third.ids.count("classes") == 1
    kept = kept_sections(tmp_path / NAME, digits_subject)
    assert kept["summary"] in first
    assert list(tmp_path.iterdir()) == [tmp_path / NAME], "written at once"


def test_sections_of_another_network_or_other_pictures_do_not_stay(digits_subject, tmp_path):
    report(digits_subject, tmp_path, ["summary"])
    other = untrained(digits_subject.spec)
    assert kept_sections(tmp_path / NAME, other) == {}
    ids = check_page(report(other, tmp_path, ["classes"])).ids
    assert "summary" not in ids
    (tmp_path / NAME).write_bytes(b"\xff not a page")
    assert kept_sections(tmp_path / NAME, other) == {}


def test_what_is_not_there_is_named_with_its_reason_and_command(digits_subject, tmp_path):
    page = Page(digits_subject)
    page.sections["summary"] = make(digits_subject, "summary", "quick").section
    page.refused["calibration"] = SettingsError("too <few> pictures", where="here", fix="give more")
    write_page(page, tmp_path / NAME, tmp_path / "my run")
    text = check_page((tmp_path / NAME).read_text()).text
    assert "too <few> pictures: here" in text
    assert "give more" in text
    assert "--only calibration" not in text, "it would be refused again"
    assert f"striate explain '{tmp_path}/my run' --only plan" in text
    assert "there was no time for it after training" in text


def test_what_was_not_asked_for_is_said_so_with_a_command_of_the_same_pictures(digits_subject, tmp_path):
    page = Page(digits_subject, asked=["plan"], pictures=["a b.png"], options=["--part", "val"])
    write_page(page, tmp_path / NAME, "run")
    text = check_page((tmp_path / NAME).read_text()).text
    assert "no time" not in text
    assert "it was not asked for" in text
    assert "this explanation ended before it" in text
    assert "striate explain run 'a b.png' --only summary --part val" in text


def test_tables_set_numbers_to_the_right_and_commands_as_such():
    made = table(Table(["what", "share", "command"], [["a", "92.4 % (91–93)", "ls <x>"], ["b", "n/a", "cat"]], "C"))
    reader = PageReader(made)
    assert [cell.get("class") for cell in reader.of("td")] == ["n", None, "n", None]
    assert len(reader.of("code")) == 2
    assert "92.4\N{NO-BREAK SPACE}%" in reader.text
    assert "ls <x>" in reader.text


def test_a_report_leaves_the_network_as_it_is(digits_subject, tmp_path):
    before = {name: tensor.clone() for name, tensor in digits_subject.model.state_dict().items()}
    report(digits_subject, tmp_path)
    for name, tensor in digits_subject.model.state_dict().items():
        assert torch.equal(tensor, before[name])
