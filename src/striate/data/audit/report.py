"""The whole check of a data set: every finding, and what becomes of every file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from striate.core.errors import DataError
from striate.core.settings import TrainSettings
from striate.data import split
from striate.data.audit.classes import refused_classes, uneven_classes
from striate.data.audit.duplicates import close_duplicates, exact_duplicates, hashes_of
from striate.data.audit.finding import Case, Finding, worst_first
from striate.data.audit.headers import read_headers
from striate.data.audit.ledger import ignored_files, unreadable_files
from striate.data.audit.light import light_findings
from striate.data.audit.pictures import Pictures
from striate.data.audit.shapes import shape_findings
from striate.data.audit.stored import stored_findings
from striate.data.class_names import missing_notes
from striate.data.conversions import Header
from striate.data.dataset import FileRecord, Splits
from striate.data.fixes import Fixes, read_fixes
from striate.data.parallel import LEFT_OUT
from striate.data.sources import SOURCES, open_data
from striate.data.sources.folder import load_folder
from striate.data.sources.registry import locate_folder, subset_names
from striate.data.sources.scan import ignored_summary, list_folder


@dataclass(frozen=True)
class Report:
    """What the check of a data set came to.

    Args:
        name: Of the data.
        splits: The pictures that can be used, in the parts that training would make; None where there are none.
        findings: The worst first.
        files: What becomes of each file: used, fixed, skipped or ignored, with the reason.
        notes: What training would tell of the data, too, as far as no finding says it.
    """

    name: str
    splits: Splits | None
    findings: Sequence[Finding]
    files: Sequence[FileRecord]
    notes: Sequence[str] = ()

    def with_findings(self, more: Sequence[Finding]) -> Report:
        """Return the report with further findings."""
        return replace(self, findings=worst_first([*self.findings, *more]))

    def refused(self, strict: bool) -> list[Finding]:
        """Return the findings that are errors: what keeps training from starting; strictly, what falsifies, too."""
        levels = ("error", "falsifies") if strict else ("error",)
        return [finding for finding in self.findings if finding.level in levels]

    def counts(self) -> dict[str, int]:
        """Return how many files have each status."""
        order = ("used", "fixed", "skipped", "ignored")
        counts = {status: sum(record.status == status for record in self.files) for status in order}
        return {status: count for status, count in counts.items() if count}

    def as_json(self) -> dict[str, Any]:
        """Return all but the single files, as plain values."""
        parts = {} if self.splits is None else {name: len(part) for name, part in self.splits.parts().items()}
        findings = [finding.as_json() for finding in self.findings]
        return {
            "data": self.name,
            "pictures": parts,
            "files": self.counts(),
            "notes": list(self.notes),
            "findings": findings,
        }


def check_data(
    name: str, settings: TrainSettings, trained_at: Callable[[Splits], int | None] = lambda _: None
) -> Report:
    """Return the report on data as training with these settings would use them.

    All pictures are decoded and all headers read; no file is written to.

    Args:
        name: A data set by name, a folder or a table.
        settings: As for training.
        trained_at: Says of the pictures as they are read here at which other side training would read them, in pixels;
            None: at this one.

    Raises:
        DataError: There are no such data, or nothing in them that could be looked at.
    """
    splits, findings = _opened(name, settings, read_fixes(settings.fixes))
    if splits is None:
        return Report(name, None, worst_first(findings), ())
    pictures = Pictures(splits)
    hashes = hashes_of(pictures)
    _, height, width = pictures.shape
    side = trained_at(splits) or min(height, width)
    headers = _headers(splits)
    findings += [
        *unreadable_files(splits.files, settings.skip_bad),
        *exact_duplicates(pictures, hashes),
        *close_duplicates(pictures, hashes),
        *uneven_classes(splits),
        *shape_findings(headers, side),
        *light_findings(pictures),
        *stored_findings(headers, pictures.shape[0]),
        *ignored_files(splits.files),
    ]
    return Report(splits.name, splits, worst_first(findings), _manifest(splits, pictures), _untold(splits))


def _untold(splits: Splits) -> list[str]:
    """Return the notes on the data that no finding repeats."""
    ignored = [(record.path, record.reason) for record in splits.files if record.status == "ignored"]
    told = {*ignored_summary(ignored), *missing_notes(splits)}
    return [note for note in splits.notes if note not in told and LEFT_OUT not in note]


def _opened(name: str, settings: TrainSettings, fixes: Fixes | None) -> tuple[Splits | None, list[Finding]]:
    """Return the pictures that can be used, and what keeps training from starting."""
    lenient = settings.with_values(skip_bad=True)
    folder, subset = (None, "") if name.partition(":")[0] in SOURCES else locate_folder(name, settings.data_dir)
    refused: list[Finding] = []
    if folder is not None and folder.is_dir():
        listing = list_folder(folder)
        if subset:
            listing = listing.only_classes(subset_names(subset))
        refused, usable = refused_classes(listing)
        if refused:
            try:
                splits = load_folder(folder, lenient, usable, fixes) if len(usable) > 1 else None
            except DataError as error:
                return None, [*refused, _unusable(error)]
            return splits and split.complete(splits, settings.val_share, settings.test_share, settings.seed), refused
        try:
            return open_data(name, lenient, settings.seed, fixes), []
        except DataError as error:
            return None, [_unusable(error)]
    return open_data(name, lenient, settings.seed, fixes), []


def _unusable(error: DataError) -> Finding:
    first, *more = error.what.split("\n")
    summary = f"{first.rstrip(':')}: {error.where}" if more and error.where else first.rstrip(":")
    cases = [Case((), line.strip()) for line in more] or [Case((), error.where or "")]
    return Finding("unusable", "error", summary, error.fix or "", cases)


def _headers(splits: Splits) -> Mapping[str, Header]:
    """Return the headers of the picture files in use, by name; none where the pictures are no files."""
    if splits.folder is None:
        return {}
    names = list(chain.from_iterable(part.names for part in splits.parts().values()))
    headers = read_headers([os.path.join(splits.folder, name) for name in names])
    return {name: header for name, header in zip(names, headers, strict=True) if header is not None}


def _manifest(splits: Splits, pictures: Pictures) -> list[FileRecord]:
    """Return what becomes of each file; of pictures that are no files, of each picture."""
    known = {record.path for record in splits.files}
    numbered = zip(pictures.names, pictures.part.tolist(), pictures.labels, strict=True)
    own = [
        FileRecord(name, pictures.part_names[part], label, "used")
        for name, part, label in numbered
        if name not in known
    ]
    return [*splits.files, *own]
