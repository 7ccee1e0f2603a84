"""Reads a page as a browser would, as far as tests ask: names, links, sources, texts, what is open and closed."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"br", "img", "link", "meta"}


class PageReader(HTMLParser):
    """What a page holds.

    Attributes:
        elements: (tag, attributes) of each element in order.
        ids: Every id.
        text: All text, scripts and styles apart.
    """

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == [], "elements that nobody closes"

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice: {attrs}"
        self.elements.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def check_page(page: str) -> PageReader:
    """Return what a page holds, after checking what every report must keep to."""
    assert page.startswith("<!DOCTYPE html>\n")
    reader = PageReader(page)
    assert reader.of("html") == [{"lang": "en"}]
    assert len(reader.ids) == len(set(reader.ids)), "ids are unique"
    targets = [link["href"] for link in reader.of("a")]
    assert targets
    for target in targets:
        assert target is not None
        assert target.startswith("#")
        assert target[1:] in reader.ids, f"{target} leads nowhere"
    for image in reader.of("img"):
        assert image["src"].startswith("data:image/")
        assert image["alt"]
        assert int(image["width"]) > 0
        assert int(image["height"]) > 0
        assert "loading" not in image, "a print has the pictures that were never scrolled to"
    assert reader.of("link") == [{"rel": "icon", "href": "data:,"}]
    allowed = {"a", "bdi", "body", "caption", "code", "div", "figcaption", "figure", "footer", "h1", "h2", "h3", "h4",
               "head", "header", "html", "img", "li", "link", "main", "meta", "nav", "ol", "p", "section", "small",
               "span", "strong", "style", "table", "tbody", "td", "th", "thead", "title", "tr"}  # fmt: skip
    assert {tag for tag, _ in reader.elements} <= allowed, "nothing that runs, loads or asks"
    for tag, attributes in reader.elements:
        assert not any(name.startswith("on") or name in ("style", "srcset") for name in attributes), (tag, attributes)
    (policy,) = (meta["content"] for meta in reader.of("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    return reader
