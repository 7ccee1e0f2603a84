"""Finding: one kind of thing that the check of a data set has found, with every case of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Level = Literal["error", "falsifies", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "falsifies", "warning", "note")  # the worst first


class Case(NamedTuple):
    """One case: the files it concerns (none where it is about a class), and what there is to know of it.

    `suggested` is the class that a picture rather belongs to, where that is the case.
    """

    names: tuple[str, ...]
    detail: str = ""
    suggested: str = ""

    @property
    def text(self) -> str:
        """The case in one line."""
        names = " = ".join(self.names)
        return f"{names} ({self.detail})" if names and self.detail else names or self.detail


@dataclass(frozen=True)
class Finding:
    """All cases of one kind.

    Args:
        kind: A short name: 'unreadable', 'duplicates-across-parts'.
        level: 'error' keeps training from starting, 'falsifies' makes its figures better or worse than the network,
            'warning' is worth a look, 'note' is good to know.
        summary: One sentence with the number.
        remedy: What to do about it.
        cases: Every one.
    """

    kind: str
    level: Level
    summary: str
    remedy: str
    cases: Sequence[Case] = ()

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        cases = [{"files": list(case.names), "detail": case.detail} for case in self.cases]
        return {"kind": self.kind, "level": self.level, "summary": self.summary, "remedy": self.remedy, "cases": cases}


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings by level, in their order within one."""
    return tuple(sorted(findings, key=lambda finding: LEVELS.index(finding.level)))


def of(count: int, thing: str) -> str:
    """Return a number with what is counted: '1 picture', '1,200 pictures', '2 classes'."""
    plural = f"{thing}es" if thing.endswith("s") else f"{thing}s"
    return f"{count:,} {thing if count == 1 else plural}"
