"""How pictures are stored: under a wrong name, turned, with 16 bits or transparency, grey among colour; all is handled.

Nothing of this has to be done by hand: the decoder does it, always alike, and the check says of which files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import PurePath

from striate.data.audit.finding import Case, Finding, of
from striate.data.audit.headers import Header
from striate.data.sources.assemble import GREY_MODES

_USUAL = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP",
    ".gif": "GIF", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF",
}  # fmt: skip
_NOTHING = "nothing: it is done in decoding"


def stored_findings(headers: Mapping[str, Header], channels: int) -> list[Finding]:
    """Return the findings on how files are stored.

    Args:
        headers: By name of the file.
        channels: 1 where pictures are read as grey, 3 as colour.
    """
    converted = ("grey", "grey in a colour set") if channels == 3 else ("coloured", "in colour, read as grey")
    told = (
        ("mislabelled", "of another format than the name says, read by content", _mislabelled),
        ("turned", "turned upright as EXIF says", _turned),
        ("broken-exif", "with an orientation in EXIF that means nothing, ignored", _broken),
        ("deep", "of more than 8 bits, scaled to 8", _deep),
        ("transparent", "with transparency, laid on white", _transparent),
        (*converted, partial(_converted, channels)),
    )
    return [finding for kind, what, look in told if (finding := _finding(kind, what, look, headers)) is not None]


def _finding(kind: str, what: str, look: Callable[[str, Header], str], headers: Mapping[str, Header]) -> Finding | None:
    cases = [Case((name,), said) for name, header in headers.items() if (said := look(name, header))]
    return Finding(kind, "note", f"{of(len(cases), 'picture')} {what}", _NOTHING, cases) if cases else None


def _mislabelled(name: str, header: Header) -> str:
    suffix = PurePath(name).suffix
    return f"{header.format} named {suffix}" if _USUAL.get(suffix.lower(), header.format) != header.format else ""


def _turned(_: str, header: Header) -> str:
    return f"turned upright (EXIF orientation {header.orientation})" if header.orientation > 1 else ""


def _broken(_: str, header: Header) -> str:
    return "" if header.orientation else "EXIF orientation ignored"


def _deep(_: str, header: Header) -> str:
    return f"{header.bits} bits scaled to 8" if header.bits > 8 else ""


def _transparent(_: str, header: Header) -> str:
    return f"transparency ({header.mode}) laid on white" if header.transparent else ""


def _converted(channels: int, _: str, header: Header) -> str:
    if header.mode == "P":  # what colours the palette has is not in the header
        return ""
    grey = header.mode in GREY_MODES
    return f"{header.mode} read as {'grey' if channels == 1 else 'colour'}" if grey == (channels == 3) else ""
