"""Pictures made to excite a channel or a class: activation maximisation.

The picture is a sum of waves whose amplitudes are searched by gradient ascent (Adam), every wave at the scale that it
has in photographs, in colours that are as correlated as theirs, moved by a few pixels before each step (Olah,
Mordvintsev and Schubert, "Feature visualization", Distill 2017). Without that, what excites a network is noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.adam import adam

from striate.core.errors import SettingsError
from striate.core.spec import ImageSpec
from striate.data.loader import normalize
from striate.explain.feature_maps import as_maps
from striate.explain.hooks import find_layer, outputs_of
from striate.models import Classifier
from striate.models.contract import evaluating

STEPS = 100
RATE = 0.15
START = 0.01  # standard deviation of the amplitudes at the start
OPEN, LEAK = 0.25, 0.1  # share of the steps in which closed ReLUs let gradients through, and how much of them
SHIFT = 0.1  # of a side, by which a picture is moved at most
TURN = 0.15  # radians, by which it is turned at most; and the share by which it is scaled
POWER = 1.5  # of the frequency, by which amplitudes fall
PIXELS = 2**19  # of pictures that are searched at a time
# square root of the colours' covariance in ImageNet, over its largest column (lucid, Apache-2.0, Olah et al. 2017)
COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
EPSILON = 1e-8


@dataclass(frozen=True)
class Target:
    """What is to be excited.

    Args:
        channel: The channel of the layer, or the class's number.
        layer: A stage or module; None for the logits.
    """

    channel: int
    layer: str | None = None


@dataclass(frozen=True, eq=False)
class Synthesis:
    """Pictures made for targets, in their order.

    Args:
        images: uint8, N C H W, as the network sees them.
        before: Float, N; each target's excitation by the picture at the start: a channel's mean, or the logit.
        after: Float, N; by these images.
    """

    images: Tensor
    before: Tensor
    after: Tensor


def synthesise(
    model: Classifier, spec: ImageSpec, targets: Sequence[Target], steps: int = STEPS, seed: int = 0
) -> Synthesis:
    """Return pictures that excite channels or classes, found from noise by gradient ascent.

    A picture depends on the seed and on its own target, not on the others. Of the start and the end the one with the
    larger excitation is returned, so that `after` is never below `before`.

    Args:
        model: Its mode, weights and gradients are left as they are.
        spec: Of its pictures.
        targets: One or more.
        steps: Of the search, 1 or more.
        seed: Of start and movements.

    Raises:
        SettingsError: There is no such layer, channel or class.
    """
    modules = dict(find_layer(model, target.layer) for target in targets if target.layer is not None)
    together = max(1, PIXELS // (spec.input_shape[1] * spec.input_shape[2]))
    parts = []
    with evaluating(model), torch.enable_grad(), _ReLUs(model) as relus, outputs_of(modules, copied=True) as outputs:
        for first in range(0, len(targets), together):
            search = _Search(model, spec, targets[first : first + together], relus, outputs, seed)
            parts.append(search.run(steps))
    images, before, after = (torch.cat(some) for some in zip(*parts, strict=True))
    return Synthesis(images, before, after)


class _ReLUs:
    """A network's ReLUs, which while they are open let a part of the gradients through where their input is negative.

    What they give is the same. A channel that noise does not excite has no gradient otherwise (the redirected
    gradients of lucid, Olah et al. 2017).
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model
        self.are_open = False
        self.inputs: list[Tensor] = []

    def __enter__(self) -> _ReLUs:
        self.hooks = ExitStack()
        for module in self.model.modules():
            if isinstance(module, nn.ReLU | nn.ReLU6):
                self.hooks.callback(module.register_forward_pre_hook(self._before).remove)
                self.hooks.callback(module.register_forward_hook(self._after).remove)
        return self

    def __exit__(self, *_: object) -> None:
        self.hooks.close()

    def _before(self, module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        if self.are_open:
            self.inputs.append(arguments[0].clone())  # it may work in place

    def _after(self, module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if not self.are_open:
            return None
        given = self.inputs.pop()
        return output + LEAK * (given - given.detach()) * (given < 0)


class _Search:
    """The search for the pictures of some targets, all at once."""

    def __init__(
        self,
        model: Classifier,
        spec: ImageSpec,
        targets: Sequence[Target],
        relus: _ReLUs,
        outputs: dict[str, Tensor],
        seed: int,
    ) -> None:
        self.model, self.spec, self.targets, self.relus, self.outputs = model, spec, targets, relus, outputs
        self.device = next(model.parameters()).device
        self.generator = torch.Generator().manual_seed(seed)
        channels, self.height, self.width = spec.input_shape
        frequencies = torch.hypot(torch.fft.fftfreq(self.height)[:, None], torch.fft.rfftfreq(self.width)[None])
        lowest = 1 / max(self.height, self.width)
        falling = (frequencies.clamp_min(lowest) / lowest) ** -POWER / lowest
        self.scale = (falling * (self.height * self.width) ** 0.5).to(self.device)  # H W/2+1
        start = START * torch.randn(channels, *self.scale.shape, 2, generator=self.generator)
        self.waves = start.to(self.device).repeat(len(targets), 1, 1, 1, 1).requires_grad_()  # N C H W/2+1 2
        self.colours = torch.tensor(COLOURS, device=self.device)
        self.colours = self.colours / self.colours.norm(dim=0).max()

    def run(self, steps: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the pictures, uint8 N C H W, and their excitation before and after, N."""
        first = self._picture()
        before = self._measured(first)
        state = [torch.zeros_like(self.waves) for _ in range(2)]
        count = torch.zeros(())
        for step in range(steps):
            self.relus.are_open = step < OPEN * steps
            gradient = self._gradient()
            with torch.no_grad():
                _adam(self.waves, gradient, state, count)
        self.relus.are_open = False
        last = self._picture()
        after = self._measured(last)
        risen = after > before
        images = torch.where(risen[:, None, None, None], last, first)
        return images.cpu(), before.cpu(), after.where(risen, before).cpu()

    def _pixels(self) -> Tensor:
        """Return the pictures of the waves, N C H W on 0 … 1."""
        waves = torch.view_as_complex(self.waves) * self.scale
        pixels: Tensor = torch.fft.irfft2(waves, s=(self.height, self.width)) / 4  # N C H W
        if pixels.shape[1] == 3:
            pixels = torch.einsum("nchw,dc->ndhw", pixels, self.colours)
        return pixels.sigmoid()

    @torch.no_grad()
    def _picture(self) -> Tensor:
        return (255 * self._pixels()).round().byte()

    @torch.no_grad()
    def _measured(self, images: Tensor) -> Tensor:
        return self._excitation(normalize(images, self.spec))

    def _excitation(self, inputs: Tensor) -> Tensor:
        """Return each target's excitation by its own picture, N."""
        logits = self.model(inputs)
        found = []
        for number, target in enumerate(self.targets):
            maps = logits if target.layer is None else self.outputs[target.layer]
            values = as_maps(target.layer or "logits", maps)[number]  # F h w
            if not 0 <= target.channel < len(values):
                kind = "class" if target.layer is None else f"channel of {target.layer}"
                raise SettingsError(f"no such {kind}", where=target.channel, fix=f"0 … {len(values) - 1}")
            found.append(values[target.channel].mean())
        return torch.stack(found)

    def _gradient(self) -> Tensor:
        """Return the gradient of the negative excitation, by moved pictures, with respect to the waves."""
        moved = F.grid_sample(
            self._pixels(), self._movement(), mode="bilinear", padding_mode="border", align_corners=False
        )
        excitation = self._excitation(normalize(255 * moved, self.spec))
        (gradient,) = torch.autograd.grad(-excitation.sum(), self.waves)
        return gradient

    def _movement(self) -> Tensor:
        """Return the places from which every picture of a step is resampled: shifted, turned and scaled at random."""
        across, down, turn, zoom = (2 * torch.rand(4, generator=self.generator) - 1).tolist()
        cosine, sine = ((1 + TURN * zoom) * part for part in (math.cos(TURN * turn), math.sin(TURN * turn)))
        shift = 2 * SHIFT  # the picture reaches from −1 to 1
        moves = [[cosine, -sine, shift * across], [sine, cosine, shift * down]]
        theta = torch.tensor(moves, device=self.device).expand(len(self.waves), 2, 3)
        return F.affine_grid(theta, [*self.waves.shape[:2], self.height, self.width], align_corners=False)


def _adam(waves: Tensor, gradient: Tensor, state: list[Tensor], count: Tensor) -> None:
    adam(
        [waves], [gradient], [state[0]], [state[1]], [], [count],
        amsgrad=False, beta1=0.9, beta2=0.999, lr=RATE, weight_decay=0.0, eps=EPSILON, maximize=False,
    )  # fmt: skip
