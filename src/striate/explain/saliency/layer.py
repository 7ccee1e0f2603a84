"""The layer at which Grad-CAM looks: the last one that still knows where it is, and has a say in the answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from striate.core.errors import SettingsError
from striate.explain.hooks import find_layer, outputs_of
from striate.explain.saliency.score import class_scores, explained_classes, in_parts, looking
from striate.models import Classifier

LEAST_SIDE = 3  # cells; in a coarser map each of them covers a quarter of the picture or more
PROBES = 4  # pictures that are asked which stage has a say


def maps_and_gradients(
    model: Classifier, inputs: Tensor, targets: Tensor, layer: tuple[str, nn.Module]
) -> tuple[Tensor, Tensor]:
    """Return what a layer makes of pictures, and the gradient of each one's class score by it; both N F h w.

    The layer's output is cut out of the graph and made its beginning, so that weights that need no gradient give one
    too, and what the network does in place afterwards does not reach it.

    Raises:
        SettingsError: The layer does not give maps N F h w, or has no part in the answer.
    """
    kept: list[Tensor] = []

    def begin_here(_: nn.Module, inputs: object, output: object) -> Tensor:
        if not (isinstance(output, Tensor) and output.ndim == 4):
            raise SettingsError("the layer gives no maps N F h w", where=layer[0], fix=_stages(model))
        kept.append(output.detach().clone().requires_grad_())
        return kept[-1].clone()

    found: list[tuple[Tensor, Tensor]] = []
    with looking(model):
        handle = layer[1].register_forward_hook(begin_here)
        try:
            for part, classes in zip(in_parts(inputs), targets.split(len(in_parts(inputs)[0])), strict=True):
                kept.clear()
                scores = class_scores(model, part.detach().clone(), classes)
                if not kept:
                    raise SettingsError("the network does not use the layer", where=layer[0], fix=_stages(model))
                (gradient,) = torch.autograd.grad(scores.sum(), kept[-1], allow_unused=True)
                maps = kept[-1].detach()
                found.append((maps, torch.zeros_like(maps) if gradient is None else gradient))
        finally:
            handle.remove()
    return torch.cat([maps for maps, _ in found]), torch.cat([gradients for _, gradients in found])


def with_places(maps: Tensor) -> Tensor:
    """Return which maps differ from place to place, bool N F.

    A map of one value everywhere says nothing of where; a transformer's class token is laid out as such maps.
    """
    return maps.amax((2, 3)) > maps.amin((2, 3))


def choose_layer(model: Classifier, inputs: Tensor, targets: Tensor | int | None = None) -> str:
    """Return the stage for Grad-CAM: the last with maps of at least 4 × 4 cells whose values decide the class.

    Selvaraju et al. (2017, section 3) take the last convolutional layer, which knows most of what there is and still
    where. Where its map has become too small to say where, an earlier stage stands in; without any of 4 × 4 cells, the
    one with the most. A stage has a say where the class score has a gradient by it: of a transformer that reads its
    class token alone, the last stage's patches have none.

    Args:
        inputs: Network inputs, N C H W; the first four are tried.
        targets: As in `explained_classes`.

    Raises:
        SettingsError: Every stage has shrunk to a single cell.
    """
    probes = inputs[:PROBES]
    classes = explained_classes(model, inputs, targets)[:PROBES]
    stages = model.stages()
    with looking(model), torch.no_grad(), outputs_of(stages) as outputs:
        model(probes)
        sizes = {name: (maps.shape[2], maps.shape[3]) for name, maps in outputs.items()}
    worth = [name for name, size in sizes.items() if min(size) >= LEAST_SIDE]
    if not worth:
        most = max(height * width for height, width in sizes.values())
        worth = [name for name, (height, width) in sizes.items() if height * width == most > 1]
    if not worth:
        raise SettingsError(
            "no stage of this network has a map that says where: "
            + ", ".join(f"{name} {height}×{width}" for name, (height, width) in sizes.items()),
            fix="use larger pictures, or a method that needs no layer: integrated-gradients or occlusion",
        )
    for name in reversed(worth):
        maps, gradients = maps_and_gradients(model, probes, classes, (name, stages[name]))
        if bool((gradients * with_places(maps)[:, :, None, None]).any()):
            return name
    return worth[-1]  # nothing has a say, and its maps will be blank


def layer_of(model: Classifier, inputs: Tensor, targets: Tensor, name: str | None) -> tuple[str, nn.Module]:
    """Return the layer of that name, or the one to be chosen where none is given."""
    return find_layer(model, choose_layer(model, inputs, targets) if name is None else name)


def _stages(model: Classifier) -> str:
    return f"choose a stage: {', '.join(model.stages())}"
