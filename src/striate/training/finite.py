"""FiniteGuard: no update is ever made from a loss or gradient that is not finite.

On the CPU every step is looked at. On an accelerator that would make the processor wait, so the verdict
stays on the device: the first bad step is remembered there, the optimizer skips its update from then on,
and the processor asks once in a while. Either way the weights are those before the bad step.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from striate.core.device import sum_type

ASK_EVERY = 50


class FiniteGuard:
    """Watches loss and gradient of each step, and clips the gradient.

    Args:
        device: Where the network is.
        clip_norm: Upper limit of the gradient's norm, or None.
    """

    def __init__(self, device: torch.device, clip_norm: float | None) -> None:
        self.clip_norm = clip_norm
        self.ask_every = ASK_EVERY if device.type == "cuda" else 1
        self.bad = torch.full((3,), -1.0, dtype=sum_type(device), device=device)  # step, loss, gradient norm
        self.skip: Tensor | None = None  # on CUDA: whether the optimizer is to leave the weights alone
        self._found = False

    @torch.no_grad()
    def watch(self, model: nn.Module, loss: Tensor, step: int) -> None:
        """Look at one step after its backward pass, and clip its gradient."""
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if self.clip_norm is not None:
            torch._foreach_mul_(gradients, (self.clip_norm / (norm + 1e-6)).clamp(max=1.0))
        if self.ask_every == 1 and math.isfinite(float(loss + norm)):
            return
        now = torch.stack([torch.full_like(norm, step), loss, norm]).to(self.bad.dtype)
        known = self.bad[0] >= 0
        is_bad = known | ~torch.isfinite(loss + norm)
        self.bad = torch.where(known | ~is_bad, self.bad, now)
        if loss.device.type == "cuda":
            self.skip = is_bad.float()
        if (step + 1) % self.ask_every == 0:
            self.check()

    def check(self) -> None:
        """Ask the device now."""
        self._found = float(self.bad[0]) >= 0

    def found(self) -> bool:
        """Return whether a bad step was known when the device was last asked."""
        return self._found

    def first_bad(self) -> tuple[int, float, float]:
        """Return step, loss and gradient norm of the first bad step."""
        step, loss, norm = self.bad.tolist()
        return int(step), loss, norm
