"""What single channels, and the classes, look for: the pictures that excite them most, and one made to do so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from pydantic import JsonValue
from torch import Tensor

from striate.data.dataset import ImageDataset, label_texts
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate
from striate.explain.excitation import Excitation, most_exciting
from striate.explain.feature_maps import modules_of, seen
from striate.explain.lettering import printable
from striate.explain.subject import Subject
from striate.explain.synthesis import Target, synthesise
from striate.explain.tiles import DPI, Tile, picture_colours, tile_sheet
from striate.models.batch import comfortable_batch
from striate.models.receptive import Fields, receptive_fields
from striate.models.summary import summarize

LARGE_PICTURE, PHOTOGRAPH_DPI = 100, 110  # pixels of side beyond which a sheet would be a large file
LARGE_FIELD = 0.75  # of a side, from which a box says less than the map itself
MAX_CLASSES = 10
EVEN = 8  # of 255, up to which a picture's values look alike
AREA_SIDE = 56  # values of side to which a map is smoothed
SEED = 0


@dataclass(frozen=True)
class Extent:
    """How much is looked at.

    Args:
        layers: Stages, from the last one back.
        channels: Per stage.
        pictures: Per channel.
        looking: Multiply-adds that looking at the pictures may take; fewer pictures are looked at where it would be
            more, but never fewer than 64.
        making: Multiply-adds that making pictures may take; none are made where one would take more.
        steps: Of the search for a picture.
    """

    layers: int
    channels: int
    pictures: int
    looking: float
    making: float
    steps: int


LEAST_PICTURES = 64
EXTENTS = {
    "quick": Extent(layers=2, channels=3, pictures=5, looking=1e10, making=2.5e10, steps=40),
    "full": Extent(layers=6, channels=6, pictures=8, looking=1e13, making=1.2e12, steps=100),
}


@dataclass(frozen=True, eq=False)
class Row:
    """One channel or class in a figure.

    Args:
        label: What it is.
        pictures: Those that excite it, uint8, k C H W.
        texts: Under each of them.
        boxes: Receptive field of the most excited value in each, (top, left, bottom, right); or none.
        areas: The map of each over its largest value, float h w; or none.
        made: The picture made for it, uint8 C H W; or none.
        found: Whether making it raised the excitation.
    """

    label: str
    pictures: Tensor
    texts: Sequence[str]
    boxes: Sequence[tuple[float, float, float, float]] | None = None
    areas: Tensor | None = None
    made: Tensor | None = None
    found: bool = True


def excitation_figure(rows: Sequence[Row], title: str) -> Figure:
    """Return the figure: a row per channel, the picture made for it first, then those that excite it most."""
    tiles = []
    for row in rows:
        cells = [] if row.made is None else [Tile(picture_colours(row.made), _about_made(row), framed=True)]
        for number, (picture, text) in enumerate(zip(row.pictures, row.texts, strict=True)):
            box = None if row.boxes is None else row.boxes[number]
            area = None if row.areas is None else around_peak(_smooth(row.areas[number])).numpy()
            cells.append(Tile(picture_colours(picture), text, box=box, area=area))
        tiles.append(cells)
    dpi = PHOTOGRAPH_DPI if max(rows[0].pictures.shape[2:]) > LARGE_PICTURE else DPI
    made = ["made for it"] if rows[0].made is not None else []
    heads = [*made, "most exciting"]
    return tile_sheet(tiles, title, labels=[row.label for row in rows], heads=heads, side=0.78, dpi=dpi)


def _about_made(row: Row) -> str:
    """Return what stands under the picture that was made: nothing where there is something to see."""
    assert row.made is not None
    if not row.found:
        return "nothing found"
    return "one even tone" if int(row.made.max()) - int(row.made.min()) <= EVEN else ""


def around_peak(area: Tensor) -> Tensor:
    """Return a map h w, over its largest value, without strong places (half or more) that do not touch the peak's."""
    strong = area >= 0.5
    region = torch.zeros_like(area)
    region.view(-1)[area.argmax()] = 1.0
    while True:
        grown = F.max_pool2d(region[None], 3, 1, 1)[0] * strong
        if grown.equal(region):
            return area.where((region > 0) | ~strong, torch.zeros(()))
        region = grown


def _smooth(area: Tensor) -> Tensor:
    """Return a map h w at a size at which a line round its large values is smooth."""
    size = [max(side, AREA_SIDE) for side in area.shape]
    return F.interpolate(area[None, None], size, mode="bicubic")[0, 0]


def telling_channels(found: Excitation, count: int) -> Tensor:
    """Return the channels whose excitation differs most from picture to picture, int64, at most `count`.

    Channels that answer alike to all pictures are left out.
    """
    order = found.deviation.argsort(descending=True, stable=True)
    return order[~found.silent[order]][:count]


@CHAPTERS.register("channels")
def chapter(subject: Subject, effort: Effort) -> Chapter:
    """Show what excites the channels of the later stages, and the classes, most."""
    extent = EXTENTS[effort]
    work = sum(layer.multiply_adds for layer in summarize(subject.model, subject.spec.input_shape))
    numbers = _spread(len(subject.pictures), max(LEAST_PICTURES, int(extent.looking / max(work, 1))))
    modules = modules_of(subject.model, subject.layer)
    modules = {name: modules[name] for name in list(modules)[-extent.layers :]}
    together = comfortable_batch(subject.model, subject.spec)
    batches = (subject.inputs(subject.pictures.images[some]) for some in numbers.split(together))
    found = {
        name: replace(layer, pictures=numbers[layer.pictures])
        for name, layer in most_exciting(subject.model, batches, modules, extent.pictures).items()
    }
    fields = receptive_fields(subject.model, modules, subject.spec.input_shape)
    chosen = {name: telling_channels(found[name], extent.channels).tolist() for name in found}
    classes = _shown_classes(subject.pictures)
    affordable = int(extent.making / (3 * extent.steps * max(work, 1)))  # forward once, backward twice as much
    made = _made(subject, chosen, classes, affordable, extent.steps)
    plates = [_class_plate(subject, classes, extent.pictures, made)]
    for name in reversed(found):
        if chosen[name]:
            plates.append(_layer_plate(subject, name, found[name], chosen[name], fields[name], made))
    values = {name: _values(found[name], chosen[name], subject.pictures) for name in found}
    text = [
        "A channel is known by what it answers to: the pictures that excite it most, and a picture made for nothing "
        "else, by gradient ascent from noise."
    ]
    if not made:
        text.append("Making pictures takes longer than this look affords; `striate explain` does it.")
    elif len(made) < len(classes) + sum(map(len, chosen.values())):
        text.append(f"Pictures were made for {len(made)} of them; for all it would take too long.")
    rises = {target: [before, after] for target, (_, before, after) in made.items()}
    values["made"] = [
        {"layer": target.layer, "channel": target.channel, "before": before, "after": after}
        for target, (before, after) in rises.items()
    ]
    return Chapter("channels", "What channels and classes look for", text, plates, values=values)


def _spread(total: int, count: int) -> Tensor:
    """Return `count` numbers of pictures at equal distances, int64, or all of them."""
    count = min(count, total)
    return torch.arange(count) * total // count


def _shown_classes(pictures: ImageDataset) -> list[int]:
    """Return the classes to show: of many those with the most pictures, in their own order."""
    counts = torch.tensor(pictures.class_counts())
    return counts.argsort(descending=True, stable=True)[:MAX_CLASSES].sort()[0].tolist()


Made = dict[Target, tuple[Tensor, float, float]]  # picture, excitation before and after


def _made(subject: Subject, chosen: dict[str, list[int]], classes: Sequence[int], affordable: int, steps: int) -> Made:
    """Return pictures made for classes and channels, figure by figure while all of a figure's can be afforded."""
    groups = [[Target(label) for label in classes]]
    groups += [[Target(channel, name) for channel in channels] for name, channels in reversed(chosen.items())]
    targets: list[Target] = []
    for group in groups:
        if len(targets) + len(group) <= affordable:
            targets += group
    if not targets:
        return {}
    result = synthesise(subject.model, subject.spec, targets, steps, SEED)
    numbers = zip(result.before.tolist(), result.after.tolist(), strict=True)
    return {target: (image, *both) for target, image, both in zip(targets, result.images, numbers, strict=True)}


def _class_plate(subject: Subject, classes: Sequence[int], count: int, made: Made) -> Plate:
    logits = subject.evaluation.logits
    truths = label_texts(subject.pictures.labels, subject.classes)
    rows = []
    for label in classes:
        numbers = logits[:, label].argsort(descending=True, stable=True)[:count]
        picture = made.get(Target(label))
        rows.append(
            Row(
                label=printable(subject.classes[label]),
                pictures=seen(subject.pictures.images[numbers], subject.spec),
                texts=[truths[number] for number in numbers.tolist()],
                made=None if picture is None else picture[0],
                found=picture is None or picture[2] > picture[1],
            )
        )
    total = len(subject.classes)
    which = f"{len(rows)} of {total} classes, those with the most pictures" if len(rows) < total else "Each class"
    caption = f"{which}: the pictures, of {len(subject.pictures):,}, with its highest logit, over their true class" + (
        f", after a picture, edged in black, made to raise the logit{_unmade(rows)}."
        if rows[0].made is not None
        else "."
    )
    return Plate(
        "channels-classes",
        excitation_figure(rows, "What the classes look for"),
        caption,
        f"A row of pictures for each of {len(rows)} classes.",
    )


def _unmade(rows: Sequence[Row]) -> str:
    """Return the end of a sentence on pictures that were made, where the search raised nothing for some."""
    return "" if all(row.found for row in rows) else " (“nothing found”: no picture did, it is the first noise)"


def _layer_plate(
    subject: Subject,
    name: str,
    found: Excitation,
    channels: Sequence[int],
    fields: Fields,
    made: Made,
) -> Plate:
    _, high, wide = subject.spec.input_shape
    box = all(field.size < LARGE_FIELD * side for field, side in zip(fields, (high, wide), strict=True))
    rows = [_row(subject, name, found, channel, fields if box else None, made) for channel in channels]
    total, silent = len(found.values), int(found.silent.sum())
    if box:
        size = "×".join(f"{field.size:.0f}" for field in fields)
        marked = f"The orange box is what the channel sees there, {size} pixels."
    elif max(found.map_size) > 1:
        marked = "The orange line surrounds the place that excites the channel most, as far as half its strength."
    else:
        marked = "Each channel is one number for the whole picture."
    caption = (
        f"{len(rows)} of the {total} channels of {name}, those that differ most between pictures: the pictures, of "
        f"{found.count:,}, that excite each most, over their class. {marked}"
    )
    if rows[0].made is not None:
        caption += f" The first picture, edged in black, was made to raise the channel's mean{_unmade(rows)}."
    if silent:
        caption += f" {silent} channels of all {total} give every picture the same answer."
    return Plate(
        f"channels-{name.replace('.', '-')}",
        excitation_figure(rows, f"What channels of {name} look for"),
        caption,
        f"A row of pictures for each of {len(rows)} channels.",
    )


def _row(
    subject: Subject,
    name: str,
    found: Excitation,
    channel: int,
    fields: Fields | None,
    made: Made,
) -> Row:
    pictures, numbers = subject.pictures, found.pictures[channel]
    _, high, wide = subject.spec.input_shape
    boxes = None
    if fields is not None:
        spans = [
            (fields[0].within(row, high), fields[1].within(column, wide))
            for row, column in found.places[channel].tolist()
        ]
        boxes = [(top, left, bottom, right) for (top, bottom), (left, right) in spans]
    areas = None
    if fields is None and max(found.map_size) > 1:
        areas = found.maps[channel] / found.values[channel].clamp_min(1e-30)[:, None, None]
    picture = made.get(Target(channel, name))
    return Row(
        label=f"channel {channel}\n{_classes_text(found, channel, pictures)}",
        pictures=seen(pictures.images[numbers], subject.spec),
        texts=label_texts(pictures.labels[numbers], subject.classes),
        boxes=boxes,
        areas=areas,
        made=None if picture is None else picture[0],
        found=picture is None or picture[2] > picture[1],
    )


def _classes_text(found: Excitation, channel: int, pictures: ImageDataset) -> str:
    texts = label_texts(pictures.labels[found.pictures[channel]], pictures.classes)
    (name, count), *_ = Counter(texts).most_common(1)
    return f"{count} of {len(texts)}: {printable(name or 'no class')}"


def _values(found: Excitation, channels: Sequence[int], pictures: ImageDataset) -> JsonValue:
    return {
        "channels": len(found.values),
        "silent": found.silent.nonzero().flatten().tolist(),
        "seen": found.count,
        "shown": [
            {
                "channel": channel,
                "pictures": [pictures.names[number] for number in found.pictures[channel].tolist()],
                "values": [float(f"{value:.4g}") for value in found.values[channel].tolist()],
                "places": found.places[channel].tolist(),
            }
            for channel in channels
        ],
    }
