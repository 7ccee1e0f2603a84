"""Chapters on what was recorded and measured: their figures against other ways to them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from striate.cli.main import main
from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset
from striate.evaluation import evaluate
from striate.evaluation.evaluate import from_logits
from striate.explain.chapter import CHAPTERS
from striate.explain.chapters import write_chapter
from striate.explain.record.classes import hardest, recall_figure
from striate.explain.record.confusion import OUTCOMES, cells, confusion_figure
from striate.explain.record.data import findings
from striate.explain.record.settings import how_to_repeat
from striate.explain.report.matrix import gallery, shown_cells

from .subjects import untrained


@pytest.fixture
def mixed():
    """A subject with answers of every kind, of four classes, one of them without pictures."""
    classes = ("a", "b", "c", "never")
    spec = ImageSpec(channels=1, height=16, width=16, classes=classes, mean=(0.5,), std=(0.25,))
    subject = untrained(spec, count=90)
    generator = torch.Generator().manual_seed(5)
    labels = torch.randint(0, 3, (90,), generator=generator)
    logits = torch.randn(90, 4, generator=generator) + 2 * torch.nn.functional.one_hot(labels, 4)
    pictures = ImageDataset(subject.pictures.images, labels, classes, subject.pictures.names)
    return replace(subject, pictures=pictures, evaluation=from_logits(logits, labels, classes, "test"))


def test_cells_hold_the_pictures_of_the_confusion_matrix(mixed):
    result = mixed.evaluation
    counts = np.zeros((4, 4), dtype=int)
    for cell in cells(result):
        counts[cell.row, cell.column] = len(cell.numbers)
        assert bool((result.labels[cell.numbers] == cell.row).all())
        assert bool((result.predictions[cell.numbers] == cell.column).all())
        sure = mixed.confidences[cell.numbers].tolist()
        assert sure == sorted(sure, reverse=not cell.is_right)
    np.testing.assert_array_equal(counts, confusion_matrix(result.labels, result.predictions, labels=range(4)))


def test_of_label_sets_each_class_is_found_missed_or_added():
    spec = ImageSpec(channels=1, height=16, width=16, classes=("x", "y"), mean=(0.5,), std=(0.25,), multi_label=True)
    result = untrained(spec).evaluation
    truth, told = result.labels.numpy(), result.predictions.numpy()
    found = {(cell.row, OUTCOMES[cell.column]): sorted(cell.numbers.tolist()) for cell in cells(result)}
    for row in range(2):
        for name, flags in (
            ("found", truth[:, row] & told[:, row]),
            ("missed", truth[:, row] & ~told[:, row]),
            ("wrongly told", ~truth[:, row] & told[:, row]),
        ):
            assert found.get((row, name), []) == np.flatnonzero(flags).tolist()


def test_classes_agree_with_scikit_learn(mixed):
    result = mixed.evaluation
    chapter = write_chapter("classes", mixed, "full")
    expected = precision_recall_fscore_support(result.labels, result.predictions, labels=range(3), zero_division=0)
    for number, name in enumerate("abc"):
        told = chapter.values[name]
        assert [told["precision"], told["recall"], told["f1"]] == pytest.approx([of[number] for of in expected[:3]])
    recalls = [score.recall for score in hardest(result)]
    assert recalls == sorted(recalls)
    assert len(recalls) == 3
    assert chapter.warnings == ["No picture of never: nothing is known of it here."]


def test_summary_tells_the_interval_and_what_the_largest_class_would_reach(mixed):
    chapter = write_chapter("summary", mixed, "quick")
    result = mixed.evaluation
    low, high = result.interval
    assert f"{100 * low:.2f} %" in chapter.text[0]
    assert f"{100 * high:.2f} %" in chapter.text[0]
    share = torch.bincount(result.labels).max() / 90
    assert f"{100 * share:.2f} % of them" in chapter.text[-1]
    assert any("say little" in warning for warning in chapter.warnings)


def test_the_plan_gives_every_reason(digits_subject):
    chapter = write_chapter("plan", digits_subject, "quick")
    config = digits_subject.run.config
    told = {row[0]: row[2] for row in chapter.tables[1].rows}
    assert told == dict(config.reasons)
    assert "epochs = 2" in chapter.text[0]


def test_settings_tell_every_setting_and_where_it_comes_from(digits_subject):
    chapter = write_chapter("settings", digits_subject, "quick")
    config = digits_subject.run.config
    (rows,) = (table.rows for table in chapter.tables if table.caption == "All settings")
    origins = {row[0]: row[2] for row in rows}
    assert set(origins) == set(type(config.settings).model_fields)
    assert {key for key, origin in origins.items() if origin == "asked for"} == set(config.given)
    assert {key for key, origin in origins.items() if origin == "chosen"} == set(config.reasons) - set(config.given)


def test_the_command_that_repeats_a_run_gives_the_same_network(digits_subject, tmp_path, monkeypatch):
    import shlex

    monkeypatch.chdir(tmp_path)
    command = dict(how_to_repeat(digits_subject.run))["train it again"]
    words = shlex.split(command)
    assert words[0] == "striate"
    assert main(words[1:]) == 0
    again = tmp_path / "runs" / f"{digits_subject.run.path.name}-again"
    assert (again / "model.safetensors").read_bytes() == digits_subject.run.model_path.read_bytes()


def test_findings_of_a_run_are_told_the_worst_first(digits_subject, tmp_path):
    import shutil

    run = type(digits_subject.run).open(shutil.copytree(digits_subject.run.path, tmp_path / "r"))
    case = {"files": ["<a>.png", "b.png"], "detail": ""}
    found = [
        {"kind": "ignored", "level": "note", "summary": "two files", "remedy": "none", "cases": []},
        {"kind": "twice", "level": "falsifies", "summary": "seen twice", "remedy": "drop", "cases": [case] * 7},
    ]
    (run.path / "data-check.json").write_text(json.dumps(found))
    chapter = write_chapter("data", replace(digits_subject, run=run), "quick")
    assert [row[1] for row in chapter.tables[1].rows] == ["seen twice", "two files"]
    assert "<a>.png = b.png" in chapter.tables[1].rows[0][3]
    assert "and 2 more" in chapter.tables[1].rows[0][3]
    assert chapter.warnings == ["seen twice"]
    for damaged in ("{", "5", '[{"level": "odd"}]'):
        (run.path / "data-check.json").write_text(damaged)
        assert findings(run.path) is None
        assert write_chapter("data", replace(digits_subject, run=run), "quick").text


def test_calibration_gives_the_figures_of_the_evaluation(digits_subject):
    chapter = write_chapter("calibration", digits_subject, "quick")
    result = digits_subject.evaluation
    assert chapter.values["before"]["ece"] == result.before.ece
    assert f"{100 * (result.after or result.before).ece:.2f} %" in chapter.text[0]


@pytest.mark.parametrize("count", [2, 20, 21, 41, 120])
def test_figures_of_many_classes_have_nothing_beyond_their_edge(count):
    from striate.explain.report.images import drawn

    names = [f"$class {number} with a name that is long" for number in range(count)]
    counts = torch.randint(0, 9, (count, count), generator=torch.Generator().manual_seed(1))
    figure = confusion_figure(counts, names, "A title <b> of $some$ length: 10,000 pictures of the test part")
    drawn(figure)
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height


def test_a_recall_figure_keeps_to_its_width(mixed):
    from striate.explain.report.images import drawn

    scores = [replace(score, name=score.name * 100) for score in hardest(mixed.evaluation)]
    image = drawn(recall_figure(scores, "Recall"))
    assert image.width == 6.4 * 150


def test_pictures_it_was_trained_on_say_nothing_of_others(digits_subject, mixed):
    others = "statement about others"
    fresh = write_chapter("summary", digits_subject, "quick")
    assert others in fresh.text[0]
    assert not any("trained on" in warning for warning in fresh.warnings)
    train = digits_subject.train
    result = evaluate(digits_subject.model, train, digits_subject.spec, "all")
    seen = write_chapter("summary", replace(digits_subject, pictures=train, evaluation=result), "quick")
    assert others not in seen.text[0]
    assert f"{len(train):,} of {len(train):,} pictures are, pixel for pixel, ones" in seen.warnings[0]
    part = write_chapter("summary", replace(mixed, evaluation=replace(mixed.evaluation, part="train")), "quick")
    assert others not in part.text[0]
    assert "of new ones this says little" in part.warnings[0]
    assert "cannot be known" in write_chapter("summary", mixed, "quick").warnings[0]


def test_pictures_of_each_class_are_counted_in_every_part(digits_subject):
    splits = digits_subject.run.open_data(digits_subject.run.config.settings)
    chapter = write_chapter("data", replace(digits_subject, parts=splits.parts()), "quick")
    table = chapter.tables[0]
    assert list(table.columns) == ["class", *splits.parts()]
    for column, part in enumerate(splits.parts().values(), start=1):
        assert int(table.rows[0][column].replace(",", "")) == len(part)
        assert [int(row[column]) for row in table.rows[1:]] == np.bincount(part.labels.numpy(), minlength=10).tolist()


def transferred(subject, folder, kept):
    """Return the subject of a run whose folder says that it was fine-tuned for two epochs, and what was kept."""
    import shutil

    run = type(subject.run).open(shutil.copytree(subject.run.path, folder / "tuned"))
    figures = {"accuracy": 0.9, "loss": 0.3, "count": 50}
    record = {"body_sha256": "x", "head": figures, "fine_tuned": {**figures, "accuracy": 0.8}, "kept": kept}
    (run.path / "transfer.json").write_text(json.dumps(record))
    lines = run.metrics()
    head = {**lines[0], "epoch": 0, "step": 0}
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [head, *lines]))
    return replace(subject, run=run)


def test_fine_tuning_that_was_not_kept_is_said_wherever_epochs_are(digits_subject, tmp_path):
    subject = transferred(digits_subject, tmp_path, "head")
    for name in ("summary", "plan", "learning"):
        text = " ".join(write_chapter(name, subject, "quick").text)
        assert "2 epochs" in text, name
        assert "3 epochs" not in text, name
        assert "accuracy 0.8000 after 0.9000" in text, name
        assert "not kept" in text, name


def test_fine_tuning_that_was_kept_is_not_called_lost(digits_subject, tmp_path):
    subject = transferred(digits_subject, tmp_path, "fine-tuned")
    for name in ("summary", "plan", "learning"):
        text = " ".join(write_chapter(name, subject, "quick").text)
        assert "2 epochs" in text, name
        assert "not kept" not in text, name


@pytest.mark.parametrize(("count", "numbers", "names"), [(5, True, False), (30, False, False), (200, False, True)])
def test_the_caption_of_a_matrix_promises_what_is_drawn(count, numbers, names):
    spec = ImageSpec(
        channels=1, height=8, width=8, classes=tuple(f"c{n}" for n in range(count)), mean=(0.5,), std=(0.5,)
    )
    (plate,) = CHAPTERS["confusion"](untrained(spec), "quick").plates
    assert ("the number how many" in plate.caption) == numbers
    assert ("from 0 (c0) to 199 (c199)" in plate.caption) == names
    texts = [text.get_text() for text in plate.figure.axes[0].texts]
    assert bool(texts) == numbers


def test_of_many_classes_some_cells_are_shown_and_their_number_is_told():
    classes = tuple(f"c{n}" for n in range(200))
    spec = ImageSpec(channels=1, height=8, width=8, classes=classes, mean=(0.5,), std=(0.5,))
    subject = untrained(spec, count=200)
    assert len(cells(subject.evaluation)) > 40
    assert len(shown_cells(subject)) <= 40
    assert f"of the {len(cells(subject.evaluation))} cells with pictures" in gallery(subject, "full")
