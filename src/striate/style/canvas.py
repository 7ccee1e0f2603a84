"""Where the picture is looked for: among changes of its Fourier transform, coarse ones first.

In pixels, a network with strides answers to fine noise more easily than to structure, and the picture fills with it.
Natural pictures have amplitudes of about 1/f; with that as unit, a step changes all frequencies as much as they vary
in pictures (Mordvintsev and others, "Differentiable image parameterizations", Distill 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor


class Canvas:
    """A picture as a function of what is optimised: start + F⁻¹(z / f), z being 0 at first.

    Args:
        start: The picture to begin from, 1 C H W on 0 … 1.
    """

    def __init__(self, start: Tensor) -> None:
        self.start = start
        height, width = start.shape[2:]
        vertical = torch.fft.fftfreq(height, device=start.device)[:, None]
        horizontal = torch.fft.rfftfreq(width, device=start.device)[None]
        frequencies = torch.hypot(vertical, horizontal).clamp_min(1 / max(height, width))  # H W//2+1
        self.scale = 1 / (frequencies * frequencies.square().reciprocal().mean().sqrt())

    def blank(self) -> Tensor:
        """Return the z of the picture to begin from, 1 C H W//2+1 2: real and imaginary parts, all 0."""
        channels = self.start.shape[1]
        return torch.zeros(1, channels, *self.scale.shape, 2, device=self.start.device)

    def picture(self, z: Tensor) -> Tensor:
        """Return the picture, 1 C H W; its values may lie a little outside of 0 … 1."""
        height, width = self.start.shape[2:]
        change: Tensor = torch.fft.irfft2(torch.view_as_complex(z) * self.scale, s=(height, width), norm="ortho")
        return self.start + change
