"""The chapter on saliency: where the network looks for its answer, and whether these maps deserve trust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import JsonValue
from torch import Tensor

from striate.core.errors import SettingsError
from striate.data.dataset import label_texts
from striate.evaluation import Evaluation
from striate.evaluation.decision import confidence, decide, is_right, to_probabilities
from striate.evaluation.metrics import wilson_interval
from striate.evaluation.views import view_logits
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate, Table
from striate.explain.lettering import printable, text_width, wrapped
from striate.explain.predictions import NO_CLASS, RIGHT, UNKNOWN, WRONG, Verdict
from striate.explain.saliency.deletion import random_orders
from striate.explain.saliency.depth import Depth, affordable, depth_for
from striate.explain.saliency.figure import SIDE, TYPE, Row, saliency_figure
from striate.explain.saliency.grade import Grade, grade_maps
from striate.explain.saliency.layer import choose_layer
from striate.explain.saliency.maps import METHODS, Maps, saliency
from striate.explain.saliency.randomise import randomised
from striate.explain.saliency.score import looking
from striate.explain.subject import Subject

ON_A_PLATE = 6

ABOUT = (
    "Colour shows what speaks for the network's answer. {methods}Every map is graded: cells are taken away in the "
    "map's order (deletion) and shown in it (insertion), and the answer's probability is compared with what random "
    "orders do to it (Petsiuk et al. 2018); and the map is compared with those of the same network with randomised "
    "weights, by the correlation of ranks (Adebayo et al. 2018). A map is good where insertion and deletion gain a "
    "tenth of the possible or more over random orders, both of them, and randomised weights give another map "
    "(correlation under 0.5). It fails where they gain less than a twentieth, where randomised weights give the same "
    "map (0.7 or more), or where an empty picture gets this answer, too. What fails is not to be believed."
)


@dataclass(frozen=True, eq=False)
class Asked:
    """The pictures to explain, with what the network says of them.

    Args:
        images: uint8, N C H W; what the network sees.
        names: One each.
        said: Their answer, as text.
        shares: Its probability.
        targets: int64, N; the class to explain: the answer, or the most probable class.
        true: Their classes as text, where they are known.
        verdicts: How each is framed.
    """

    images: Tensor
    names: Sequence[str]
    said: Sequence[str]
    shares: Sequence[float]
    targets: Tensor
    true: Sequence[str] | None
    verdicts: Sequence[Verdict]


@CHAPTERS.register("saliency")
def saliency_chapter(subject: Subject, effort: Effort) -> Chapter:
    """Return the maps of the given pictures, or of examples, with their grades."""
    passes = affordable(subject.model, subject.spec.input_shape, effort)
    depth, count = depth_for(passes, effort, None if subject.given is None else len(subject.given.images))
    asked = _asked(subject, count)
    learned = has_learned(subject.evaluation)
    maps, grades = _look(subject, asked, depth, learned)
    plates = [
        _plate(asked, maps, grades, range(start, min(start + ON_A_PLATE, len(asked.names))))
        for start in range(0, len(asked.names), ON_A_PLATE)
    ]
    return Chapter(
        name="saliency",
        title="Where it looks",
        text=[ABOUT.format(methods=_methods(maps))],
        plates=plates,
        tables=[_methods_table(maps, grades), _pictures_table(asked, maps, grades)],
        values=_values(asked, maps, grades),
        warnings=_warnings(subject, asked, maps, grades, learned),
    )


def has_learned(evaluation: Evaluation) -> bool:
    """Return whether a network answers better than one that always says the same.

    Its share of right answers has to lie above that of the most frequent class, by all of its 95 % interval; of any
    number of classes each, all answers count, one for each picture and class.
    """
    labels = evaluation.labels
    if labels.ndim == 2:
        usual = labels.double().mean(0)
        correct, count = float((evaluation.predictions == labels).sum()), labels.numel()
        return wilson_interval(correct, count)[0] > float(usual.maximum(1 - usual).mean())
    most = int(torch.bincount(labels).max())
    return evaluation.interval[0] > most / len(labels) or evaluation.correct == len(labels) > most


def _asked(subject: Subject, count: int) -> Asked:
    """Return the given pictures, or examples of those measured, with the answers they get."""
    spec = subject.spec
    if subject.given is None:
        numbers = subject.examples(count)
        images, labels = subject.pictures.images[numbers], subject.evaluation.labels[numbers]
        names = [subject.pictures.names[number] for number in numbers.tolist()]
        predictions = subject.evaluation.predictions[numbers]
        probabilities = subject.evaluation.probabilities[numbers]
        right = is_right(predictions, labels).tolist()
        true = [text or NO_CLASS for text in label_texts(labels, subject.classes)]
        verdicts = [RIGHT if one else WRONG for one in right]
    else:
        images, names, true = subject.given.images[:count], list(subject.given.names[:count]), None
        with looking(subject.model), torch.no_grad():
            logits = view_logits(subject.model, subject.inputs(images), spec).cpu()
        calibration = subject.card.calibration
        predictions = decide(logits, spec.multi_label)
        probabilities = to_probabilities(calibration.apply(logits) if calibration else logits, spec.multi_label)
        verdicts = [UNKNOWN] * len(names)
    if tuple(images.shape[1:]) == spec.picture_shape:
        images = images[:, :, *spec.centre]
    return Asked(
        images,
        names,
        [text or NO_CLASS for text in label_texts(predictions, subject.classes)],
        confidence(probabilities, predictions).tolist(),
        probabilities.argmax(1),
        true,
        verdicts,
    )


def _look(subject: Subject, asked: Asked, depth: Depth, learned: bool) -> tuple[list[Maps], list[list[Grade]]]:
    """Return the maps of each method and their grades."""
    model, multi_label = subject.model, subject.spec.multi_label
    inputs, targets = subject.inputs(asked.images), asked.targets.to(subject.device)
    methods, layer = depth.methods, subject.layer
    if layer is None:
        try:
            layer = choose_layer(model, inputs, targets)
        except SettingsError:  # the network has no map but the picture itself
            methods = tuple(method for method in methods if not METHODS[method].at_layer) or ("occlusion",)
    twins = [randomised(model, seed) for seed in range(depth.twins)]
    chance = random_orders(model, inputs, targets, multi_label, depth.steps, depth.orders)
    maps = [saliency(model, inputs, method, targets, layer) for method in methods]
    grades = [grade_maps(model, inputs, one, twins, learned, multi_label, depth.steps, chance) for one in maps]
    return maps, grades


def _plate(asked: Asked, maps: Sequence[Maps], grades: Sequence[Sequence[Grade]], numbers: range) -> Plate:
    rows = [Row(asked.images[n], _said(asked, n), asked.verdicts[n]) for n in numbers]
    part = slice(numbers.start, numbers.stop)
    shown = [
        Maps(one.method, one.values[part], one.targets[part], one.layer, one.blank[part], one.notes[part])
        for one in maps
    ]
    some = [graded[part] for graded in grades]
    figure = saliency_figure(rows, shown, some, "What speaks for the answer")
    sheet = numbers.start // ON_A_PLATE + 1
    words = [grade.word for graded in some for grade in graded]
    return Plate(
        name="saliency" if len(asked.names) <= ON_A_PLATE else f"saliency-{sheet}",
        figure=figure,
        caption=(
            "Each picture with the network's answer and its probability, beside the maps of what speaks for that "
            "answer, each with its grade. A map that fails is not to be believed, however convincing it looks."
        ),
        alt=f"Saliency maps of {len(rows)} pictures by {', '.join(one.title for one in maps)}; of these maps "
        f"{words.count('good')} are good, {words.count('weak')} weak and {words.count('fails')} fail.",
    )


def _said(asked: Asked, number: int) -> list[str]:
    """Return the lines under a picture."""
    sign = asked.verdicts[number].sign
    answer = wrapped(f"{sign}{asked.said[number]}", SIDE, TYPE, 1)[0]
    share = f"{100 * asked.shares[number]:.1f} %"
    lines = [f"{answer}  {share}"] if text_width(f"{answer}  {share}", TYPE) <= SIDE else [answer, share]
    if asked.true is not None:
        lines += wrapped(f"true: {asked.true[number]}", SIDE, TYPE, 1)
    else:
        lines += [wrapped(asked.names[number][::-1], SIDE, TYPE, 1)[0][::-1]]
    return lines


def _methods(maps: Sequence[Maps]) -> str:
    at = [one for one in maps if one.layer]
    if not at:
        return ""
    return f"{' and '.join(one.title for one in at)} {'look' if len(at) > 1 else 'looks'} at layer {at[0].layer}. "


def _methods_table(maps: Sequence[Maps], grades: Sequence[Sequence[Grade]]) -> Table:
    def mean(values: Sequence[float]) -> str:
        return f"{sum(values) / len(values):.2f}" if values else "–"

    rows = []
    for one, graded in zip(maps, grades, strict=True):
        drawn = [grade for grade, blank in zip(graded, one.blank, strict=True) if blank is None]
        words = [grade.word for grade in graded]
        figures = [[g.deletion for g in drawn], [g.insertion for g in drawn], [g.chance for g in drawn]]
        rows.append(
            [
                one.title + (f" ({one.layer})" if one.layer else ""),
                *(str(words.count(word)) for word in ("good", "weak", "fails")),
                *(mean(values) for values in figures),
                mean([g.correlation for g in drawn]),
            ]
        )
    return Table(
        ["method", "good", "weak", "fails", "deletion", "insertion", "random order", "correlation, random weights"],
        rows,
        "How many maps got each grade, and the means of what they are graded by, over the maps that are not blank. "
        "Deletion is better when lower, insertion when higher, than random orders.",
    )


def _pictures_table(asked: Asked, maps: Sequence[Maps], grades: Sequence[Sequence[Grade]]) -> Table:
    rows = [
        [
            printable(asked.names[number]),
            f"{asked.said[number]}, {100 * asked.shares[number]:.1f} %",
            *(f"{graded[number].word}{_because(graded[number], one.notes[number])}" for one, graded in both),
        ]
        for both in [list(zip(maps, grades, strict=True))]
        for number in range(len(asked.names))
    ]
    return Table(["picture", "answer", *(one.title for one in maps)], rows, "Each map's grade, and why it is not good.")


def _because(grade: Grade, note: str) -> str:
    why = "; ".join(text for text in (grade.reason, note) if text)
    return f" ({why})" if why else ""


def _values(asked: Asked, maps: Sequence[Maps], grades: Sequence[Sequence[Grade]]) -> dict[str, JsonValue]:
    methods: dict[str, JsonValue] = {
        one.method: {
            "layer": one.layer,
            "maps": [
                {
                    "grade": grade.word,
                    "reason": grade.reason,
                    "blank": blank is not None,
                    "note": note,
                    "deletion": grade.deletion,
                    "insertion": grade.insertion,
                    "random_order": grade.chance,
                    "gap": grade.gap,
                    "correlation": grade.correlation,
                }
                for grade, blank, note in zip(graded, one.blank, one.notes, strict=True)
            ],
        }
        for one, graded in zip(maps, grades, strict=True)
    }
    return {
        "pictures": list(asked.names),
        "answers": list(asked.said),
        "probabilities": list(asked.shares),
        "methods": methods,
    }


def _warnings(
    subject: Subject, asked: Asked, maps: Sequence[Maps], grades: Sequence[Sequence[Grade]], learned: bool
) -> list[str]:
    found = []
    if not learned:
        found.append("The network answers no better than one that always says the same: no map can explain it.")
    elif all(grade.word == "fails" for graded in grades for grade in graded):
        found.append("Every map fails: none of them shows what the network goes by.")
    for one in maps:
        blank = [asked.names[number] for number, reason in enumerate(one.blank) if reason is not None]
        if blank:
            named = ", ".join(printable(name) for name in blank[:3]) + (" and others" if len(blank) > 3 else "")
            found.append(f"{one.title} gives no map of {named}: {one.remedy}.")
    if subject.given is not None and len(subject.given.images) > len(asked.names):
        found.append(f"{len(asked.names)} of {len(subject.given.images):,} pictures are explained, the first.")
    return found
