"""How pictures are stored: under a wrong name, turned, with 16 bits or transparency, grey among colour; all is handled.

Nothing of this has to be done by hand: the decoder does it, always alike, and the check says of which files.
"""

from __future__ import annotations

from collections.abc import Mapping

from striate.data.audit.finding import Case, Finding, of
from striate.data.conversions import Header, conversions

_TOLD = {
    "mislabelled": "of another format than the name says, read by content",
    "turned": "turned upright as EXIF says",
    "broken-exif": "with an orientation in EXIF that means nothing, ignored",
    "deep": "of more than 8 bits, scaled to 8",
    "transparent": "with transparency, laid on white",
    "colour-space": "in other colours than RGB, converted",
    "grey": "grey in a colour set",
    "coloured": "in colour, read as grey",
}
_NOTHING = "nothing: it is done in decoding"


def stored_findings(headers: Mapping[str, Header], channels: int) -> list[Finding]:
    """Return the findings on how files are stored.

    Args:
        headers: By name of the file.
        channels: 1 where pictures are read as grey, 3 as colour.
    """
    cases: dict[str, list[Case]] = {kind: [] for kind in _TOLD}
    for name, header in headers.items():
        for kind, said in conversions(name, header, channels).items():
            cases[kind].append(Case((name,), said))
        if not header.orientation:
            cases["broken-exif"].append(Case((name,), "EXIF orientation ignored"))
    return [
        Finding(kind, "note", f"{of(len(found), 'picture')} {_TOLD[kind]}", _NOTHING, found)
        for kind, found in cases.items()
        if found
    ]
