"""The chapter on the embedding: where pictures lie in what the last layer sees, and who lies beside whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from pydantic import JsonValue
from torch import Tensor

from striate.data.dataset import ImageDataset, label_texts
from striate.explain.affordable import affordable
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate, Table
from striate.explain.embedding.drawn import MOST_NAMES, Map, pictures_map, points_map
from striate.explain.embedding.hidden import hidden_values, label_groups, some_values
from striate.explain.embedding.neighbours import Neighbours, nearest
from striate.explain.embedding.projection import LEAST_TSNE, has_umap, principal_components, t_sne, umap
from striate.explain.embedding.separation import Separation, knn_accuracy, separation
from striate.explain.embedding.style import styles
from striate.explain.lettering import isolated
from striate.explain.picture_rows import Row, Shown, picture_rows
from striate.explain.predictions import NO_CLASS, RIGHT, UNKNOWN, WRONG, Verdict
from striate.explain.subject import Subject

MOST_ROWS = 20  # of the table of groups


@dataclass(frozen=True)
class Scope:
    """How much is computed.

    Args:
        work: Multiply-adds for measured and for training pictures, each.
        measured: Most pictures on the map.
        bank: Most training pictures among which neighbours are looked for.
        iterations: Of t-SNE.
        examples: Pictures whose neighbours are shown.
        columns: Neighbours of each.
    """

    work: float
    measured: int
    bank: int
    iterations: int
    examples: int
    columns: int


SCOPES: dict[Effort, Scope] = {
    "quick": Scope(work=5e9, measured=300, bank=2000, iterations=600, examples=4, columns=7),
    "full": Scope(work=1e12, measured=2000, bank=20_000, iterations=1000, examples=8, columns=9),
}


@CHAPTERS.register("embedding")
def embedding_chapter(subject: Subject, effort: Effort) -> Chapter:
    """Return maps of the hidden layer, the neighbours of some pictures, and how well classes are apart."""
    scope = SCOPES[effort]
    bank = _bank(subject, scope)
    seen = _measured(subject, scope)
    plates, texts, tables, values = list[Plate](), list[str](), list[Table](), dict[str, JsonValue]()
    if len(seen.values) > 1:
        groups, names = label_groups(subject.evaluation.labels[seen.numbers], subject.classes)
        apart = separation(seen.values, groups, len(names))
        plates += _maps(subject, seen, groups, names, scope, effort)
        texts += _about(subject, apart, names)
        tables.append(_group_table(apart, groups, names))
        values |= _figures(apart)
        if bank is not None:
            values |= _by_training(subject, seen, bank)
            texts.append(_told_by_training(values, len(bank.data)))
    else:
        texts.append(
            "There is one measured picture: no map can be drawn, and nothing is said of how far classes are apart."
        )
    rows = list(_rows(subject, seen, bank, scope))
    if rows:
        of = "training" if bank is not None else "measured"
        among = len(bank.data) if bank is not None else len(seen.data)
        title = f"The nearest of {among:,} {of} pictures, as the last layer sees them"
        caption = (
            f"Each row begins with a picture; beside it are the {of} pictures at the smallest angle to it in the "
            "hidden space, with the cosine (1: the same direction). A thin blue frame is of its true class, a thick "
            "dashed one of another."
        )
        alt = f"{len(rows)} rows of pictures, each with its nearest {of} pictures."
        plates.append(Plate("embedding-neighbours", picture_rows([row for row, _ in rows], title), caption, alt))
        values["neighbours"] = [told for _, told in rows]
    return Chapter("embedding", "What the last layer sees", texts, plates, tables, values)


@dataclass(frozen=True, eq=False)
class _Seen:
    """Pictures of a part with their hidden values: their numbers in the part, int64 n; themselves; float32 n F."""

    numbers: Tensor
    data: ImageDataset
    values: Tensor


def _measured(subject: Subject, scope: Scope) -> _Seen:
    return _seen(subject, subject.pictures, scope, scope.measured)


def _bank(subject: Subject, scope: Scope) -> _Seen | None:
    """Return training pictures with their values; None where there are none, or none but those measured."""
    if subject.train is None or not len(subject.train) or subject.evaluation.part == "train":
        return None
    return _seen(subject, subject.train, scope, scope.bank)


def _seen(subject: Subject, data: ImageDataset, scope: Scope, most: int) -> _Seen:
    count = affordable(subject.model, subject.spec, scope.work, most)
    numbers, values = some_values(subject.model, data, subject.spec, count, most)
    return _Seen(numbers, data if len(numbers) == len(data) else data.select(numbers), values)


def _maps(
    subject: Subject, seen: _Seen, groups: Tensor, names: Sequence[str], scope: Scope, effort: Effort
) -> Iterator[Plate]:
    """Yield the maps: principal components always, t-SNE of enough pictures, UMAP where it is installed."""
    count, kinds = (
        len(seen.values),
        "classes" if groups is seen.data.labels or not subject.spec.multi_label else "sets of classes",
    )
    looks = styles(seen.values, groups, len(names))
    principal = principal_components(seen.values)
    shown = Map(principal.points, groups, names, looks, subject.right[seen.numbers])
    part = "" if subject.evaluation.part == "all" else f" of the {subject.evaluation.part} part"
    how = (
        f"Each point is a picture, in the colour and mark of its class; {_which_names(groups, kinds)}; "
        "a cross is a wrong answer."
    )
    axes = tuple(
        f"component {number}: {100 * float(share):.0f} % of the variance"
        for number, share in enumerate(principal.shares, 1)
    )
    yield Plate(
        "embedding-pca",
        points_map(shown, f"Principal components of the hidden layer: {count:,} pictures{part}", (axes[0], axes[1])),
        f"{how} Distances are true along these two directions; others are not seen.",
        f"{count:,} points on the two principal components of the hidden layer, coloured by class.",
    )
    if count < LEAST_TSNE:
        return
    near = "Neighbours in the hidden layer are neighbours here; distances between far groups mean little."
    grid = (
        "Each cell shows a picture that lies there or, where many crowd, close by, framed in the colour of its class; "
        f"a cross is a wrong answer. {near}"
    )
    ways = {"t-SNE": t_sne(seen.values, iterations=scope.iterations)}
    if effort == "full" and has_umap():
        ways["UMAP"] = umap(seen.values)
    for way, points in ways.items():
        shown, title = replace(shown, points=points), f"{way} of the hidden layer: {count:,} pictures{part}"
        alt = f"A map of {count:,} pictures by {way}, coloured by class."
        if effort == "full":
            yield Plate(f"embedding-{way.lower()}", points_map(shown, title), f"{how} {near}", alt)
        yield Plate(f"embedding-{way.lower()}-pictures", pictures_map(shown, seen.data.images, title), grid, alt)


def _which_names(groups: Tensor, kinds: str) -> str:
    there = len(groups.unique())
    if there <= MOST_NAMES:
        return f"names stand in the middle of their {kinds}"
    return (
        f"of the {there} {kinds} here the largest {MOST_NAMES} have their names in their middle, as far as there is "
        "room"
    )


def _about(subject: Subject, apart: Separation, names: Sequence[str]) -> Iterator[str]:
    own = "set of classes" if subject.spec.multi_label else "class"
    low, high = apart.knn_interval
    yield (
        f"Of the {apart.neighbours} nearest other pictures, {100 * apart.same_share:.1f} % are of a picture's own "
        f"{own} (by chance it would be {100 * apart.chance:.1f} %). The majority of them names the {own} of "
        f"{100 * apart.knn_accuracy:.1f} % of {apart.count:,} measured pictures "
        f"(95 %: {100 * low:.1f}–{100 * high:.1f} %); the network itself "
        f"is right on {100 * subject.evaluation.accuracy:.1f} %."
    )
    if apart.silhouette is not None:
        yield (
            f"The mean silhouette is {apart.silhouette:.2f}: 1 would be dense and well separated groups, 0 groups that "
            "touch; below 0, pictures lie nearer to another group than to their own."
        )


def _told_by_training(values: dict[str, JsonValue], bank: int) -> str:
    share, interval = values["knn_accuracy_by_training"], values["knn_interval_by_training"]
    assert isinstance(share, float)
    assert isinstance(interval, list)
    low, high = (100 * float(str(bound)) for bound in interval)
    return (
        f"By the nearest of {bank:,} training pictures instead, {100 * share:.1f} % are named rightly "
        f"(95 %: {low:.1f}–{high:.1f} %)."
    )


def _by_training(subject: Subject, seen: _Seen, bank: _Seen) -> dict[str, JsonValue]:
    """Return how often the nearest training pictures name a picture's class, or set of classes, rightly."""
    labels = torch.cat([subject.evaluation.labels[seen.numbers], bank.data.labels])
    groups, _ = label_groups(labels, subject.classes)
    count = len(seen.values)
    share, interval = knn_accuracy(seen.values, groups[:count], bank.values, groups[count:])
    return {
        "training_pictures": len(bank.data),
        "knn_accuracy_by_training": share,
        "knn_interval_by_training": list(interval),
    }


def _group_table(apart: Separation, groups: Tensor, names: Sequence[str]) -> Table:
    """Return the groups that are the least apart, those first that have the fewest neighbours of their own."""
    sizes = torch.bincount(groups, minlength=len(names))
    filled = sizes.nonzero().squeeze(1)
    order = filled[apart.group_share[filled].argsort(stable=True)]
    rows = [
        [
            names[group],
            f"{int(sizes[group]):,}",
            f"{100 * float(apart.group_share[group]):.1f} %",
            "–" if apart.silhouette is None else f"{float(apart.group_silhouette[group]):.2f}",
        ]
        for group in order[:MOST_ROWS].tolist()
    ]
    more = f", the {MOST_ROWS} of {len(order)} with the fewest" if len(order) > MOST_ROWS else ""
    return Table(
        ["class", "pictures", f"own class among {apart.neighbours} neighbours", "silhouette"],
        rows,
        f"How far classes keep to themselves in the hidden layer{more}.",
    )


def _figures(apart: Separation) -> dict[str, JsonValue]:
    return {
        "pictures": apart.count,
        "neighbours_each": apart.neighbours,
        "same_share": apart.same_share,
        "same_share_by_chance": apart.chance,
        "knn_accuracy": apart.knn_accuracy,
        "knn_interval": list(apart.knn_interval),
        "silhouette": apart.silhouette,
    }


def _rows(subject: Subject, seen: _Seen, bank: _Seen | None, scope: Scope) -> Iterator[tuple[Row, JsonValue]]:
    """Yield a row for each picture that is looked at, and what it shows as plain values."""
    if subject.given is not None:
        yield from _given_rows(subject, bank or seen, scope)
        return
    numbers = subject.examples(scope.examples)
    among = bank or seen
    if bank is None and len(seen.data) < 2:
        return
    data = subject.pictures.select(numbers)
    queries = hidden_values(subject.model, data, subject.spec)
    found = nearest(queries, among.values, scope.columns + 1)
    if bank is None:
        found = _without_itself(found, seen.numbers, numbers, scope.columns)
    labels = subject.evaluation.labels[numbers]
    true, said = (
        label_texts(labels, subject.classes),
        label_texts(subject.evaluation.predictions[numbers], subject.classes),
    )
    for place, number in enumerate(numbers.tolist()):
        right, sure = bool(subject.right[number]), float(subject.confidences[number])
        head = f"true: {{}}; answer: {{}} ({100 * sure:.0f} %)" + ("" if right else ", wrong")
        classes_told = [true[place] or NO_CLASS, said[place] or NO_CLASS]
        lead = Shown(data.images[place], ["✓ right" if right else "✗ wrong"], RIGHT if right else WRONG)
        near = found.numbers[place][: scope.columns]
        same = (among.data.labels[near] == labels[place]).view(len(near), -1).all(1).tolist()
        row, told = _row(
            head, lead, among.data, near, found.similarity[place], same, data.names[place], subject.classes
        )
        yield replace(row, names=classes_told), told


def _given_rows(subject: Subject, among: _Seen, scope: Scope) -> Iterator[tuple[Row, JsonValue]]:
    assert subject.given is not None
    images = subject.given.images[: scope.examples]
    names = list(subject.given.names[: scope.examples])
    shape = (len(images), len(subject.classes)) if subject.spec.multi_label else (len(images),)
    labels = torch.zeros(shape, dtype=torch.bool if subject.spec.multi_label else torch.int64)  # nobody asks for them
    queries = hidden_values(subject.model, ImageDataset(images, labels, subject.classes, names), subject.spec)
    found = nearest(queries, among.values, scope.columns)
    for place, name in enumerate(names):
        lead = Shown(images[place], ["given"], UNKNOWN)
        yield _row(name, lead, among.data, found.numbers[place], found.similarity[place], None, name, subject.classes)


def _without_itself(found: Neighbours, bank: Tensor, queries: Tensor, count: int) -> Neighbours:
    """Return the neighbours of pictures that may be in the bank themselves, `count` of each."""
    itself = bank[found.numbers] == queries[:, None]
    order = itself.long().argsort(dim=1, stable=True)[:, : min(count, found.numbers.shape[1] - 1)]
    return Neighbours(found.numbers.gather(1, order), found.similarity.gather(1, order))


def _row(
    head: str,
    lead: Shown,
    data: ImageDataset,
    near: Tensor,
    similarity: Tensor,
    same: Sequence[bool] | None,
    name: str,
    classes: tuple[str, ...],
) -> tuple[Row, JsonValue]:
    labels = label_texts(data.labels[near], classes)
    verdicts: list[Verdict] = [UNKNOWN] * len(near) if same is None else [RIGHT if one else WRONG for one in same]
    cosines = similarity.tolist()[: len(near)]
    shown = [
        Shown(data.images[number], [f"{verdict.sign}{isolated(label or NO_CLASS)}", f"{cosine:.2f}"], verdict)
        for number, label, cosine, verdict in zip(near.tolist(), labels, cosines, verdicts, strict=True)
    ]
    told: list[JsonValue] = [
        {"name": data.names[number], "class": label, "similarity": cosine}
        for number, label, cosine in zip(near.tolist(), labels, cosines, strict=True)
    ]
    return Row(head, [lead, *shown], leads=True), {"picture": name, "nearest": told}
