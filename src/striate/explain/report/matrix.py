"""The confusion matrix as a table whose cells lead to their pictures, and these pictures."""

from __future__ import annotations

import math

from striate.explain.chapter import Effort
from striate.explain.lettering import isolated
from striate.explain.record.confusion import MOST_NUMBERED, OUTCOMES, Cell, cells, column_names
from striate.explain.record.texts import percent
from striate.explain.report.images import picture_element
from striate.explain.report.markup import Content, Markup, named, tag, wide
from striate.explain.subject import Subject

SIDE = 84  # CSS pixels of a picture's longer side
PICTURES = {"quick": 160, "full": 480}  # in all
PER_CELL, PER_RIGHT_CELL = 8, 4
MOST_CELLS = 120
MOST_LISTED = 40  # where there is no table of numbers that lead to them, and all are seen at once
FIRST = 6  # cells whose pictures are seen at once; the others appear when their number is chosen
SHADES = 10
LONGEST = 24  # letters of a picture's name


def shown_cells(subject: Subject) -> dict[tuple[int, int], Cell]:
    """Return the cells whose pictures are shown: mistakes before right answers, the most frequent mistakes first."""
    found = cells(subject.evaluation)
    wrong = sorted((cell for cell in found if not cell.is_right), key=lambda cell: -len(cell.numbers))
    right = [cell for cell in found if cell.is_right]
    most = MOST_CELLS if _has_numbers(subject) else MOST_LISTED * 2 // 3
    chosen = [*wrong[:most], *right[: most // 2]]
    return {(cell.row, cell.column): cell for cell in chosen}


def anchor(cell: Cell) -> str:
    """Return the name by which a cell's pictures are reached."""
    return f"confusion-{cell.row}-{cell.column}"


def matrix(subject: Subject) -> Markup:
    """Return the matrix; of many classes nothing: the figure shows it, and the pictures follow it."""
    result = subject.evaluation
    multi_label = result.labels.ndim == 2
    if not _has_numbers(subject):
        return Markup("")
    found = {(cell.row, cell.column): cell for cell in cells(result)}
    linked = shown_cells(subject)
    totals = [score.count for score in result.per_class]
    columns = column_names(result)
    corner = "class" if multi_label else "true ↓  taken for →"
    head = [tag("th", corner, scope="col", class_="corner")]
    head += [tag("th", tag("span", named(name), title=name), scope="col") for name in columns]
    rows: list[Markup] = []
    for row, name in enumerate(subject.classes[:1000]):
        line = [tag("th", tag("span", named(name), title=name), scope="row")]
        for column in range(len(columns)):
            line.append(_cell(found.get((row, column)), totals[row], (row, column) in linked))
        rows.append(tag("tr", line))
    told = tag("caption", "Each number leads to its pictures. The shade is its share of the row.")
    body = tag("table", told, tag("thead", tag("tr", head)), tag("tbody", rows), class_="matrix")
    return wide(body, "Confusion matrix")


def _has_numbers(subject: Subject) -> bool:
    return subject.spec.multi_label or len(subject.classes) <= MOST_NUMBERED


def _cell(cell: Cell | None, total: int, linked: bool) -> Markup:
    if cell is None:
        return tag("td", "·", class_="empty")
    count = len(cell.numbers)
    shade = min(SHADES, math.ceil(SHADES * math.sqrt(count / max(total, 1))))  # a root shows small shares, too
    kind = f"{'right' if cell.is_right else 'wrong'} s{shade}"
    text = f"{count:,}"
    return tag("td", tag("a", text, href=f"#{anchor(cell)}") if linked else text, class_=kind)


def gallery(subject: Subject, effort: Effort) -> Markup:
    """Return the pictures of each cell: of mistakes the surest, of right answers the least sure."""
    chosen = shown_cells(subject)
    room, first = PICTURES[effort], FIRST if _has_numbers(subject) else len(chosen)
    parts: list[Content] = []
    for number, cell in enumerate(chosen.values()):
        left = len(chosen) - number - 1
        count = min(len(cell.numbers), PER_RIGHT_CELL if cell.is_right else PER_CELL, max(1, room - left))
        room -= count
        parts.append(_pictures(subject, cell, count, first=number < first))
    if not parts:
        return Markup("")
    total = len(cells(subject.evaluation))
    more = [tag("p", "Those of other cells appear when their number is chosen.")] if len(chosen) > first else []
    if not _has_numbers(subject) and len(chosen) < total:
        more = [tag("p", f"{len(chosen)} of the {total:,} cells with pictures: the mistakes with most of them first.")]
    return tag("div", tag("h3", "The pictures, cell by cell"), more, parts, class_="cells")


def _pictures(subject: Subject, cell: Cell, count: int, first: bool) -> Markup:
    names = subject.classes
    if subject.spec.multi_label:
        said: list[Content] = [named(names[cell.row]), f": {OUTCOMES[cell.column]}"]
        words = f"{names[cell.row]} {OUTCOMES[cell.column]}"
    elif cell.is_right:
        said, words = [named(names[cell.row]), ", told rightly"], f"{names[cell.row]}, told rightly"
    else:
        said = [named(names[cell.row]), " taken for ", named(names[cell.column])]
        words = f"{isolated(names[cell.row])} taken for {isolated(names[cell.column])}"
    total = len(cell.numbers)
    which = "" if count == total else f", the {count} {'least' if cell.is_right else 'most'} certain"
    heading = tag("h4", said, f": {total:,}{which}")
    back = tag("a", "back to the matrix", href="#confusion", class_="back")
    pictures = [_picture(subject, int(number), words) for number in cell.numbers[:count]]
    return tag(
        "div",
        heading,
        tag("div", pictures, class_="gallery"),
        back,
        id=anchor(cell),
        class_="cell" if first else "cell more",
    )


def _picture(subject: Subject, number: int, words: str) -> Markup:
    name, sure = subject.pictures.names[number], float(subject.confidences[number])
    short = name.rpartition("/")[2][-LONGEST:]
    image = picture_element(subject.pictures.images[number], SIDE, f"{name}: {words}, {percent(sure)} sure")
    return tag("figure", image, tag("figcaption", f"{100 * sure:.0f} % ", tag("small", named(short))), title=name)
