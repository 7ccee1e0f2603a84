"""The part of the check that every training can afford: a second, or two hundredths of what a large run takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from striate.data.audit.classes import uneven_classes
from striate.data.audit.duplicates import close_duplicates, exact_duplicates
from striate.data.audit.finding import Finding, worst_first
from striate.data.audit.ledger import ignored_files, unreadable_files
from striate.data.audit.light import light_findings
from striate.data.audit.pictures import Pictures
from striate.data.dataset import Splits
from striate.data.duplicates import picture_hashes

NEAR_PICTURES, NEAR_VALUES = 5_000, 2**27  # beyond which near-duplicates are left to `striate data check`
_TOLD_ANYWAY = ("unreadable", "ignored")  # by the notes of the data


def quick_check(splits: Splits, trained: Tensor) -> Sequence[Finding]:
    """Return what the ledger, the classes and the pictures as they will be trained on say, the worst first.

    Args:
        splits: The data, readable and trainable.
        trained: The hashes of the training part, int64 N.
    """
    pictures = Pictures(splits)
    held_out = [picture_hashes(part.images) for name, part in splits.parts().items() if name != "train"]
    hashes = torch.cat([trained, *held_out])
    findings = [
        *unreadable_files(splits.files, skip_bad=True),
        *ignored_files(splits.files),
        *uneven_classes(splits),
        *exact_duplicates(pictures, hashes),
        *light_findings(pictures),
    ]
    if len(pictures) <= NEAR_PICTURES and pictures.values <= NEAR_VALUES:
        findings += close_duplicates(pictures, hashes)
    return worst_first(findings)


def worth_telling(findings: Iterable[Finding]) -> list[str]:
    """Return the sentences that matter before training: what falsifies figures, and what is worth a look."""
    return [
        finding.summary + _first_of(finding)
        for finding in findings
        if finding.level != "note" and finding.kind not in _TOLD_ANYWAY
    ]


def _first_of(finding: Finding) -> str:
    """Return the files of the first case, else those of the first two: at most two names."""
    cases = [case.names for case in finding.cases if case.names]
    if not cases:
        return ""
    copies = len(cases[0]) > 1
    names = " = ".join(cases[0][:2]) if copies else ", ".join(name for (name, *_) in cases[:2])
    return f": {names}" + (" …" if len(cases) > (1 if copies else 2) else "")
