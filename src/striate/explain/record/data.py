"""Chapter: the data, and what the check of them found before training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from striate.data.audit.finding import LEVELS
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate, Table
from striate.explain.first_batch import NAME
from striate.explain.subject import Subject

CHECK = "data-check.json"
MOST_CASES, MOST_CLASSES = 5, 60
MEANING = {
    "error": "keeps from training",
    "falsifies": "makes the figures wrong",
    "warning": "worth a look",
    "note": "good to know",
}


@CHAPTERS.register("data")
def data(subject: Subject, effort: Effort) -> Chapter:
    """Return how many pictures of each class there are, what the check found, and what the network saw first."""
    found = findings(subject.run.path) if subject.run is not None else None
    tables, text, warnings = [_counts(subject)], [], []
    if found is None:
        text.append("What a check of the training data found is not known here: there is no readable data-check.json.")
    elif not found:
        text.append("The check before training found nothing to tell.")
    else:
        text.append("Before training the data were checked; this is what was found, the worst first.")
        tables.append(_table(found))
        warnings = [finding["summary"] for finding in found if finding["level"] in ("error", "falsifies")]
    if subject.run is not None:
        text.insert(0, f"The data are {subject.run.config.data}.")
    values: dict[str, Any] = {
        "findings": [{key: finding[key] for key in ("kind", "level", "summary")} for finding in found or ()]
    }
    return Chapter("data", "The data, and their check", text, _first_batch(subject), tables, values, warnings)


def findings(run: Path) -> list[dict[str, Any]] | None:
    """Return what the check of a run's data found, the worst first; None where the file is missing or damaged."""
    try:
        found = json.loads((run / CHECK).read_bytes())
        return sorted(found, key=lambda finding: LEVELS.index(finding["level"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _table(found: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [MEANING[finding["level"]], finding["summary"], finding["remedy"], _cases(finding["cases"])]
        for finding in found
    ]
    return Table(["level", "finding", "remedy", "cases"], rows, "Findings; all cases are in data-check.json")


def _cases(cases: Sequence[Mapping[str, Any]]) -> str:
    texts = [" = ".join(case["files"]) or case["detail"] for case in cases[:MOST_CASES]]
    more = f" and {len(cases) - MOST_CASES:,} more" if len(cases) > MOST_CASES else ""
    return "; ".join(texts) + more


def _counts(subject: Subject) -> Table:
    own = subject.parts or ({} if subject.train is None else {"train": subject.train})
    # of a run that held nothing out only some of the training pictures are measured
    parts = (
        {**own} if own.get(subject.evaluation.part) is not None else {**own, subject.evaluation.part: subject.pictures}
    )
    counts = {part: pictures.class_counts() for part, pictures in parts.items()}
    rows = [["all", *(f"{len(pictures):,}" for pictures in parts.values())]]
    rows += [
        [name, *(f"{column[number]:,}" for column in counts.values())]
        for number, name in enumerate(subject.classes[:MOST_CLASSES])
    ]
    more = f", the first {MOST_CLASSES} of {len(subject.classes):,}" if len(subject.classes) > MOST_CLASSES else ""
    return Table(["class", *parts], rows, f"Pictures of each class{more}")


def _first_batch(subject: Subject) -> list[Plate]:
    """Return the sheet of the first batch, which every training draws, under a title."""
    file = subject.run and subject.run.path / "figures" / NAME
    if not file or not file.is_file():
        return []
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB"))
    except OSError:
        return []
    height, width, _ = pixels.shape
    dpi, head = 150, 60
    figure = Figure(figsize=(width / dpi, (height + head) / dpi), dpi=dpi)
    figure.text(0.5, 1 - 0.55 * head / (height + head), "The first pictures of training", ha="center", fontsize=10)
    figure.figimage(pixels, 0, 0)
    caption = "What the network saw first: cropped, moved, mixed and brought to size as in training, with the labels."
    return [Plate("data-first-batch", figure, caption, "Sheet of the first pictures of training with their labels.")]
