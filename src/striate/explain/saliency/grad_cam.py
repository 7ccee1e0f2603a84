"""Grad-CAM and Grad-CAM++: the maps of a layer, each weighted by what it does for a class."""

from __future__ import annotations

import torch
from torch import Tensor

from striate.explain.saliency.layer import layer_of, maps_and_gradients, with_places
from striate.explain.saliency.score import explained_classes
from striate.models import Classifier


def grad_cam(
    model: Classifier, inputs: Tensor, targets: Tensor | int | None = None, layer: str | None = None
) -> Tensor:
    """Return ReLU(Σₖ wₖ Aᵏ) with wₖ the mean gradient of the class score by the map Aᵏ; N h w, ≥ 0.

    Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017,
    equations 1 and 2. Maps of one value everywhere are left out: they know no place.

    Args:
        inputs: Network inputs, N C H W.
        targets: Class numbers, one for all or one each; None for the class of the largest logit.
        layer: Stage or module; None lets `choose_layer` find one.

    Raises:
        SettingsError: No such layer or class, or a layer without maps.
    """
    maps, gradients = _maps(model, inputs, targets, layer)
    return _weighted(maps, gradients.mean((2, 3)))


def grad_cam_plus_plus(
    model: Classifier, inputs: Tensor, targets: Tensor | int | None = None, layer: str | None = None
) -> Tensor:
    """Return ReLU(Σₖ wₖ Aᵏ) with wₖ = Σ α ReLU(g) over the places of the map; N h w, ≥ 0.

    g is the gradient of the class score S by Aᵏ and α = g² / (2 g² + g³ Σ Aᵏ), which makes up for objects that are
    seen several times or at several sizes: the coefficients of Y = exp(S) where S is linear in Aᵏ (Chattopadhay et al.,
    "Grad-CAM++: generalized gradient-based visual explanations for deep convolutional networks", WACV 2018, equations
    10, 11 and 19). The factor exp(S) is left out: it is the same at all places. Arguments as in `grad_cam`.
    """
    maps, gradients = _maps(model, inputs, targets, layer)
    below = 2 + gradients * maps.sum((2, 3), keepdim=True)  # 1/α where g is not 0
    alpha = torch.where(below == 0, 0, 1 / below)
    return _weighted(maps, (alpha * gradients.clamp_min(0)).sum((2, 3)))


def _maps(model: Classifier, inputs: Tensor, targets: Tensor | int | None, layer: str | None) -> tuple[Tensor, Tensor]:
    classes = explained_classes(model, inputs, targets)
    return maps_and_gradients(model, inputs, classes, layer_of(model, inputs, classes, layer))


def _weighted(maps: Tensor, weights: Tensor) -> Tensor:
    weights = weights * with_places(maps)
    return (maps * weights[:, :, None, None]).sum(1).clamp_min(0)  # N h w
