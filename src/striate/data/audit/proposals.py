"""Proposals: what of the findings a fixes.csv can mend, for the user to look through and to name in training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from striate.data.audit.finding import Finding
from striate.data.dataset import FileRecord
from striate.data.fixes import Fix

_KEPT_FIRST = ("test", "val", "train", "")  # of a picture in two parts, the copy by which others were measured stays
_ACROSS_PARTS = ("duplicates-across-parts", "near-duplicates-across-parts")
_ACROSS_CLASSES = ("duplicates-across-classes", "near-duplicates-across-classes")


def proposed_fixes(findings: Sequence[Finding], files: Iterable[FileRecord]) -> list[Fix]:
    """Return rows of a fixes.csv, at most one for a picture.

    Unreadable and blank pictures are excluded. Of a picture in several parts one copy stays, in the test part if it
    is there, else in the validation part. Of a picture under two classes one copy stays under the class that most
    copies have, suspected labels counting as what they are suspected to be; without a majority all go, until somebody
    says what they are. Other suspected labels are replaced.
    """
    records = {record.path: record for record in files}
    rows: dict[str, Fix] = {}

    def exclude(names: Iterable[str], reason: str) -> None:
        for name in names:
            rows.setdefault(name, Fix(name, "exclude", "", reason))

    by_kind = {finding.kind: finding for finding in findings}

    def cases(*kinds: str) -> Iterable[tuple[tuple[str, ...], str]]:
        return ((case.names, case.detail) for kind in kinds if kind in by_kind for case in by_kind[kind].cases)

    for names, detail in cases("unreadable"):
        exclude(names, detail)
    for names, _ in cases("blank"):
        exclude(names, "blank")
    suspected = by_kind["suspected-labels"].cases if "suspected-labels" in by_kind else ()
    labels = {name: record.class_name for name, record in records.items()}
    rather = labels | {case.names[0]: case.suggested for case in suspected}
    for names, _ in cases(*_ACROSS_CLASSES):
        kept = _kept_of_majority(names, labels, rather, records)
        reason = f"the same picture as {kept}" if kept else "one picture under several classes"
        exclude((name for name in names if name != kept), reason)
    for names, _ in cases(*_ACROSS_PARTS):
        kept = min((name for name in names if name not in rows), key=lambda name: _rank(records[name]), default="")
        exclude((name for name in names if kept and name != kept), f"the same picture as {kept}")
    for case in suspected:
        rows.setdefault(case.names[0], Fix(case.names[0], "relabel", case.suggested, f"suspected: {case.detail}"))
    return list(rows.values())


def _kept_of_majority(
    names: Sequence[str], labels: Mapping[str, str], rather: Mapping[str, str], records: Mapping[str, FileRecord]
) -> str:
    """Return the copy that stays, '' where no class has a majority or no copy of it is labelled so."""
    (label, most), *others = Counter(rather[name] for name in names).most_common()
    fitting = [name for name in names if labels[name] == rather[name] == label]
    if not fitting or (others and others[0][1] == most):
        return ""
    return min(fitting, key=lambda name: _rank(records[name]))


def _rank(record: FileRecord) -> int:
    return _KEPT_FIRST.index(record.part)
