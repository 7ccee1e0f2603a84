"""The page: sections under a title, with a contents list; what an earlier report has already is kept."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from striate.core.errors import StriateError
from striate.core.paths import to_type
from striate.explain.chapters import FILES
from striate.explain.record.texts import part_text
from striate.explain.report.markup import Content, Markup, escaped, named, tag, wide
from striate.explain.subject import Subject
from striate.runs.atomic import replace_file
from striate.version import __version__

NAME = "report.html"
SHADES = 10
# no text of a user's holds '<', so these marks are ours alone
_SECTION = re.compile(r"<!--chapter ([\w.-]+)-->\n(.*?)\n<!--end-->", re.DOTALL)
_TITLE = re.compile(r"<h2[^>]*>(.*?)</h2>", re.DOTALL)
_KEY = re.compile(r'<meta name="striate-report" content="([^"]*)">')


@dataclass
class Page:
    """What is to be set.

    Args:
        subject: What it is about.
        sections: By chapter.
        refused: Why a chapter could not be made.
    """

    subject: Subject
    sections: dict[str, Markup] = field(default_factory=dict)
    refused: dict[str, StriateError] = field(default_factory=dict)


def write_page(page: Page, path: Path, explained: object) -> None:
    """Write the report at once; sections that are not made anew are those of the report that is there already.

    Only those of the same network, pictures and version are kept.

    Args:
        page: What is to be set.
        path: The file.
        explained: What `striate explain` is called with, for the chapters that are not here.

    Raises:
        ResourceError: It cannot be written.
    """
    kept = {name: text for name, text in kept_sections(path, page.subject).items() if name not in page.refused}
    replace_file(path, page_text(page, kept, explained).encode())


def kept_sections(path: Path, subject: Subject) -> dict[str, Markup]:
    """Return the sections of a report of the same network, pictures and version; none where there is none."""
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return {}
    key = _KEY.search(text)
    if key is None or key[1] != report_key(subject):
        return {}
    return {name: Markup(section) for name, section in _SECTION.findall(text)}


def report_key(subject: Subject) -> str:
    """Return what two reports have in common whose sections fit together."""
    result = subject.evaluation
    parts = [__version__, subject.card.weights_sha256, result.part, str(result.count), str(result.correct)]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:32]


def page_text(page: Page, kept: Mapping[str, Markup], explained: object) -> Markup:
    """Return the whole document."""
    there = {**kept, **page.sections}
    names = list(FILES)
    sections = {name: there[name] for name in names if name in there}
    left_out = [name for name in names if name not in there]
    style = _style()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{_hash(style)}'; base-uri 'none'; form-action 'none'"
    )
    title = _title(page.subject)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"striate {__version__}"),
        Markup(f'<meta name="striate-report" content="{report_key(page.subject)}">'),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        Markup(f"<style>{style}</style>"),
    )
    marked = [Markup(f"\n<!--chapter {name}-->\n{section}\n<!--end-->\n") for name, section in sections.items()]
    missing = _left_out(left_out, page.refused, explained) if left_out else Markup("")
    body = tag(
        "body", _header(page.subject, title), _contents(sections, left_out), tag("main", marked, missing), _foot()
    )
    return Markup(f'<!DOCTYPE html>\n<html lang="en">\n{head}\n{body}\n</html>\n')


def _style() -> str:
    shades = [
        f".matrix .{kind}.s{shade} {{ background: rgba({colour}, {0.055 * shade:.3f}); }}\n"
        for kind, colour in (("right", "0, 114, 178"), ("wrong", "230, 159, 0"))  # Okabe and Ito 2008
        for shade in range(SHADES + 1)
    ]
    return Path(__file__).with_name("style.css").read_text(encoding="utf-8") + "".join(shades)


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _title(subject: Subject) -> str:
    data = subject.card.data or "unknown data"
    return f"{subject.card.architecture.name} on {data}"


def _header(subject: Subject, title: str) -> Markup:
    where = subject.run.path.name if subject.run is not None else "a model file"
    told = [named(where), f", measured on {part_text(subject.evaluation)}; striate {__version__}"]
    return tag("header", tag("h1", named(title)), tag("p", told, class_="meta"))


def _contents(sections: Mapping[str, Markup], left_out: Sequence[str]) -> Markup:
    titles = {name: _titled(section, name) for name, section in sections.items()}
    lines: list[Content] = [tag("li", tag("a", title, href=f"#{name}")) for name, title in titles.items()]
    lines += [tag("li", tag("a", "What is not here", href="#left-out"))] if left_out else []
    return tag("nav", tag("ol", lines), aria_label="Contents")


def _titled(section: Markup, name: str) -> Markup:
    found = _TITLE.search(section)
    return escaped(name) if found is None else Markup(found[1])


def _left_out(names: Sequence[str], refused: Mapping[str, StriateError], explained: object) -> Markup:
    rows = []
    for name in names:
        why = str(refused[name]) if name in refused else "there was no time for it"
        command = to_type("striate", "explain", explained, "--only", name)
        rows.append(tag("tr", tag("th", name, scope="row"), tag("td", why), tag("td", tag("code", command))))
    head = tag("tr", [tag("th", text, scope="col") for text in ("chapter", "why", "what makes it")])
    table = wide(tag("table", tag("thead", head), tag("tbody", rows)), "Chapters that are not here")
    every = tag("p", "All of them: ", tag("code", to_type("striate", "explain", explained)))
    heading = tag("h2", "What is not here", id="left-out-title")
    return tag("section", heading, table, every, id="left-out", aria_labelledby="left-out-title")


def _foot() -> Markup:
    return tag("footer", "This page holds all it shows: it asks nothing of any network, and runs no program.")
