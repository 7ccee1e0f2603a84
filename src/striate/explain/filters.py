"""Filters as pictures: the first layer's in the colours of the pictures, deeper ones channel by channel.

A first layer that sees 2×2 pixels (models/stem.py) shows little; the layer after it is then brought to pixels by its
mean gradient, which for layers without an activation between is the filter itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from matplotlib.figure import Figure
from pydantic import JsonValue
from torch import Tensor, nn

from striate.core.errors import SettingsError
from striate.explain.chapter import CHAPTERS, Chapter, Effort, Plate
from striate.explain.hooks import find_layer, outputs_of
from striate.explain.panels import Panel, sheet
from striate.explain.subject import Subject
from striate.explain.tiles import Pixels, Scale, Tile, number_of, signed_colours, tile_sheet
from striate.models import Classifier
from striate.models.contract import evaluating
from striate.models.receptive import receptive_fields

Order = Literal["norm", "similarity", "number"]

MAX_FILTERS = 64
SILENT = 0.001  # of the largest norm, under which a filter does next to nothing
SMALL_KERNEL = 2  # pixels of side, up to which a first layer's filters show little
PICTURES = 16  # over which a gradient is averaged
DEEPER = {"quick": 1, "full": 6}  # plates of deeper layers
SHOWN_DEEPER = 16


def convolutions(model: nn.Module) -> dict[str, nn.Conv2d]:
    """Return the two-dimensional convolutions by name, in the order in which they were made."""
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}


def filters_of(model: Classifier, layer: str | None = None) -> Tensor:
    """Return a convolution's filters, F C kh kw on the processor, as they are stored.

    Args:
        layer: Its name in `named_modules`, or a stage or module whose first convolution is meant; None for the
            network's first.

    Raises:
        SettingsError: There is no such layer, or no convolution in it.
    """
    return convolutions(model)[convolution_in(model, layer)].weight.detach().float().cpu()


def convolution_in(model: Classifier, layer: str | None) -> str:
    """Return the name of a convolution by its own name, by that of a module around it, or of the network's first.

    Raises:
        SettingsError: As `filters_of`.
    """
    known = convolutions(model)
    if layer in known:
        return layer
    inside = model if layer is None else find_layer(model, layer)[1]
    found = {module: name for name, module in known.items()}
    for module in inside.modules():
        if isinstance(module, nn.Conv2d):
            return found[module]
    raise SettingsError(
        "no convolution in this layer", where=layer, fix=f"convolutions: {', '.join(known) or 'the network has none'}"
    )


def filter_order(filters: Tensor, by: Order = "norm") -> Tensor:
    """Return the filters' numbers in an order, int64 F.

    'norm' begins with the largest; 'similarity' begins there too and goes on to the filter that is most alike (by
    the cosine of the angle between them) of those that are left; 'number' leaves them as they are.

    Args:
        filters: F …
    """
    flat = filters.flatten(1).double()
    norms = flat.norm(dim=1)
    if by == "number":
        return torch.arange(len(flat))
    by_norm: Tensor = norms.argsort(descending=True, stable=True)
    if by == "norm" or len(flat) == 0:
        return by_norm
    directions = flat / norms.clamp_min(1e-30)[:, None]
    cosines = directions @ directions.mT  # F F
    chain = [int(by_norm[0])]
    free = torch.ones(len(flat), dtype=torch.bool)
    free[chain[0]] = False
    while free.any():
        alike = cosines[chain[-1]].where(free, torch.tensor(-2.0, dtype=torch.float64))
        chain.append(int(alike.argmax()))
        free[chain[-1]] = False
    return torch.tensor(chain, dtype=torch.int64)


def is_mirrored(filters: Tensor) -> bool:
    """Return whether the second half of the filters (F …) are the negatives of the first half."""
    half = len(filters) // 2
    return half > 0 and len(filters) == 2 * half and bool(torch.equal(filters[half:], -filters[:half]))


def pixel_filters(model: Classifier, layer: str, inputs: Tensor) -> Tensor:
    """Return what each channel of a layer's output looks for in the picture, F C h w, as far as it is linear.

    It is the gradient of the channel's middle value with respect to the network's input, averaged over `inputs` and
    cut to the receptive field. For the first convolution that is the filter; behind a ReLU it is the linear part of
    what the layer does on such pictures.

    Args:
        model: Its mode, weights and gradients are left as they are.
        layer: A stage or module whose output is N F h w.
        inputs: Network inputs, N C H W.
    """
    name, module = find_layer(model, layer)
    shape = (inputs.shape[1], inputs.shape[2], inputs.shape[3])
    fields = receptive_fields(model, {name: module}, shape)[name]
    leaf = inputs.detach().clone().requires_grad_()
    gradients = []
    with evaluating(model), torch.enable_grad(), outputs_of({name: module}, copied=True) as outputs:
        model(leaf)
        maps = outputs[name]  # N F h w
        row, column = maps.shape[2] // 2, maps.shape[3] // 2
        middle = maps[:, :, row, column].sum(0)
        for channel in range(len(middle)):
            (gradient,) = torch.autograd.grad(middle[channel], leaf, retain_graph=True)
            gradients.append(gradient.mean(0))
    (top, bottom), (left, right) = fields[0].within(row, shape[1]), fields[1].within(column, shape[2])
    return torch.stack(gradients)[:, :, int(top) : int(bottom), int(left) : int(right)].cpu()  # F C h w


def filter_figure(
    filters: Tensor,
    title: str,
    *,
    order: Order = "norm",
    channel: int | None = None,
    count: int = MAX_FILTERS,
) -> Figure:
    """Return the figure of filters in an order, each over its number and norm.

    Filters of three channels are shown in red, green and blue on grey, which is 0; those of one channel, and a
    single channel of others, blue where positive, red where negative, white where 0. Each has a scale of its own, but
    filters that are nearly zero stay so.

    Args:
        filters: F C kh kw.
        order: As in `filter_order`.
        channel: The one to show; None for colours where there are three, and else the first.
        count: Most to show.

    Raises:
        SettingsError: The filters have no such channel.
    """
    if channel is not None and not 0 <= channel < filters.shape[1]:
        raise SettingsError("the filters have no such channel", where=channel, fix=f"0 … {filters.shape[1] - 1}")
    in_colour = filters.shape[1] == 3 and channel is None
    shown = filters if in_colour else filters[:, [channel or 0]]
    norms = shown.flatten(1).norm(dim=1)
    least = SILENT * float(shown.abs().max())
    silent = norms <= SILENT * norms.max()
    tiles = [
        Tile(
            _pixels(shown[number], least),
            f"{number}: " + ("≈ 0" if silent[number] else number_of(float(norms[number]))),
        )
        for number in filter_order(shown, order)[:count].tolist()
    ]
    columns = 8 if len(tiles) > 6 else len(tiles)
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    scale = None if in_colour else Scale("− largest", "+ largest", signed=True)
    return tile_sheet(rows, title, scale=scale, side=0.62)


def _pixels(single: Tensor, least: float) -> Pixels:
    """Return one filter, C kh kw, as colours with 0 in the middle; nothing is made of values below `least`."""
    limit = max(float(single.abs().max()), least) or 1.0
    if len(single) == 1:
        return signed_colours(single[0], limit)
    pixels: Pixels = (127.5 * (1 + single / limit)).round().byte().permute(1, 2, 0).numpy()
    return pixels


@CHAPTERS.register("filters")
def chapter(subject: Subject, effort: Effort) -> Chapter:
    """Show the first layer's filters, what they mean in pixels where they are tiny, and deeper layers'."""
    known = convolutions(subject.model)
    if not known:
        return Chapter("filters", "Filters", text=["This network has no convolution, and so no filters to show."])
    if subject.layer is not None:
        chosen = convolution_in(subject.model, subject.layer)
        first = chosen == next(iter(known))
        plates = [_first_plate(subject, chosen)] if first else [_deeper_plate(chosen, known[chosen])]
        return _written(subject, plates, [chosen])
    names = list(known)
    plates, seen = [_first_plate(subject, names[0])], [names[0]]
    if max(known[names[0]].kernel_size) <= SMALL_KERNEL and len(names) > 1:
        plates.append(_pixel_plate(subject, names[1]))
        seen.append(names[1])
    for name in _deeper(known, names[len(seen) :], DEEPER[effort]):
        plates.append(_deeper_plate(name, known[name]))
        seen.append(name)
    return _written(subject, plates, seen)


def _deeper(known: dict[str, nn.Conv2d], names: Sequence[str], count: int) -> list[str]:
    """Return convolutions with something to see in a filter, spread from the first to the last."""
    seen = [name for name in names if max(known[name].kernel_size) > 1]
    if count == 1:
        return seen[:1]
    places = torch.linspace(0, len(seen) - 1, min(count, len(seen))).round().int().tolist()
    return [seen[place] for place in places]


def _written(subject: Subject, plates: Sequence[Plate], names: Sequence[str]) -> Chapter:
    values: dict[str, JsonValue] = {}
    told = []
    for name in names:
        filters = filters_of(subject.model, name)
        norms = filters.flatten(1).norm(dim=1)
        silent = int((norms <= SILENT * norms.max()).sum())
        values[name] = {"shape": list(filters.shape), "largest_norm": float(norms.max()), "nearly_zero": silent}
        told += [f"{silent} of {len(filters)} in {name}"] if silent else []
    text = [
        "A convolution slides its filters over what comes in; a filter answers where the picture under it looks like "
        "the filter. Weights are shown as they are stored, before the norm that may follow rescales them."
    ]
    if told:
        text.append(f"Filters that do nearly nothing (norm under a thousandth of the largest): {', '.join(told)}.")
    return Chapter("filters", "Filters", text, plates, values={"layers": values})


def _first_plate(subject: Subject, name: str) -> Plate:
    filters = filters_of(subject.model, name)
    total, (high, wide) = len(filters), filters.shape[2:]
    mirrored = is_mirrored(filters)
    shown = filters[: total // 2] if mirrored else filters
    how = "colours on grey, which is 0" if filters.shape[1] == 3 else "blue is positive, red negative, white 0"
    caption = f"The {total} filters of the first convolution, {name}, {high}×{wide} pixels each: {how}."
    if mirrored:
        caption = (
            f"{len(shown)} of the {total} filters of the first layer, {name}; the other half are their negatives, "
            f"since an activation keeps one side only. {how[0].upper()}{how[1:]}."
        )
    if not convolutions(subject.model)[name].weight.requires_grad:
        caption += (
            f" They were not learned: they are the principal components of all {high}×{wide} patches of the training "
            "pictures, scaled to equal variance, so the smallest norm stands for the commonest pattern."
        )
    caption += " Under each its number and its norm, the largest first; each has a colour scale of its own."
    if len(shown) > MAX_FILTERS:
        caption += f" {len(shown) - MAX_FILTERS} of smaller norm are left out."
    return Plate(
        "filters-first",
        filter_figure(shown, f"First layer: {name}"),
        caption,
        f"A grid of {min(len(shown), MAX_FILTERS)} filters of {high} by {wide} pixels, sorted by norm.",
    )


def _pixel_plate(subject: Subject, name: str) -> Plate:
    inputs = subject.inputs(subject.pictures.spread(PICTURES).images)
    filters = pixel_filters(subject.model, name, inputs)
    high, wide = filters.shape[2:]
    first = next(iter(convolutions(subject.model)))
    caption = (
        f"What the filters of {name} look for in the picture itself, {high}×{wide} pixels each. {first} before it sees "
        f"too few pixels to show much, so both are taken together: the mean gradient of each channel with respect to "
        f"the pixels over {len(inputs)} pictures, which is the linear part of the two layers. Alike ones stand next to "
        "each other; under each its number and norm."
    )
    if len(filters) > MAX_FILTERS:
        caption += f" {len(filters) - MAX_FILTERS} are left out."
    return Plate(
        "filters-pixels",
        filter_figure(filters, f"First learned layer, in pixels: {name}", order="similarity"),
        caption,
        f"A grid of {min(len(filters), MAX_FILTERS)} filters as patterns of {high} by {wide} pixels.",
    )


def _deeper_plate(name: str, convolution: nn.Conv2d) -> Plate:
    filters = convolution.weight.detach().float().cpu()
    total, inputs, (high, wide) = len(filters), filters.shape[1], filters.shape[2:]
    if high == wide == 1:
        return _matrix_plate(name, filters[:, :, 0, 0])
    channel = int(filters.square().sum((0, 2, 3)).argmax())
    shown = min(total, SHOWN_DEEPER)
    which = f"The {total}" if shown == total else f"{shown} of the {total}"
    of = f"at input channel {channel} of {inputs}, the one with the most weight" if inputs > 1 else "one channel each"
    title = f"Filters of {name}" + (f", input channel {channel}" if inputs > 1 else "")
    return Plate(
        f"filters-{name.replace('.', '-')}",
        filter_figure(filters, title, channel=channel, count=shown),
        f"{which} filters of {name}, {high}×{wide}, {of}: blue is positive, red negative, white 0. Under each its "
        "number and its norm there, the largest first; each has a colour scale of its own.",
        f"A grid of {shown} filters of {high} by {wide} numbers as coloured cells, sorted by norm.",
    )


def _matrix_plate(name: str, weights: Tensor) -> Plate:
    """Show a 1×1 convolution, F C, as what it is: a matrix that mixes channels."""
    ordered = weights[filter_order(weights)]
    total, inputs = weights.shape
    note = f"{inputs} input channels across, {total} filters down"
    return Plate(
        f"filters-{name.replace('.', '-')}",
        sheet([[Panel(ordered.double().numpy(), "", note)]], f"Filters of {name}"),
        f"{name} sees one place at a time and only mixes channels: a row for each of its {total} filters, the largest "
        f"norm first, with its {inputs} weights. Blue is positive, red negative, white 0.",
        f"A matrix of {total} rows and {inputs} columns as coloured cells.",
    )
