"""Feature maps: what the channels of a layer make of one picture, beside the picture."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from pydantic import JsonValue
from torch import Tensor, nn

from striate.core.errors import SettingsError
from striate.core.spec import ImageSpec
from striate.data.dataset import label_texts
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate
from striate.explain.hooks import find_layer, outputs_of
from striate.explain.lettering import printable
from striate.explain.subject import Subject
from striate.explain.tiles import (
    DPI,
    Scale,
    Tile,
    heat_colours,
    number_of,
    picture_colours,
    signed_colours,
    tile_sheet,
)
from striate.models import Classifier
from striate.models.contract import evaluating

MAX_MAPS, COLUMNS = 32, 8
LARGE_MAP, PHOTOGRAPH_DPI = 64, 100  # values of side beyond which a sheet of maps would be a large file
EMPTY = 1e-6  # of the strongest value of the layer, under which a map is empty
NEGATIVE = 0.1  # of the largest value, from which on negative values are drawn as such
STAGES = {"quick": 2, "full": 12}
MOST_GIVEN = {"quick": 1, "full": 4}  # pictures of the user's


def as_maps(name: str, output: object) -> Tensor:
    """Return a layer's output as maps N F h w; numbers N F are maps of one pixel.

    Raises:
        SettingsError: It is neither.
    """
    if isinstance(output, Tensor) and output.ndim == 4:
        return output
    if isinstance(output, Tensor) and output.ndim == 2:
        return output[:, :, None, None]
    told = "×".join(map(str, output.shape[1:])) if isinstance(output, Tensor) else type(output).__name__
    raise SettingsError(
        f"this layer's output ({told}) is no feature maps", where=name, fix="name a stage, or a layer that gives maps"
    )


def modules_of(model: Classifier, layer: str | None) -> dict[str, nn.Module]:
    """Return the module to look at by its name, or all stages where none is named; SettingsError for an unknown one."""
    return model.stages() if layer is None else dict([find_layer(model, layer)])


def feature_maps(model: Classifier, inputs: Tensor, layer: str | None = None) -> dict[str, Tensor]:
    """Return what layers give for pictures, by name, float32 N F h w on the processor.

    Args:
        model: Its mode and weights are left as they are.
        inputs: Network inputs, N C H W.
        layer: A stage or module; None for all stages.

    Raises:
        SettingsError: There is no such layer, it is not used, or its output is no maps.
    """
    modules = modules_of(model, layer)
    with evaluating(model), torch.no_grad(), outputs_of(modules, copied=True) as outputs:
        model(inputs)
    refuse_unused(modules, outputs)
    return {name: as_maps(name, output).float().cpu() for name, output in outputs.items()}


def refuse_unused(modules: Mapping[str, nn.Module], outputs: Mapping[str, object]) -> None:
    """Refuse modules that gave no output: SettingsError."""
    missing = [name for name in modules if name not in outputs]
    if missing:
        raise SettingsError(
            "this part of the network is not called by itself, and so has no output",
            where=", ".join(missing),
            fix="name a stage, or one of the layers inside",
        )


def strength(maps: Tensor) -> Tensor:
    """Return how strong each map of F h w is, F: its mean size without sign."""
    return maps.abs().mean((1, 2))


def is_empty(maps: Tensor) -> Tensor:
    """Return which maps of F h w have no value to speak of, bool F."""
    return maps.abs().amax((1, 2)) <= EMPTY * maps.abs().max()


def feature_map_figure(
    picture: Tensor, maps: Tensor, title: str, picture_text: str = "input", count: int = MAX_MAPS
) -> Figure:
    """Return the figure of a picture with maps beside it, the strongest first, each over its channel's number.

    All maps have one scale, from 0 to the value that one in 500 of those shown exceeds; where a layer has
    notable negative values it is symmetric, with 0 in its middle.

    Maps that are 0 everywhere are left out.

    Args:
        picture: C H W on 0 … 255.
        maps: F h w.
        title: Over the whole.
        picture_text: Under the picture.
        count: Most maps to show.
    """
    order = strength(maps).argsort(descending=True, stable=True)[:count]
    order = order[~is_empty(maps)[order]] if not is_empty(maps).all() else order
    shown = maps[order]
    signed = is_signed(shown)
    limit = float(shown.abs().flatten().double().quantile(0.998)) if shown.numel() < 2**22 else float(shown.abs().max())
    limit = limit or float(shown.abs().max())
    colours = signed_colours if signed else heat_colours
    tiles = [Tile(colours(one, limit), str(number)) for one, number in zip(shown, order.tolist(), strict=True)]
    rows = [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]
    top = number_of(limit)
    scale = Scale(f"−{top}" if signed else "0", top, signed)
    lead = Tile(picture_colours(picture), picture_text)
    dpi = PHOTOGRAPH_DPI if max(maps.shape[1:]) > LARGE_MAP else DPI
    return tile_sheet(rows, title, lead=lead, scale=scale, side=0.72, dpi=dpi)


def is_signed(maps: Tensor) -> bool:
    """Return whether maps have negative values worth drawing; those of GELU and its like are small."""
    return bool(-maps.min() > NEGATIVE * maps.max())


def seen(images: Tensor, spec: ImageSpec) -> Tensor:
    """Return the part of uint8 pictures N C H W that the network sees: the centre of those not cropped yet."""
    return images[:, :, *spec.centre] if tuple(images.shape[1:]) == spec.picture_shape else images


@CHAPTERS.register("feature-maps")
def chapter(subject: Subject, effort: Effort) -> Chapter:
    """Show what the first two stages (or all of them) make of a picture: the user's, or a typical one."""
    pictures, texts = _pictures(subject, effort)
    found = feature_maps(subject.model, subject.inputs(pictures), subject.layer)
    flat = [name for name, maps in found.items() if maps.shape[2:].numel() == 1]
    names = [name for name in found if name not in flat]
    names = names[: STAGES[effort]]
    plates = []
    for number, (picture, text) in enumerate(zip(seen(pictures, subject.spec), texts, strict=True)):
        plates += [_plate(name, number if number else None, picture, text, found[name][number]) for name in names]
    values = {name: _values(maps) for name, maps in found.items()}
    said = [
        "Each map says how strongly one channel answers at each place of the picture. The first maps follow edges and "
        "surfaces; later ones are coarser, and answer to parts of things."
    ]
    if flat:
        said.append(f"Of {', '.join(flat)} there is no map to show: each channel is one number for the whole picture.")
    return Chapter("feature-maps", "Feature maps", said, plates, values={"layers": values})


def _pictures(subject: Subject, effort: Effort) -> tuple[Tensor, list[str]]:
    """Return pictures uint8 N C H W with what to write under them."""
    if subject.given is not None and len(subject.given.images):
        count = MOST_GIVEN[effort]
        return subject.given.images[:count], [printable(name) for name in subject.given.names[:count]]
    chosen = subject.examples(3)[-1:]  # a typical one, where there are three pictures
    answer = label_texts(subject.evaluation.predictions[chosen], subject.classes)[0] or "no class"
    truth = label_texts(subject.pictures.labels[chosen], subject.classes)[0] or "no class"
    right = bool(subject.right[chosen[0]])
    return subject.pictures.images[chosen], [
        printable(truth) if right else f"{printable(truth)}\ntaken for {printable(answer)}"
    ]


def _plate(name: str, number: int | None, picture: Tensor, text: str, maps: Tensor) -> Plate:
    total, high, wide = maps.shape
    empty = int(is_empty(maps).sum())
    shown = min(total - empty, MAX_MAPS) or min(total, MAX_MAPS)
    which = f"The {shown} strongest of the {total} maps" if shown < total else f"The {total} maps"
    caption = f"{which} of {name}, {high}×{wide} values each, beside the picture; the strongest first, by mean size."
    if empty:
        caption += f" {empty} of all {total} are empty: nothing in this picture excites them."
    caption += " Blue is positive, red negative." if is_signed(maps) else " Bright is strong; all have one scale."
    ending = "" if number is None else f"-{number + 1}"
    return Plate(
        f"feature-maps-{name.replace('.', '-')}{ending}",
        feature_map_figure(picture, maps, f"Feature maps of {name}", text),
        caption,
        f"The picture, and beside it a grid of {shown} maps of {high} by {wide} values.",
    )


def _values(maps: Tensor) -> JsonValue:
    return {"shape": list(maps.shape[1:]), "empty": [int(is_empty(one).sum()) for one in maps]}
