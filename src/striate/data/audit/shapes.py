"""Pictures that are much smaller than the network's input, or of an odd shape."""

from __future__ import annotations

from collections.abc import Mapping

from striate.data.audit.finding import Case, Finding, of
from striate.data.conversions import Header

ENLARGED = 2.0  # times, from which a picture is told as too small
ODD = 3.0  # longer side by shorter


def shape_findings(headers: Mapping[str, Header], side: int) -> list[Finding]:
    """Return the pictures whose shorter side is under half of `side`, in pixels, and those three times as long as wide.

    Args:
        headers: By name of the file.
        side: Of the pictures as they are used.
    """
    small, odd = [], []
    for name, header in headers.items():
        size = f"{header.width} × {header.height}"
        if ENLARGED * min(header.width, header.height) < side:
            small.append(Case((name,), size))
        if max(header.width, header.height) >= ODD * min(header.width, header.height):
            odd.append(Case((name,), size))
    findings = []
    if small:
        told = f"{of(len(small), 'picture')} enlarged more than twice, to {side} pixels"
        findings.append(Finding("tiny", "warning", told, "take larger copies, a smaller --img-size, or none", small))
    if odd:
        told = f"{of(len(odd), 'picture')} three times as long as wide, or more"
        remedy = "--resize crop sees the middle third at most; pad and squash see all"
        findings.append(Finding("odd-shape", "note", told, remedy, odd))
    return findings
