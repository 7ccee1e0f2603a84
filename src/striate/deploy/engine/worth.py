"""Whether so many pictures are worth choosing an engine for: a race takes seconds, few pictures do not."""

from __future__ import annotations

import torch

from striate.core import clock
from striate.core.device import synchronize
from striate.deploy.engine.race import has_record
from striate.models.batch import comfortable_batch
from striate.runs.model_file import LoadedModel

FEW = 64  # of which nothing is asked
WORTH_READING, WORTH_RACING = 3.0, 30.0  # seconds that the network itself would take


def worth_choosing(loaded: LoadedModel, count: int) -> bool:
    """Return whether choosing an engine saves time: by far with a race to come, or at all with one that is recorded.

    Args:
        loaded: The network on its device.
        count: Pictures to be answered.
    """
    if count < FEW:
        return False
    seconds = count * _seconds_each(loaded)
    return seconds >= WORTH_RACING or (seconds >= WORTH_READING and has_record(loaded))


@torch.inference_mode()
def _seconds_each(loaded: LoadedModel) -> float:
    """Return how long a picture takes the network itself, in a batch of those that it gets."""
    spec = loaded.card.spec
    device = next(loaded.model.parameters()).device
    size = min(FEW, comfortable_batch(loaded.model, spec))
    images = torch.zeros(size, *spec.input_shape, device=device).contiguous(memory_format=torch.channels_last)
    loaded.model(images)
    synchronize(device)
    start = clock.now()
    loaded.model(images)
    synchronize(device)
    return (clock.now() - start) / size * spec.views
