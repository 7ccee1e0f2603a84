"""Comparing runs: which pictures count, how classes are told apart, and the figures, counted by hand."""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score, recall_score

from striate.core.errors import DataError, ModelFileError, SettingsError
from striate.data.dataset import FileRecord
from striate.deploy.compare import compare

from .measured_run import rows_of, write_run

RIGHT, WRONG = True, False


def two_runs(tmp_path: Path, first: list[bool], second: list[bool], **options: object) -> list[Path]:
    return [
        write_run(tmp_path / name, {"test": rows_of(right)}, **options)
        for name, right in (("first", first), ("second", second))
    ]


def test_pictures_that_flipped_are_listed_and_counted(tmp_path: Path) -> None:
    first = [RIGHT] * 12 + [WRONG, WRONG] + [RIGHT] * 6
    second = [WRONG] * 9 + [RIGHT] * 3 + [RIGHT, WRONG] + [RIGHT] * 6
    comparison = compare(two_runs(tmp_path, first, second))
    (pair,) = comparison.pairs
    assert (comparison.part, comparison.count) == ("test", 20)
    assert [run.correct for run in comparison.runs] == [18, 10]
    assert (pair.lost, pair.gained, pair.difference) == (9, 1, -8 / 20)
    assert [flip.name for flip in pair.flips if not flip.gained] == [f"cat/{n}.png" for n in range(9)]
    (gained,) = (flip for flip in pair.flips if flip.gained)
    assert (gained.name, gained.label, gained.before, gained.after) == ("cat/12.png", "cat", "dog", "cat")
    assert pair.p == pair.p_holm == pytest.approx(binomtest(1, 10).pvalue)
    assert pair.distinguishable
    assert pair.interval[0] < pair.difference < pair.interval[1] < 0
    assert comparison.notes == []


def test_the_runs_in_the_other_order_give_the_same_with_the_opposite_sign(tmp_path: Path) -> None:
    runs = two_runs(tmp_path, [RIGHT] * 15 + [WRONG] * 5, [WRONG] * 4 + [RIGHT] * 16)
    (there,), (back,) = compare(runs).pairs, compare(runs[::-1]).pairs
    assert (there.lost, there.gained, there.difference) == (back.gained, back.lost, -back.difference)
    assert there.p == back.p
    assert there.interval == pytest.approx([-back.interval[1], -back.interval[0]])
    assert there.needed == back.needed


def test_a_small_difference_is_not_told_from_chance_and_says_how_many_pictures_would(tmp_path: Path) -> None:
    (pair,) = compare(two_runs(tmp_path, [RIGHT] * 100, [WRONG] * 3 + [RIGHT] * 97)).pairs
    assert not pair.distinguishable
    assert pair.p == pytest.approx(2 / 2**3)
    assert pair.needed is not None
    assert pair.needed > 100
    (equal,) = compare(two_runs(tmp_path / "equal", [RIGHT] * 9, [RIGHT] * 9)).pairs
    assert (equal.p, equal.needed, equal.flips) == (1.0, None, [])


def test_several_runs_are_each_compared_with_the_first_and_corrected(tmp_path: Path) -> None:
    patterns = {"a": [RIGHT] * 30, "b": [WRONG] * 6 + [RIGHT] * 24, "c": [WRONG] * 10 + [RIGHT] * 20}
    comparison = compare(write_run(tmp_path / name, {"test": rows_of(p)}) for name, p in patterns.items())
    b, c = comparison.pairs
    assert [pair.name for pair in (b, c)] == ["b", "c"]
    assert (b.p, c.p) == (2 / 2**6, 2 / 2**10)
    assert (b.p_holm, c.p_holm) == (2 / 2**6, 2 * 2 / 2**10)


def test_scores_of_each_class_are_scikit_learns(tmp_path: Path) -> None:
    rng = random.Random(3)
    classes = ["ant", "bee", "cow"]
    truth = [rng.choice(classes) for _ in range(80)]
    said = [[rng.choice([label, *classes]) for label in truth] for _ in range(2)]
    runs = [
        write_run(
            tmp_path / str(number),
            {"test": [(str(n), a, b, str(n)) for n, (a, b) in enumerate(zip(truth, of_run, strict=True))]},
            classes=classes,
        )
        for number, of_run in enumerate(said)
    ]
    for run, of_run in zip(compare(runs).runs, said, strict=True):
        assert [score.recall for score in run.per_class] == pytest.approx(
            list(recall_score(truth, of_run, labels=classes, average=None))
        )
        assert [score.f1 for score in run.per_class] == pytest.approx(
            list(f1_score(truth, of_run, labels=classes, average=None))
        )


def test_only_shared_pictures_count_and_the_denominators_are_told(tmp_path: Path) -> None:
    rows = rows_of([RIGHT] * 10)
    first = write_run(tmp_path / "first", {"test": rows})
    second = write_run(tmp_path / "second", {"test": rows[4:] + rows_of([WRONG] * 3, label="dog", wrong="cat")})
    comparison = compare([first, second])
    assert comparison.count == 6
    assert [run.correct for run in comparison.runs] == [6, 6]
    assert [run.pictures["test"] for run in comparison.runs] == [10, 9]
    (note,) = comparison.notes
    assert "6 test pictures that all runs share (10 of first, 9 of second)" in note


def test_moved_replaced_and_relabelled_pictures_are_told(tmp_path: Path) -> None:
    rows = rows_of([RIGHT] * 10)
    moved = [(f"elsewhere/{path}", *rest) for path, *rest in rows[:3]]
    replaced = [(path, label, said, "other pixels") for path, label, said, _ in rows[3:5]]
    relabelled = [(path, "dog", said, pixels) for path, _, said, pixels in rows[5:6]]
    first = write_run(tmp_path / "first", {"test": rows})
    second = write_run(tmp_path / "second", {"test": moved + replaced + relabelled + rows[6:]})
    comparison = compare([first, second])
    assert comparison.count == 10 - 2 - 1
    told = "\n".join(comparison.notes)
    assert "3 pictures have another name in second" in told
    assert "2 left out, of which second has other pixels under the same name: cat/3.png" in told
    assert "1 left out, of which the runs have different labels: cat/5.png (cat, dog)" in told


def test_pictures_shown_in_another_form_are_matched_by_name_and_that_is_told(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", {"test": rows_of([RIGHT] * 5)}, side=16)
    rows = [(path, label, said, f"larger {pixels}") for path, label, said, pixels in rows_of([RIGHT] * 5)]
    second = write_run(tmp_path / "second", {"test": rows}, side=32)
    comparison = compare([first, second])
    assert comparison.count == 5
    assert "matched by name alone" in comparison.notes[0]


def test_nothing_in_common_is_a_data_error(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", {"test": rows_of([RIGHT] * 5)})
    second = write_run(tmp_path / "second", {"test": rows_of([RIGHT] * 5, label="dog", wrong="cat")})
    with pytest.raises(DataError, match="no test picture") as caught:
        compare([first, second])
    assert caught.value.exit_code == 3
    assert "first, second" in str(caught.value)
    assert caught.value.fix


def test_the_part_is_one_that_all_runs_have(tmp_path: Path) -> None:
    both = write_run(tmp_path / "both", {"val": rows_of([RIGHT] * 4), "test": rows_of([RIGHT] * 6)})
    other = write_run(tmp_path / "other", {"val": rows_of([RIGHT] * 4), "test": rows_of([WRONG] * 6)})
    val = write_run(tmp_path / "val", {"val": rows_of([WRONG] * 4)})
    test = write_run(tmp_path / "test", {"test": rows_of([WRONG] * 6)})
    assert compare([both, other]).part == "test"
    assert compare([both, other], "val").count == 4
    assert compare([both, val]).part == "val"
    with pytest.raises(SettingsError, match=r"no part 'test'.*both: test, val; val: val"):
        compare([both, val], "test")
    with pytest.raises(SettingsError, match="different parts"):
        compare([val, test])


def test_classes_are_matched_by_name_and_those_of_one_run_alone_are_told(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", {"test": rows_of([RIGHT] * 6)}, classes=["cat", "dog"])
    second = write_run(tmp_path / "second", {"test": rows_of([RIGHT] * 6, wrong="eel")}, classes=["eel", "dog", "cat"])
    comparison = compare([first, second])
    assert [run.correct for run in comparison.runs] == [6, 6]
    assert [score.name for score in comparison.runs[0].per_class] == ["cat", "dog", "eel"]
    assert comparison.notes == ["first does not know eel"]


def test_label_sets_are_compared_in_the_classes_that_all_runs_know(tmp_path: Path) -> None:
    rows = [("0", "hat|tie", "hat|tie", "0"), ("1", "tie", "hat|tie", "1"), ("2", "", "", "2"), ("3", "hat", "", "3")]
    fewer = [("0", "hat", "hat", "0"), ("1", "", "", "1"), ("2", "", "hat", "2"), ("3", "hat", "", "3")]
    first = write_run(tmp_path / "first", {"test": rows}, classes=["hat", "tie"], multi_label=True)
    whole = compare([first, write_run(tmp_path / "again", {"test": rows}, classes=["hat", "tie"], multi_label=True)])
    assert [run.correct for run in whole.runs] == [2, 2]
    second = write_run(tmp_path / "second", {"test": fewer}, classes=["hat"], multi_label=True)
    comparison = compare([first, second])
    assert [run.correct for run in comparison.runs] == [2, 2]
    assert [(flip.name, flip.label, flip.before, flip.after) for flip in comparison.pairs[0].flips] == [
        ("1", "", "hat", ""),
        ("2", "", "", "hat"),
    ]
    assert "compared are the classes that all runs know: hat" in comparison.notes
    other = write_run(tmp_path / "other", {"test": fewer}, classes=["shoe"], multi_label=True)
    with pytest.raises(DataError, match="no class in common"):
        compare([second, other])
    with pytest.raises(DataError, match="any number of classes"):
        compare([first, write_run(tmp_path / "one", {"test": rows_of([RIGHT])})])


def test_settings_that_differ_are_told_and_no_others(tmp_path: Path) -> None:
    first, second = (
        write_run(tmp_path / name, {"test": rows_of([RIGHT] * 3)}, lr=lr, seed=seed, device=device)
        for name, lr, seed, device in (("first", 0.1, 1, "cpu"), ("second", 0.2, 1, "auto"))
    )
    comparison = compare([first, second])
    assert comparison.settings == {"lr": [0.1, 0.2]}
    assert [(run.epochs, run.seconds, run.pictures) for run in comparison.runs] == [
        (2, 7.5, {"train": 5, "test": 3})
    ] * 2


def test_the_time_is_the_whole_commands_and_of_an_older_run_that_of_its_epochs(tmp_path: Path) -> None:
    whole = write_run(tmp_path / "whole", {"test": rows_of([RIGHT])}, seconds=9.25)
    older = write_run(tmp_path / "older", {"test": rows_of([RIGHT])}, seconds=None)
    runs = compare([whole, older]).runs
    assert [(run.seconds, run.epoch_seconds) for run in runs] == [(9.25, 3.0), (None, 3.0)]


def test_what_a_head_alone_does_not_read_is_no_value_and_what_is_usual_is_left_out(tmp_path: Path) -> None:
    scratch = write_run(tmp_path / "scratch", {"test": rows_of([RIGHT])}, lr=0.1, optimizer="sgd", pretrained="none")
    head = write_run(
        tmp_path / "head", {"test": rows_of([RIGHT])}, epochs=None, lr=2e-4, optimizer="adamw", pretrained="lite0",
        model="efficientnet-lite0", rotate=5.0, balance="none",
    )  # fmt: skip
    comparison = compare([scratch, head])
    assert comparison.settings["lr"] == [0.1, None]
    assert comparison.settings["optimizer"] == ["sgd", None]
    assert comparison.settings["balance"] == [None, "none"], "which both read"
    assert not comparison.settings.keys() & {"momentum", "rotate", "bias_lr", "cutmix"}, "nobody has chosen these"
    first, second = comparison.runs
    assert (first.pretrained, first.head_alone, first.epochs) == (None, False, 2)
    assert (second.pretrained, second.head_alone) == ("lite0", True)
    tuned = write_run(tmp_path / "tuned", {"test": rows_of([RIGHT])}, lr=2e-4, pretrained="lite0", rotate=5.0)
    (tuned / "transfer.json").write_text('{"kept": "head"}')
    assert [run.ends_with_head for run in compare([head, tuned]).runs] == [False, True]
    (tuned / "transfer.json").write_text("[")
    assert not compare([head, tuned]).runs[1].ends_with_head
    settings = compare([head, tuned]).settings
    assert (settings["lr"], settings["rotate"], settings["epochs"]) == ([None, 2e-4], [None, 5.0], [None, 2])


def ledger(labels: Sequence[str]) -> list[FileRecord]:
    """Return the ledger of 5 training pictures, as many as a written run has hashes of, and one of the test part."""
    parts = [*["train"] * 5, "test"]
    names = [f"{n}.png" for n in range(6)]
    return [
        FileRecord(name, part, label, "used" if label == "cat" else "fixed")
        for name, part, label in zip(names, parts, labels, strict=True)
    ]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"labels": ["cat"] * 6}, "the same pictures, divided in the same way"),
        ({"labels": ["cat"] * 6, "side": 32}, "the same 6 pictures, read at 16 × 16 and 32 × 32 pixels"),
        ({"labels": ["dog", *["cat"] * 5]}, "the same 6 pictures, 1 of them with another label"),
        ({"labels": ["cat"] * 6, "tested": "3.png"}, "the same 6 pictures, divided in another way"),
        ({"labels": ["cat"] * 6, "renamed": "new.png"}, "5 pictures in both, 1 in first alone and 1 in second alone"),
    ],
)
def test_data_are_compared_by_the_pictures_that_were_given(tmp_path: Path, other: dict[str, Any], said: str) -> None:
    row = ("5.png", "cat", "cat", "p5")
    first = write_run(tmp_path / "first", {"test": [row]}, files=ledger(["cat"] * 6))
    files = ledger(other["labels"])
    if "renamed" in other:
        files[0] = files[0]._replace(path=other["renamed"])
    rows = [row] if "tested" not in other else [(other["tested"], "cat", "cat", "p5")]
    second = write_run(tmp_path / "second", {"test": rows}, files=files, side=other.get("side", 16))
    (pair,) = compare([first, second]).pairs
    assert pair.data == said


def test_a_named_data_set_is_compared_by_its_name_and_number(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", {"test": rows_of([RIGHT] * 4)}, data="digits", side=8)
    larger = write_run(tmp_path / "larger", {"test": rows_of([RIGHT] * 4)}, data="digits", side=16)
    fewer = write_run(tmp_path / "fewer", {"test": rows_of([RIGHT] * 3)}, data="digits", side=8)
    other = write_run(tmp_path / "other", {"test": rows_of([RIGHT] * 4)}, data="letters", side=8)
    said = [pair.data for pair in compare([first, larger, fewer, other]).pairs]
    assert said == [
        "the same 9 pictures, read at 8 × 8 and 16 × 16 pixels",
        "the same data, 9 pictures of them and 8",
        "other data",
    ]


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"seed": 3}, "another --seed (0, 3) holds other pictures out"), ({"test_share": 0.3}, "--test-share differs")],
)
def test_why_few_pictures_are_shared_is_told_with_the_remedy(tmp_path: Path, options, reason: str) -> None:
    rows = rows_of([RIGHT] * 6)
    first = write_run(tmp_path / "first", {"test": rows[:4]})
    second = write_run(tmp_path / "second", {"test": rows[3:]}, **options)
    comparison = compare([first, second])
    assert (comparison.count, comparison.counts) == (1, [4, 3])
    (note,) = comparison.notes
    assert "the 1 test picture that all runs share (4 of first, 3 of second): " + reason in note
    assert "striate evaluate RUN DATA" in note
    third = write_run(tmp_path / "third", {"test": rows[4:]}, **options)
    with pytest.raises(DataError, match=re.escape(reason)) as caught:
        compare([first, third])
    assert "striate evaluate RUN DATA" in caught.value.fix


def test_runs_that_cannot_be_compared_are_refused_by_name(tmp_path: Path) -> None:
    first, second = two_runs(tmp_path, [RIGHT] * 3, [RIGHT] * 3)
    for runs in ([first], [first, first], [first, tmp_path / "second" / ".." / "first"]):
        with pytest.raises(SettingsError, match="two or more"):
            compare(runs)
    with pytest.raises(SettingsError, match="not a run folder"):
        compare([first, tmp_path])
    (second / "model.safetensors").unlink()
    with pytest.raises(ModelFileError, match="not finished") as caught:
        compare([first, second])
    assert f"--resume {second}" in caught.value.fix


@pytest.mark.parametrize("damage", ["gone", "cut off", "no column", "not text"])
def test_a_damaged_table_of_predictions_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    first, second = two_runs(tmp_path, [RIGHT] * 3, [RIGHT] * 3)
    file = second / "predictions.csv"
    whole = file.read_text()
    if damage == "gone":
        file.unlink()
    else:
        damaged = {
            "cut off": whole[: -len("cat,cat,cat2\r\n")],
            "no column": "path,part\r\na,test\r\n",
            "not text": "\0",
        }
        file.write_text(damaged[damage])
    with pytest.raises(ModelFileError, match=r"second/predictions\.csv") as caught:
        compare([first, second])
    assert caught.value.exit_code == 4
    assert caught.value.fix


def test_odd_bytes_in_names_survive(tmp_path: Path) -> None:
    rows = [("caf\udce9.png", "cat", "cat", "0"), ('quo"te,\n.png', "cat", "cat", "1")]
    first = write_run(tmp_path / "first", {"test": rows})
    second = write_run(tmp_path / "second", {"test": [(path, "cat", "dog", pixels) for path, _, _, pixels in rows]})
    (pair,) = compare([first, second]).pairs
    assert [flip.name for flip in pair.flips] == [path for path, *_ in rows]
    with open(first / "predictions.csv", newline="", encoding="utf-8", errors="surrogateescape") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [path for path, *_ in rows]
