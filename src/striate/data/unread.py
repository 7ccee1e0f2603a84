"""Pictures of formats that are not read here: known by their suffixes, so that they are told with the remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

# what phones, cameras, browsers and drawing programs write; none of it is decoded by data/decode.py
CAMERA = frozenset({".raw", ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".orf", ".raf", ".rw2", ".pef"})
OTHERS = frozenset(
    {".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".j2k", ".svg", ".psd", ".xcf", ".ico", ".tga", ".eps", ".exr"}
)
SUFFIXES = CAMERA | OTHERS
CONVERT = "convert such pictures to JPEG, e.g.  magick mogrify -format jpg *.heic"


def suffix_of(name: str) -> str:
    """Return the suffix of a file's name in small letters, '' where there is none."""
    return name[name.rfind(".") :].lower() if "." in name else ""


def unread_reason(suffix: str) -> str:
    """Return why a file with such a suffix is left aside."""
    return f"{suffix} is not read: convert it to JPEG"


def unread_summary(names: Iterable[str]) -> str:
    """Return how many of these files are pictures that are not read: '3 files left aside: .heic is not read', or ''."""
    counts = Counter(suffix for suffix in map(suffix_of, names) if suffix in SUFFIXES)
    if not counts:
        return ""
    total = sum(counts.values())
    which = " and ".join(sorted(counts))
    verb = "is" if len(counts) == 1 else "are"
    return f"{total:,} file{'' if total == 1 else 's'} left aside: {which} {verb} not read"
