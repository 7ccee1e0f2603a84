"""What the ledger of a folder says: files that cannot be read, and files that are left aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from striate.data.audit.finding import Case, Finding, of
from striate.data.dataset import FileRecord
from striate.data.fixes import EXCLUDED
from striate.data.sources.registry import BEYOND_FIRST
from striate.data.sources.scan import NOT_ASKED


def unreadable_files(records: Sequence[FileRecord], skip_bad: bool) -> list[Finding]:
    """Return the pictures that could not be decoded: an error, unless they are to be left out."""
    bad = [record for record in records if record.status == "skipped" and not _by_choice(record.reason)]
    if not bad:
        return []
    cases = [Case((record.path,), record.reason) for record in bad]
    remedy = "replace or remove them" + ("" if skip_bad else ", or go on without them: --skip-bad")
    told = f"{of(len(bad), 'picture')} cannot be read"
    return [Finding("unreadable", "warning" if skip_bad else "error", told, remedy, cases)]


def _by_choice(reason: str) -> bool:
    return reason == BEYOND_FIRST or reason.startswith(EXCLUDED)


def ignored_files(records: Sequence[FileRecord]) -> list[Finding]:
    """Return the files and folders that are no pictures of a class; of classes left out by choice nothing is said."""
    aside = [record for record in records if record.status == "ignored" and record.reason != NOT_ASKED]
    if not aside:
        return []
    counts = Counter(record.reason for record in aside)
    told = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
    cases = [Case((record.path,), record.reason) for record in aside]
    return [Finding("ignored", "note", f"{len(aside):,} left aside: {told}", "nothing, if that is meant", cases)]
