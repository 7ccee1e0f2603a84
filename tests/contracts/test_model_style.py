"""Any network can look at style: its stages are chosen, their losses fall, and it stays as it was."""

from __future__ import annotations

import numpy as np

from striate.runs.model_file import weights_digest
from striate.style.memory import needed_memory
from striate.style.network import with_layers
from striate.style.settings import StyleSettings
from striate.style.transfer import Transfer

from .networks import as_after_training, every_model, small, spec_of_shape


@every_model
def test_a_few_steps_bring_the_style_nearer_and_leave_the_network_alone(name) -> None:
    shape = small(name)
    model = as_after_training(name)
    looks = with_layers(model, spec_of_shape(shape), name, "asked for", None, None)
    rng = np.random.default_rng(0)
    content, style = (rng.integers(0, 256, (*shape[1:], 1), dtype=np.uint8) for _ in range(2))
    before = weights_digest(model.state_dict())
    assert needed_memory(looks, shape[1:], shape[1:]) > 4 * content.size
    transfer = Transfer(looks, content, style, StyleSettings(steps=3, optimizer="lbfgs", content_weight=0, tv_weight=0))
    assert len(list(transfer.steps())) > 0
    assert transfer.losses[-1].style < transfer.losses[0].style, "every step of L-BFGS leads down"
    assert weights_digest(model.state_dict()) == before
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for stage in model.stages().values() for module in [stage]) or "timm" in name
