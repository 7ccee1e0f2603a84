"""The chapter on shortcuts: average maps of the classes, and whether a corner, an edge or the border decides."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import JsonValue
from torch import Tensor

from striate.core.errors import SettingsError
from striate.core.random import permutation
from striate.evaluation.metrics import wilson_interval
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate, Table
from striate.explain.saliency.alarm import Alarm, alarms
from striate.explain.saliency.class_maps import ClassMap, class_maps
from striate.explain.saliency.depth import affordable
from striate.explain.saliency.layer import choose_layer
from striate.explain.saliency.maps import Maps, saliency
from striate.explain.saliency.shortcut_figure import Cell, shortcut_figure
from striate.explain.saliency.transplant import Outcome, Region, answer_flags, regions, transplants
from striate.explain.subject import Subject
from striate.models.batch import comfortable_batch

MOST_CLASSES, MOST_PICTURES, MOST_PAIRS = 12, 20, 1000
LEAST_PAIRS = 12  # one and all of them following is then evidence
ENOUGH_PAIRS = 40  # to look at every region at once
PIECES = 13  # that are exchanged for all regions: nine, and four in the middle
SUSPECT = 0.45  # share of answers that follow the border or are lost with it, from which its parts are looked at
MORE = 2  # times the room of other chapters: fewer pairs could tell nothing
INTEGRATED, GRAD_CAM = 48, 3  # passes per picture
FEW = 3  # pictures of a class, fewer of which make no average

ABOUT = (
    "Do the answers come from the thing, or from something that happens to lie beside it? Each corner, each edge and "
    "the border is taken from a picture of one class and put into a picture of another. An alarm means that answers "
    "follow it (more than 15 % take the class of the picture it came from; of the whole border, more than half), or "
    "hang on it: more than 10 % are lost with a corner, and more than twice as many as with the other corners; or more "
    "than 25 % with an edge or half with the border, and more than twice as many as with the middle. Shares have to be "
    "so far above these limits that one report in a hundred, or fewer, would have an alarm by chance. Then look at the "
    "pictures: a logo, a date, a frame, a background that only this class has. A thing that fills the picture may "
    "reach into a region rightly."
)
QUIET = "No region carries the decision: the answers stay with the rest of the picture."


@CHAPTERS.register("shortcuts")
def shortcut_chapter(subject: Subject, effort: Effort) -> Chapter:
    """Return the average map of each class, and an alarm where a corner, an edge or the border decides."""
    passes = MORE * affordable(subject.model, subject.spec.input_shape, effort)
    right = subject.right.nonzero().squeeze(1)
    answers = answer_flags(subject.evaluation.predictions, len(subject.classes))
    kinds = len(answers[right].unique(dim=0))
    if passes < 2 * LEAST_PAIRS:
        return _nothing("One look at this network takes too long to try it in passing: striate explain does.")
    if kinds < 2 or len(right) < LEAST_PAIRS:
        return _nothing(
            f"{len(right)} pictures of {kinds} kinds are answered rightly; "
            f"to exchange parts of them takes {LEAST_PAIRS} or more, of two kinds."
        )
    found = _tried(subject, right, answers, passes // 2)
    raised = alarms(found)
    averages, how = _averages(subject, right, passes // 2, [alarm.label for alarm in raised])
    sentences = [_sentence(subject, alarm) for alarm in _worst(raised)]
    title = f"Where each class is decided, on average ({how.title})" if how else ""
    plates = []
    if averages:
        cells = [Cell(subject.classes[one.label], one, _marked(one, raised, found)) for one in averages]
        plates.append(
            Plate(
                name="shortcuts",
                figure=shortcut_figure(cells, title, sentences),
                caption="The average of what speaks for each class, over the mean of its pictures. "
                + ("Outlined: regions that carry the decision." if raised else QUIET),
                alt="Average saliency maps of "
                + ", ".join(cell.name for cell in cells)
                + ". "
                + (" ".join(sentences) or QUIET),
            )
        )
    return Chapter(
        name="shortcuts",
        title="Shortcuts",
        text=[ABOUT, *([] if raised else [QUIET])],
        plates=plates,
        tables=[_table(subject, found, averages)],
        values=_values(subject, found, raised, averages, how),
        warnings=sentences,
    )


def _nothing(why: str) -> Chapter:
    return Chapter(name="shortcuts", title="Shortcuts", text=[why], values={"tried": False, "alarms": []})


def _tried(subject: Subject, right: Tensor, answers: Tensor, passes: int) -> list[Outcome]:
    """Return what became of the transplants: of every region, or of the border first where passes are few.

    What lies in a corner or at an edge lies at the border: if hardly an answer follows that, none has to be looked for
    in its parts.
    """
    places = regions(*subject.spec.input_shape[1:])
    thorough = passes // PIECES >= ENOUGH_PAIRS
    count = max(LEAST_PAIRS, min(passes // (PIECES if thorough else 2), MOST_PAIRS, len(right)))
    numbers = _by_turns(answers, right, 2 * count)
    inputs, flags = subject.inputs(subject.pictures.images[numbers]), answers[numbers]
    multi_label = subject.spec.multi_label
    if thorough:
        return transplants(subject.model, inputs, flags, places, count, multi_label)
    (border,) = transplants(subject.model, inputs, flags, places[-1:], count, multi_label)
    most = max(_share(border.followed, border.tried), _share(border.lost, border.had))
    if most < SUSPECT:
        return [border]
    return [*transplants(subject.model, inputs, flags, places[:-1], count, multi_label), border]


def _share(counts: Tensor, of: Tensor) -> float:
    """Return the largest share of any class."""
    return float((counts / of.clamp_min(1)).max())


def _by_turns(answers: Tensor, numbers: Tensor, count: int) -> Tensor:
    """Return up to `count` of the pictures, int64, as many of each kind of answer as there are, in a random order."""
    mixed = numbers[permutation(0, 0, len(numbers))]
    _, kind = answers[mixed].unique(dim=0, return_inverse=True)
    turn = torch.zeros_like(kind)
    for number in range(int(kind.max()) + 1):
        own = kind == number
        turn[own] = torch.arange(int(own.sum()))
    return mixed[turn.argsort(stable=True)[:count]]


def _averages(
    subject: Subject, right: Tensor, passes: int, suspected: Sequence[int | None]
) -> tuple[list[ClassMap], Maps | None]:
    """Return the average maps of some classes, those under suspicion among them, and how they were made."""
    flags = answer_flags(subject.evaluation.predictions, len(subject.classes))[right]
    counts = flags.sum(0)
    order = sorted(
        (label for label in range(len(counts)) if counts[label] > 0),
        key=lambda label: (label not in suspected, -int(counts[label])),
    )
    labels = sorted(order[:MOST_CLASSES])
    per_class = passes // len(labels)
    method = "integrated-gradients" if per_class >= FEW * INTEGRATED else "grad-cam"
    each = min(MOST_PICTURES, max(1, per_class // (INTEGRATED if method == "integrated-gradients" else GRAD_CAM)))
    chosen = [(int(right[one]), label) for label in labels for one in flags[:, label].nonzero()[:each, 0]]
    images = subject.pictures.images[torch.tensor([number for number, _ in chosen])]
    if tuple(images.shape[1:]) == subject.spec.picture_shape:
        images = images[:, :, *subject.spec.centre]
    targets = torch.tensor([label for _, label in chosen], device=subject.device)
    batch = comfortable_batch(subject.model, subject.spec)
    layer = subject.layer
    try:
        if method == "grad-cam" and layer is None:
            layer = choose_layer(subject.model, subject.inputs(images[:4]), targets[:4])
        parts = [
            saliency(subject.model, subject.inputs(some), method, theirs, layer, rough=True)
            for some, theirs in zip(images.split(batch), targets.split(batch), strict=True)
        ]
    except SettingsError:
        if subject.layer is not None:
            raise
        return [], None  # no stage of the network has a map: the transplants need none
    maps = Maps(
        method,
        torch.cat([one.values for one in parts]),
        targets,
        parts[0].layer,
        [reason for one in parts for reason in one.blank],
        [note for one in parts for note in one.notes],
    )
    return class_maps(images, maps, labels), maps


def _worst(raised: Sequence[Alarm]) -> list[Alarm]:
    """Return the alarms to speak of: of all classes together before single ones, of parts before the whole border."""
    for chosen in ([one for one in raised if one.label is None], list(raised)):
        parts = [alarm for alarm in chosen if alarm.region != "border"] or chosen
        if parts:
            told: dict[tuple[str, int | None], Alarm] = {}
            for alarm in parts:
                told.setdefault((alarm.region, alarm.label), alarm)
            return list(told.values())[:4]
    return []


def _sentence(subject: Subject, alarm: Alarm) -> str:
    of = "" if alarm.label is None else f" of {subject.classes[alarm.label]}"
    share = f"{100 * alarm.share:.0f} % of answers"
    if alarm.follows:
        return f"Shortcut? {share} ({alarm.count:,} of {alarm.tried:,}) follow the {alarm.region}{of} elsewhere."
    where = "another corner, on average" if alarm.region.endswith("corner") else "as much of the middle"
    return (
        f"Shortcut? {share}{of} are lost with the {alarm.region} ({alarm.count:,} of {alarm.tried:,}; "
        f"with {where}, {alarm.elsewhere:.0f})."
    )


def _marked(one: ClassMap, raised: Sequence[Alarm], found: Sequence[Outcome]) -> list[Region]:
    """Return the regions to outline: those that carry this class, the border only where no part of it does."""
    names = {alarm.region for alarm in raised if alarm.label == one.label}
    names |= {alarm.region for alarm in _worst(raised) if alarm.label is None}
    if len(names) > 1:
        names.discard("border")
    return [result.region for result in found if result.region.name in names]


def _table(subject: Subject, found: Sequence[Outcome], averages: Sequence[ClassMap]) -> Table:
    def share(counts: Tensor, of: Tensor) -> str:
        some, all_ = int(counts.sum()), int(of.sum())
        low, high = wilson_interval(some, all_)
        most = int((counts / of.clamp_min(1)).argmax())
        worst = f"; {subject.classes[most]} {100 * int(counts[most]) / max(int(of[most]), 1):.0f} %" if some else ""
        return f"{100 * some / max(all_, 1):.1f} % ({100 * low:.1f}–{100 * high:.1f}){worst}"

    rows = []
    for one in found:
        shares = [value for value in (average.share(one.region.mask) for average in averages) if value is not None]
        rows.append(
            [
                one.region.name,
                f"{100 * one.region.area:.0f} %",
                f"{100 * sum(shares) / len(shares):.0f} %" if shares else "–",
                share(one.followed, one.tried),
                share(one.lost, one.had),
                f"{100 * int(one.lost_with_middle.sum()) / max(int(one.had.sum()), 1):.1f} %",
            ]
        )
    return Table(
        ["region", "of the picture", "of what speaks for the class", "answers that follow it", "lost with it",
         "lost with the middle"],
        rows,
        f"Regions exchanged in {int(found[0].tried.sum()):,} rightly answered pictures with pictures of other classes; "
        "95 % intervals, and the class of the largest share.",
    )  # fmt: skip


def _values(
    subject: Subject,
    found: Sequence[Outcome],
    raised: Sequence[Alarm],
    averages: Sequence[ClassMap],
    how: Maps | None,
) -> dict[str, JsonValue]:
    return {
        "tried": True,
        "method": how.method if how else None,
        "layer": how.layer if how else None,
        "regions": {
            one.region.name: {
                "area": one.region.area,
                "tried": one.tried.tolist(),
                "followed": one.followed.tolist(),
                "had": one.had.tolist(),
                "lost": one.lost.tolist(),
                "lost_with_middle": one.lost_with_middle.tolist(),
                "shares": {subject.classes[average.label]: average.share(one.region.mask) for average in averages},
            }
            for one in found
        },
        "alarms": [
            {
                "region": alarm.region,
                "class": None if alarm.label is None else subject.classes[alarm.label],
                "follows": alarm.follows,
                "count": alarm.count,
                "tried": alarm.tried,
                "elsewhere": alarm.elsewhere,
            }
            for alarm in raised
        ],
    }
