"""Saliency maps of pictures, by any method; a map that says nothing is known by its reason and given to nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from striate.core.errors import DataError
from striate.core.registry import Registry
from striate.explain.saliency.grad_cam import grad_cam, grad_cam_plus_plus
from striate.explain.saliency.integrated_gradients import STEPS, integrated_gradients
from striate.explain.saliency.layer import layer_of
from striate.explain.saliency.occlusion import occlusion
from striate.explain.saliency.score import explained_classes
from striate.models import Classifier

ROUGH_STEPS = (16,)
EVEN = 1e-5  # a map that differs less than this from place to place, as a share of its largest value, is even


@dataclass(frozen=True, eq=False)
class Maps:
    """How much each pixel of some pictures speaks for a class, by one method.

    Args:
        method: As in `METHODS`.
        values: float32, N H W; what speaks against the class is negative, where the method tells.
        targets: int64, N; the classes.
        layer: Where it was looked; None of methods that look at the input itself.
        blank: Per picture why its map says nothing; None where it says something.
        notes: Per picture what has to be told with its map; '' for nothing.
    """

    method: str
    values: Tensor
    targets: Tensor
    layer: str | None
    blank: Sequence[str | None]
    notes: Sequence[str]

    @property
    def title(self) -> str:
        """The method's name for people."""
        return METHODS[self.method].title

    def __len__(self) -> int:
        return len(self.values)

    def of(self, number: int) -> Tensor:
        """Return one picture's map, H W.

        Raises:
            DataError: It says nothing; the reason and the remedy are given.
        """
        reason = self.blank[number]
        if reason is None:
            return self.values[number]
        raise DataError(
            f"the map of {self.title} is blank: {reason}",
            where=f"picture {number}" + (f", layer {self.layer}" if self.layer else ""),
            fix=self.remedy,
        )

    @property
    def remedy(self) -> str:
        """What to try where a map is blank."""
        others = " or ".join(name for name in METHODS if name != self.method)
        return f"look at another layer, or by another method ({others})" if self.layer else f"look by {others}"


@dataclass(frozen=True, eq=False)
class Found:
    """What a method gives: values N h w, and what has to be told of each, if anything."""

    values: Tensor
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Method:
    """One way to a map.

    Args:
        title: For people.
        at_layer: Whether it looks at a layer.
        find: From network, inputs, classes, layer, and whether rough values will do, to its values.
    """

    title: str
    at_layer: bool
    find: Callable[[Classifier, Tensor, Tensor, str | None, bool], Found]


METHODS: Registry[Method] = Registry("saliency method")


def saliency(
    model: Classifier,
    inputs: Tensor,
    method: str = "grad-cam",
    targets: Tensor | int | None = None,
    layer: str | None = None,
    rough: bool = False,
) -> Maps:
    """Return the maps of some pictures, at the size of the pictures.

    Args:
        inputs: Network inputs, N C H W.
        method: grad-cam, grad-cam++, integrated-gradients or occlusion.
        targets: Class numbers, one for all or one each; None for the class of the largest logit.
        layer: Stage or module that Grad-CAM looks at; None lets `choose_layer` find one.
        rough: Integrated gradients of few steps, as comparing maps needs no better.

    Raises:
        SettingsError: No such method, class or layer, or a layer without maps.
    """
    how = METHODS[method]
    classes = explained_classes(model, inputs, targets)
    name = layer_of(model, inputs, classes, layer)[0] if how.at_layer else None
    found = how.find(model, inputs, classes, name, rough)
    values = found.values.detach().float()
    blank = [why_blank(one) for one in values]
    if values.shape[1:] != inputs.shape[2:]:
        size = (inputs.shape[2], inputs.shape[3])
        values = F.interpolate(values[:, None], size, mode="bilinear", align_corners=False)[:, 0]  # N H W
    return Maps(method, values, classes, name, blank, found.notes or [""] * len(values))


def why_blank(values: Tensor) -> str | None:
    """Return why a map (h w) says nothing, or None: it is not finite, nowhere for the class, or the same everywhere."""
    if not bool(values.isfinite().all()):
        return "it is not finite"
    low, high = float(values.min()), float(values.max())
    if high <= 0:
        return "nothing in it speaks for the class"
    if high - low <= EVEN * max(high, -low):
        return "it is the same everywhere"
    return None


def _grad_cam(model: Classifier, inputs: Tensor, targets: Tensor, layer: str | None, rough: bool) -> Found:
    return Found(grad_cam(model, inputs, targets, layer))


def _grad_cam_plus_plus(model: Classifier, inputs: Tensor, targets: Tensor, layer: str | None, rough: bool) -> Found:
    return Found(grad_cam_plus_plus(model, inputs, targets, layer))


def _integrated(model: Classifier, inputs: Tensor, targets: Tensor, layer: str | None, rough: bool) -> Found:
    result = integrated_gradients(model, inputs, targets, steps=ROUGH_STEPS if rough else STEPS)
    notes = [
        "" if rough or complete else f"its sum is {100 * gap:.0f} % off after {count} steps"
        for complete, gap, count in zip(
            result.complete.tolist(), result.gap.tolist(), result.steps.tolist(), strict=True
        )
    ]
    return Found(result.values.sum(1), notes)


def _occlusion(model: Classifier, inputs: Tensor, targets: Tensor, layer: str | None, rough: bool) -> Found:
    return Found(occlusion(model, inputs, targets))


METHODS.register("grad-cam")(Method("Grad-CAM", True, _grad_cam))
METHODS.register("grad-cam++")(Method("Grad-CAM++", True, _grad_cam_plus_plus))
METHODS.register("integrated-gradients")(Method("integrated gradients", False, _integrated))
METHODS.register("occlusion")(Method("occlusion", False, _occlusion))
