"""What came out of reproducing the documents' systems: one row for each, as a table and as JSON.

`measured.json` beside this file holds what was measured last, and on which machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from striate.evaluation.metrics import wilson_interval
from striate.recipes.recipe import RECIPES

REHEARSAL = "A rehearsal (--quick)"
MEASURED = Path(__file__).parent / "measured.json"


@dataclass(frozen=True)
class Outcome:
    """What one system came to on the test part, over its seeds.

    Args:
        accuracies: Of each seed.
        count: Test pictures.
        seconds: Time of training and of validating between its epochs, as the number of epochs times their median,
            which a pause of the machine does not change; of several seeds, the median.
        steps: Mini-batches trained on.
        given: Settings that differ from Striate's own choice, as they were given.
    """

    accuracies: list[float]
    count: int
    seconds: float
    steps: int
    given: Mapping[str, Any]

    @property
    def accuracy(self) -> float:
        """The mean over the seeds."""
        return mean(self.accuracies)

    def __str__(self) -> str:
        """Return accuracy, interval and number of pictures in words."""
        low, high = self.interval
        seeds = f", mean of {len(self.accuracies)} seeds" if len(self.accuracies) > 1 else ""
        return f"{self.accuracy:.4f} (95 %: {low:.4f}–{high:.4f}{seeds}) of {self.count:,} in {self.seconds:,.0f} s"

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of one run with that accuracy."""
        return wilson_interval(round(self.accuracy * self.count), self.count)


@dataclass(frozen=True)
class Row:
    """One recipe: published, measured here as the document means it, ours.

    Args:
        recipe: Its name.
        data: What it ran on.
        published: The document's figure for held-out pictures, None where it gives none.
        document, ours: What came out.
        quick: Whether this was a rehearsal of one epoch on few pictures.
    """

    recipe: str
    data: str
    published: float | None
    document: Outcome
    ours: Outcome
    quick: bool

    @property
    def ratio(self) -> float:
        """How many times less time ours took."""
        return self.document.seconds / self.ours.seconds


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| recipe | data | published | as the document means it (95 %) | time | ours (95 %) | time | times faster |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        published = "none given" if row.published is None else f"{row.published:.4f}"
        cells = [f"`{row.recipe}`", row.data, published]
        for outcome in (row.document, row.ours):
            low, high = outcome.interval
            seeds = f", mean of {len(outcome.accuracies)}" if len(outcome.accuracies) > 1 else ""
            cells += [f"{outcome.accuracy:.4f} ({low:.4f}–{high:.4f}{seeds})", f"{outcome.seconds:,.0f} s"]
        lines.append(f"| {' | '.join([*cells, f'{row.ratio:.1f}'])} |")
    if any(row.quick for row in rows):
        lines.append(f"\n{REHEARSAL}: the accuracies and times of one epoch on few pictures mean nothing.")
    return "\n".join(lines)


def together(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """Return all rows in the order of the recipes, the new one where there are two of a recipe."""
    rows = {row.recipe: row for row in [*old, *new]}
    return [rows[name] for name in RECIPES if name in rows]


def as_json(rows: Iterable[Row], machine: Mapping[str, object]) -> dict[str, Any]:
    """Return the rows and the machine as plain JSON values."""
    return {"machine": dict(machine), "rows": [asdict(row) for row in rows]}


def from_json(content: Mapping[str, Any]) -> list[Row]:
    """Return the rows that `as_json` wrote."""
    return [
        Row(**{**row, "document": Outcome(**row["document"]), "ours": Outcome(**row["ours"])})
        for row in content["rows"]
    ]


def measured() -> tuple[dict[str, Row], str]:
    """Return the rows that were measured last, by recipe, and the machine in words."""
    content = json.loads(MEASURED.read_bytes())
    machine = content["machine"]
    threads = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    return (
        {row.recipe: row for row in from_json(content)},
        f"{machine['device_name']}, {machine['cores']} cores, {threads}, torch {machine['torch']}",
    )
