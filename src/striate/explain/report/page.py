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
        asked: The chapters that were asked for; None after training, which makes those that there is time for.
        pictures: What was named on the command line to be explained.
        options: Further words of the command by which it was made.
    """

    subject: Subject
    sections: dict[str, Markup] = field(default_factory=dict)
    refused: dict[str, StriateError] = field(default_factory=dict)
    asked: Sequence[str] | None = None
    pictures: Sequence[object] = ()
    options: Sequence[object] = ()

    def why_not(self, name: str) -> str:
        """Return why a chapter is not here."""
        if name in self.refused:
            return str(self.refused[name])
        if self.asked is None:
            return "there was no time for it after training"
        return "this explanation ended before it" if name in self.asked else "it was not asked for"

    def command(self, explained: object, *only: str) -> str:
        """Return what makes a chapter, or all of them, of the same pictures at the same place."""
        return to_type("striate", "explain", explained, *self.pictures, *only, *self.options)


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
    text = _read(path)
    if _key_of(text) != report_key(subject):
        return {}
    return {name: Markup(section) for name, section in _SECTION.findall(text)}


def key_in(path: Path) -> str | None:
    """Return the `report_key` of the report that is there; None where there is none, or no report of ours."""
    return _key_of(_read(path))


def report_key(subject: Subject) -> str:
    """Return what two reports have in common whose sections fit together; before its '-', what tells the network."""
    result, network = subject.evaluation, subject.card.weights_sha256
    parts = [__version__, network, result.part, str(result.count), str(result.correct), *subject.pictures.names]
    parts += [] if subject.given is None else ["and", *subject.given.names]
    digest = hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()
    return f"{network[:16]}-{digest[:32]}"


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return ""


def _key_of(text: str) -> str | None:
    key = _KEY.search(text)
    return None if key is None else key[1]


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
    missing = _left_out(left_out, page, explained) if left_out else Markup("")
    header = _header(page, title, explained)
    body = tag("body", header, _contents(sections, left_out), tag("main", marked, missing), _foot())
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


def _header(page: Page, title: str, explained: object) -> Markup:
    subject = page.subject
    where = subject.run.path.name if subject.run is not None else f"the model file {explained}"
    told: list[Content] = [named(where), f", measured on {part_text(subject.evaluation)}; striate {__version__}"]
    if page.pictures or page.options:
        told += ["; made by ", tag("code", page.command(explained))]
    return tag("header", tag("h1", named(title)), tag("p", told, class_="meta"))


def _contents(sections: Mapping[str, Markup], left_out: Sequence[str]) -> Markup:
    titles = {name: _titled(section, name) for name, section in sections.items()}
    lines: list[Content] = [tag("li", tag("a", title, href=f"#{name}")) for name, title in titles.items()]
    lines += [tag("li", tag("a", "What is not here", href="#left-out"))] if left_out else []
    return tag("nav", tag("ol", lines), aria_label="Contents")


def _titled(section: Markup, name: str) -> Markup:
    found = _TITLE.search(section)
    return escaped(name) if found is None else Markup(found[1])


def _left_out(names: Sequence[str], page: Page, explained: object) -> Markup:
    rows = []
    for name in names:
        # of what was refused the reason names the remedy: the same command would be refused again
        command = [] if name in page.refused else [tag("code", page.command(explained, "--only", name))]
        cells = [tag("th", name, scope="row"), tag("td", page.why_not(name)), tag("td", command)]
        rows.append(tag("tr", cells))
    head = tag("tr", [tag("th", text, scope="col") for text in ("chapter", "why", "what makes it")])
    table = wide(tag("table", tag("thead", head), tag("tbody", rows)), "Chapters that are not here")
    every = tag("p", "All of them: ", tag("code", page.command(explained)))
    heading = tag("h2", "What is not here", id="left-out-title")
    return tag("section", heading, table, every, id="left-out", aria_labelledby="left-out-title")


def _foot() -> Markup:
    return tag("footer", "This page holds all it shows: it asks nothing of any network, and runs no program.")
