"""No step waits for the device: nothing in it reads a tensor's value, by which the processor would have to wait."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from striate.core.settings import TrainSettings
from striate.data.dataset import ImageDataset
from striate.data.loader import Loader
from striate.models import Architecture, build, place
from striate.training.finite import FiniteGuard
from striate.training.loop import training_loss
from striate.training.optimizer import Optimizer
from striate.training.state import TrainingState

READING = {"aten::item", "aten::nonzero"}  # float(x), x.tolist(), if x: …; x[mask], whose shape is a value
WAYS = {
    "plain": {"optimizer": "sgd", "flip": False, "shift": 0, "normalize": "none"},
    "record": {"optimizer": "muon", "alternate_flip": True, "flip": True, "shift": 2, "label_smoothing": 0.2},
    "strong": {
        "optimizer": "sgd", "flip": True, "shift": 1, "rotate": 10, "zoom": 0.1, "crop_scale": 0.5, "hue": 0.1,
        "brightness": 0.2, "erase": 0.5, "ema": 0.9, "clip_norm": 1.0, "normalize": "picture",
    },
}  # fmt: skip


def readings(work: Callable[[], object]) -> list[str]:
    """Return the operations within that read values."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        work()
    return [event.name for event in profile.events() if event.name in READING]


def one_step(settings: TrainSettings, device: torch.device, make_spec) -> Callable[[], None]:
    """Return what the loop does in a step, but for asking the guard now and then."""
    spec = make_spec(3, 16, 4).model_copy(update={"whiten": settings.normalize == "picture"})
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (32, 3, 16, 16), dtype=torch.uint8, generator=rng)
    data = ImageDataset(images, torch.arange(32) % 4, spec.classes, [f"{i}" for i in range(32)])
    loader = Loader(data, spec, settings, 16, 0, device)
    indices = loader.indices(0, 0).to(device)
    model = place(build(Architecture(name="fast", options={"widths": [8, 8]}), spec), device)
    optimizer, guard = Optimizer(model, settings), FiniteGuard(device, settings.clip_norm)
    guard.ask_every = 10**9
    state = TrainingState(model, optimizer, settings, device, steps=10)

    def step() -> None:
        batch = loader.batch(1, indices)
        optimizer.zero_grad()
        loss, logits = training_loss(model, batch, settings)
        loss.backward()
        guard.watch(model, loss.detach(), state.step)
        optimizer.step(0.01, skip=guard.skip)
        state.after_step(loss.detach(), logits, batch.labels)

    return step


def settings_of(way: str) -> TrainSettings:
    return TrainSettings.parse({"weight_decay": 1e-4, "lr": 0.01, "epochs": 1, "precision": "bf16"} | WAYS[way])


@pytest.mark.parametrize("way", WAYS)
def test_a_step_reads_no_value(way: str, make_spec) -> None:
    step = one_step(settings_of(way), torch.device("cpu"), make_spec)
    assert readings(step) == []


def test_reading_a_value_is_noticed() -> None:
    values = torch.arange(3)
    assert readings(lambda: float(values[1])) == ["aten::item"]
    assert readings(lambda: 1 if values[1] else 0) == ["aten::item"]
    assert readings(lambda: values[values > 1]) == ["aten::nonzero"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("way", WAYS)
def test_a_step_never_waits_for_the_gpu(way: str, make_spec) -> None:
    step = one_step(settings_of(way), torch.device("cuda"), make_spec)
    step()  # the first one also chooses kernels
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
