"""Which pictures excite each channel of a layer most, and where in them: found in one pass, batch by batch.

Kept are `count` pictures per channel, whatever the number of pictures; a later picture of equal excitation does not
replace an earlier one, so the result does not depend on the batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from striate.core.device import sum_type
from striate.explain.feature_maps import as_maps, refuse_unused
from striate.explain.hooks import outputs_of
from striate.models import Classifier
from striate.models.contract import evaluating

MAP_SIDE = 7  # values of side to which kept maps are brought


@dataclass(frozen=True, eq=False)
class Excitation:
    """What excites each of F channels most.

    Args:
        values: float32, F k; the largest value of the channel in each picture, the largest first.
        pictures: int64, F k; these pictures' numbers.
        places: int64, F k 2; row and column of that value in the map.
        maps: float32, F k h w; the channel's map of each, its sides at most 7: larger ones by their maxima.
        map_size: Sides of the layer's own maps.
        mean, deviation: float64, F; of the largest values over all pictures.
        count: Pictures that were seen.
    """

    values: Tensor
    pictures: Tensor
    places: Tensor
    maps: Tensor
    map_size: tuple[int, int]
    mean: Tensor
    deviation: Tensor
    count: int

    @property
    def silent(self) -> Tensor:
        """Which channels gave every picture the same answer, bool F."""
        return self.deviation == 0


def most_exciting(
    model: Classifier, batches: Iterable[Tensor], modules: Mapping[str, nn.Module], count: int = 8
) -> dict[str, Excitation]:
    """Return, per layer, the pictures that excite each of its channels most.

    Args:
        model: Its mode and weights are left as they are.
        batches: Network inputs, N C H W, made when they are asked for; at least one picture in all.
        modules: Layers whose outputs are N F h w or N F, by name; `model.stages()`, or a choice of it.
        count: Pictures per channel; fewer where there are fewer.

    Raises:
        SettingsError: A layer is not used, or its output is no maps.
    """
    found: dict[str, _Strongest] = {}
    with evaluating(model), torch.no_grad():
        for inputs in batches:
            with outputs_of(modules, copied=True) as outputs:
                model(inputs)
            refuse_unused(modules, outputs)
            for name, output in outputs.items():
                found.setdefault(name, _Strongest(count)).add(as_maps(name, output).float())
    return {name: found[name].result() for name in modules if name in found}


class _Strongest:
    """The strongest values of each channel so far."""

    def __init__(self, count: int) -> None:
        self.wanted = count
        self.seen = 0
        self.kept: tuple[Tensor, Tensor, Tensor, Tensor] | None = None  # values, pictures, flat places, maps
        self.sums: list[Tensor] = []
        self.map_size = (1, 1)

    def add(self, maps: Tensor) -> None:
        """Take a batch of maps, N F h w, into account."""
        self.map_size = (maps.shape[2], maps.shape[3])
        values, places = maps.flatten(2).max(2)  # N F
        self._count(values)
        numbers = torch.arange(self.seen, self.seen + len(maps), device=maps.device)
        self.seen += len(maps)
        # the batch's own strongest first: a stable sort, so that of equals the earlier picture comes first
        best, rows = values.mT.sort(dim=1, descending=True, stable=True)  # F N
        best, rows = best[:, : self.wanted], rows[:, : self.wanted]
        channels = torch.arange(maps.shape[1], device=maps.device)[:, None]
        fresh = (best, numbers[rows], places[rows, channels], _small(maps[rows, channels]))
        if self.kept is not None:
            fresh = tuple(torch.cat(pair, 1) for pair in zip(self.kept, fresh, strict=True))  # type: ignore[assignment]
        order = fresh[0].sort(dim=1, descending=True, stable=True)[1][:, : self.wanted]
        values, pictures, places, small = fresh
        self.kept = (
            values.gather(1, order),
            pictures.gather(1, order),
            places.gather(1, order),
            small[channels, order],
        )

    def _count(self, values: Tensor) -> None:
        wide = values.to(sum_type(values.device))
        if not self.sums:  # moments about the first picture: no large numbers are subtracted
            self.sums = [wide[0], torch.zeros_like(wide[0]), torch.zeros_like(wide[0])]
        centred = wide - self.sums[0]
        self.sums[1] += centred.sum(0)
        self.sums[2] += centred.square().sum(0)

    def result(self) -> Excitation:
        """Return what was found."""
        assert self.kept is not None
        values, pictures, places, maps = (part.cpu() for part in self.kept)
        first, total, squares = (part.double().cpu() for part in self.sums)
        mean = total / self.seen
        deviation = (squares / self.seen - mean.square()).clamp_min(0).sqrt()
        at = torch.stack([places // self.map_size[1], places % self.map_size[1]], 2)
        return Excitation(values, pictures, at, maps, self.map_size, first + mean, deviation, self.seen)


def _small(maps: Tensor) -> Tensor:
    """Return maps … h w with sides of at most 7, by the maxima of their parts."""
    high, wide = (min(side, MAP_SIDE) for side in maps.shape[-2:])
    if (high, wide) == tuple(maps.shape[-2:]):
        return maps
    return F.adaptive_max_pool2d(maps, (high, wide))
