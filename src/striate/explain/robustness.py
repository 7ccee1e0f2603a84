"""The chapter on robustness: how much a picture may change before its answer does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from pydantic import JsonValue
from torch import Tensor

from striate.data.dataset import label_texts
from striate.explain.affordable import affordable
from striate.explain.changes import Change, by_distance, usual_changes
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate, Table
from striate.explain.lettering import isolated
from striate.explain.picture_rows import Row, Shown, picture_rows, together
from striate.explain.predictions import NO_CLASS, RIGHT, WRONG, Verdict
from striate.explain.robustness_figures import answered, pictures_figure, shares_figure
from striate.explain.stability import Curves, answer_curves, kept_shares
from striate.explain.subject import Subject

FRAIL = 0.9  # share of answers that a hardly visible change should leave as they are
FEWEST, ENOUGH = 4, 50  # pictures that are tried at least, and from which shares are worth more strengths


@dataclass(frozen=True)
class Scope:
    """How much is computed.

    Args:
        work: Multiply-adds.
        pictures: Most measured pictures.
        every: Which of the strengths are tried.
        curves: Pictures whose curves are drawn.
        worst: Pictures that are shown as they turn.
    """

    work: float
    pictures: int
    every: int
    curves: int
    worst: int


SCOPES: dict[Effort, Scope] = {
    "quick": Scope(work=1.5e10, pictures=200, every=2, curves=3, worst=3),
    "full": Scope(work=6e11, pictures=500, every=1, curves=5, worst=8),
}


@CHAPTERS.register("robustness")
def robustness_chapter(subject: Subject, effort: Effort) -> Chapter:
    """Return how stable answers are to small shifts, rotation, brightness, contrast, blur and noise."""
    scope = SCOPES[effort]
    changes, count = _plan(subject, scope)
    numbers = torch.arange(count) * len(subject.pictures) // count
    images, labels = subject.pictures.images[numbers], subject.evaluation.labels[numbers]
    curves = answer_curves(
        subject.model, images, subject.spec, changes, calibration=subject.card.calibration, numbers=numbers
    )
    part = "" if subject.evaluation.part == "all" else f" of the {subject.evaluation.part} part"
    title = f"Answers to {count:,} pictures{part} that were changed a little"
    caption = (
        "Blue: the share of pictures that keep their answer, with its 95 % interval; dashed: the share of right "
        "answers. The unchanged picture is at the thin upright line."
    )
    told = _mildest(curves)
    plates = [
        Plate("robustness", shares_figure(curves, labels, title), caption, f"Seven curves over strengths. {told}")
    ]
    shares = kept_shares(curves)
    order = shares.argsort(stable=True)
    plates += _picture_plates(subject, scope, changes, curves, images, order)
    worst = [number for number in order.tolist() if shares[number] < 1][: scope.worst]
    if worst:
        rows = [_turned_row(subject, curves, images, numbers, place) for place in worst]
        heading = f"The answers that turn most easily, of {count:,} pictures{part}"
        caption = (
            "Each row begins with the picture as it is; beside it, for each kind of change that turns the answer, the "
            "mildest that does, with the new answer."
        )
        plates.append(
            Plate("robustness-worst", picture_rows(rows, heading), caption, f"{len(rows)} rows of changed pictures.")
        )
    values = _values(curves, labels, numbers, shares, subject)
    return Chapter(
        "robustness",
        "How much a picture may change",
        [told, *_about(shares)],
        plates,
        [_table(curves, labels)],
        values,
        list(_warnings(curves)),
    )


def _plan(subject: Subject, scope: Scope) -> tuple[list[Change], int]:
    """Return the changes and how many pictures are tried: of costly networks fewer strengths and pictures."""
    side = min(subject.spec.picture_shape[1:])
    count = 0
    changes = list[Change]()
    for every in (scope.every, 2 * scope.every):
        changes = usual_changes(side, every=every)
        passes = subject.spec.views * (1 + sum(len(change.strengths) - 1 for change in changes))
        count = affordable(subject.model, subject.spec, scope.work / passes, scope.pictures)
        if count >= ENOUGH:
            break
    return changes, min(max(count, FEWEST), len(subject.pictures))


def _picture_plates(
    subject: Subject,
    scope: Scope,
    changes: Sequence[Change],
    curves: Sequence[Curves],
    images: Tensor,
    order: Tensor,
) -> Iterator[Plate]:
    """Yield the curves of single pictures: those given, or from the least to the most stable of those measured."""
    if subject.given is not None:
        chosen = torch.arange(min(len(subject.given.images), scope.curves))
        images = subject.given.images[chosen]
        curves = answer_curves(
            subject.model, images, subject.spec, changes, calibration=subject.card.calibration, numbers=chosen
        )
        title = "The answers to the given pictures as they change"
    else:
        count = min(scope.curves, len(order))
        chosen = order[(torch.arange(count) * (len(order) - 1) / max(count - 1, 1)).round().long()]
        title = "Single pictures, from the least to the most stable answer" if count > 1 else "A single picture"
    figure = pictures_figure(curves, images, chosen.tolist(), subject.classes, title)
    caption = (
        "The probability of the answer that the unchanged picture gets, over the strength of each change. A cross is "
        "where another answer is given."
    )
    yield Plate("robustness-pictures", figure, caption, f"{len(chosen)} pictures, each with a curve per change.")


def _turned_row(subject: Subject, curves: Sequence[Curves], images: Tensor, numbers: Tensor, place: int) -> Row:
    """Return a picture and, for each change that turns its answer, the mildest version that does."""
    number = int(numbers[place])
    (true,) = label_texts(subject.evaluation.labels[number][None], subject.classes)
    right = bool(subject.right[number])
    tried = sum(len(one.change.strengths) - 1 for one in curves)
    kept = tried - sum(int((~one.kept[:, place]).sum()) for one in curves)
    verdict: Verdict = RIGHT if right else WRONG
    answer, share = answered(curves, place, subject.classes)
    lead = Shown(images[place], together(f"{verdict.sign}{isolated(answer)}", share), verdict)
    shown = [lead]
    for one in curves:
        turned = one.first_turned(place)
        if turned is None:
            continue
        strength = one.change.strengths[turned]
        changed = one.change.apply(images[place : place + 1], strength, numbers[place : place + 1])[0]
        (said,) = label_texts(one.answers[turned, place][None], subject.classes)
        verdict = RIGHT if said == true else WRONG
        sure = 100 * float(one.confidence[turned, place])
        lines = [
            *together(one.change.name, one.change.written(strength)),
            *together(f"{verdict.sign}{isolated(said or NO_CLASS)}", f"{sure:.0f} %"),
        ]
        shown.append(Shown(changed, lines, verdict))
    head = f"true: {{}}; {kept} of {tried} changed versions keep the answer"
    return Row(head, shown, leads=True, names=[true or NO_CLASS])


def _mildest(curves: Sequence[Curves]) -> str:
    """Say which change turns most answers, and which fewest."""
    kept = {one.change.name: float(one.kept_share[list(by_distance(one.change))].mean()) for one in curves}
    weak, strong = min(kept, key=lambda name: kept[name]), max(kept, key=lambda name: kept[name])
    if kept[weak] == 1:
        return "Nothing that was tried turns any answer."
    return (
        f"Of all that was tried, {weak} turns most answers: {100 * kept[weak]:.1f} % are kept over its strengths; "
        f"{strong} turns fewest: {100 * kept[strong]:.1f} % are kept."
    )


def _about(shares: Tensor) -> Iterator[str]:
    if len(shares) < ENOUGH:
        yield f"Only {len(shares)} pictures were tried: the shares are rough, as their intervals say."
    unmoved = int((shares == 1).sum())
    yield (
        f"{unmoved:,} of {len(shares):,} pictures keep their answer whatever is done to them here. A picture is "
        "mirrored at its edges where a shift or turn would bring in nothing; a picture's noise is its own, and the "
        "same at every strength but for its size."
    )


def _table(curves: Sequence[Curves], labels: Tensor) -> Table:
    rows = []
    for one in curves:
        places = by_distance(one.change)
        right = one.right(labels).double().mean(1)
        for place in dict.fromkeys([*_ends(places, one.change)]):
            low, high = one.kept_interval[place]
            rows.append(
                [
                    one.change.name,
                    one.change.written(one.change.strengths[place]),
                    f"{100 * float(one.kept_share[place]):.1f} %",
                    f"{100 * low:.1f}–{100 * high:.1f} %",
                    f"{100 * float(right[place]):.1f} %",
                ]
            )
    columns = ["change", "strength", "answers kept", "95 % interval", "right answers"]
    return Table(columns, rows, "What the mildest and the strongest of each change do to the answers.")


def _ends(places: Sequence[int], change: Change) -> list[int]:
    """Return the mildest and the strongest strengths, on both sides where there are two."""
    two = change.strengths[0] != change.neutral
    mild, strong = list(places[: 1 + two]), list(places[-1 - two :])
    return [*mild, *strong]


def _warnings(curves: Sequence[Curves]) -> Iterator[str]:
    for one in curves:
        places = _ends(by_distance(one.change), one.change)
        mild = places[: len(places) // 2]
        worst = min(mild, key=lambda place: float(one.kept_share[place]))
        low, high = one.kept_interval[worst]
        if high < FRAIL:
            yield (
                f"{one.change.name} {one.change.written(one.change.strengths[worst])} turns "
                f"{100 - 100 * float(one.kept_share[worst]):.0f} % of the answers "
                f"(95 %: {100 - 100 * high:.0f}–{100 - 100 * low:.0f} %); augmentation in training helps."
            )


def _values(
    curves: Sequence[Curves], labels: Tensor, numbers: Tensor, shares: Tensor, subject: Subject
) -> dict[str, JsonValue]:
    changes: dict[str, JsonValue] = {
        one.change.name: {
            "strengths": list(one.change.strengths),
            "kept": one.kept_share.tolist(),
            "kept_interval": [list(interval) for interval in one.kept_interval],
            "right": one.right(labels).double().mean(1).tolist(),
            "probability": one.probability.double().mean(1).tolist(),
        }
        for one in curves
    }
    worst = shares.argsort(stable=True)[:10].tolist()
    return {
        "pictures": len(numbers),
        "changes": changes,
        "never_turned": int((shares == 1).sum()),
        "least_stable": [
            {"picture": subject.pictures.names[int(numbers[place])], "kept": float(shares[place])} for place in worst
        ],
    }
