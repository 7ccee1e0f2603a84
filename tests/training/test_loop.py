"""The training loop against a plain one, and what it does when things go wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import striate
from striate.core.errors import DivergedError
from striate.core.settings import TrainSettings
from striate.data.augment.mix import Mix, apply_mix
from striate.data.loader import Batch, Loader
from striate.evaluation import evaluate
from striate.models import MODELS, Architecture, build, place
from striate.training import job as jobs
from striate.training import loop
from striate.training.average import WeightAverage
from striate.training.finite import FiniteGuard
from striate.training.loop import training_loss

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_one_steps_loss_and_gradients_equal_a_plain_loops(make_spec, name: str, smoothing: float) -> None:
    spec = make_spec(channels=3, side=20)
    torch.manual_seed(0)
    images, labels = torch.randn(16, 3, 20, 20), torch.randint(0, 10, (16,))
    settings = TrainSettings.parse({"precision": "fp32", "label_smoothing": smoothing})

    torch.manual_seed(1)
    ours = place(build(Architecture(name=name), spec), CPU).train()
    torch.manual_seed(2)
    batch = Batch(images.contiguous(memory_format=torch.channels_last), labels, labels, torch.arange(16))
    loss, _ = training_loss(ours, batch, settings)
    loss.backward()

    torch.manual_seed(1)
    # the same memory layout: other kernels add in another order, and a ReLU at zero makes that a jump
    plain = build(Architecture(name=name), spec).train().to(memory_format=torch.channels_last)
    torch.manual_seed(2)
    log_p = F.log_softmax(plain(images.to(memory_format=torch.channels_last)), 1)
    target = F.one_hot(labels, 10) * (1 - smoothing) + smoothing / 10
    expected = -(target * log_p).sum(1).mean()
    expected.backward()

    assert abs(loss.item() - expected.item()) <= 1e-6
    for (key, a), b in zip(ours.named_parameters(), plain.parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        difference = (a.grad - b.grad).abs().max() / b.grad.abs().max().clamp_min(1)
        assert difference <= 1e-6, key


def test_mixed_targets_are_the_mixed_losses() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    share = torch.tensor([0.1, 0.9, 0.5, 1.0, 0.0, 0.3])
    _, targets = apply_mix(torch.zeros(6, 1, 8, 8), labels, Mix(share, torch.zeros(6, 4, dtype=torch.long)), 4)
    own = F.cross_entropy(logits, labels, reduction="none")
    other = F.cross_entropy(logits, labels.roll(1), reduction="none")
    torch.testing.assert_close(F.cross_entropy(logits, targets), (share * own + (1 - share) * other).mean())


def test_an_epochs_figures_are_those_of_its_pictures(make_job) -> None:
    job = make_job(epochs=1, lr=1e-9, batch_size=50, label_smoothing=0.0, shift=0)
    (result,) = list(job.epochs())
    # at a rate of almost zero the network stays as it was built, in training mode
    loader = Loader(job.data.train, job.run.spec, job.settings, 50, job.settings.seed, CPU)
    job.model.train()
    with torch.no_grad():
        outputs = [(job.model(b.images), b.labels) for b in loader.epoch(0)]
    logits, labels = (torch.cat(part) for part in zip(*outputs, strict=True))
    assert result.train_loss == pytest.approx(F.cross_entropy(logits, labels).item(), abs=1e-4)
    assert result.train_accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item(), abs=0.02)


def test_training_learns_and_the_same_seed_gives_the_same_bits(make_job) -> None:
    runs = []
    for out in ("a", "b"):
        job = make_job(out, epochs=20)
        results = list(job.epochs())
        job.finish()
        assert results[-1].val_accuracy > 0.8
        assert [r.epoch for r in results] == list(range(1, 21))
        runs.append(job.run.model_path.read_bytes())
    assert runs[0] == runs[1]


def test_another_seed_gives_other_weights(make_job) -> None:
    files = []
    for out, seed in (("a", 0), ("b", 1)):
        job = make_job(out, epochs=1, seed=seed)
        list(job.epochs())
        job.finish()
        files.append(job.run.model_path.read_bytes())
    assert files[0] != files[1]


@pytest.mark.parametrize(("count", "batch"), [(65, 64), (33, 32), (41, 8)])
def test_a_last_batch_of_one_does_not_stop_batch_norm(make_job, count: int, batch: int) -> None:
    job = make_job(first=count, batch_size=batch, epochs=1)
    assert len(job.data.train) == count
    (result,) = list(job.epochs())
    assert np.isfinite(result.train_loss)


def test_a_batch_larger_than_the_data_trains_with_what_there_is(make_job) -> None:
    job = make_job(first=40, batch_size=512)
    assert job.settings.batch_size == 40
    assert "40 training pictures" in job.plan.reasons["batch_size"]
    assert len(list(job.epochs())) == 3


def test_a_loss_that_is_not_finite_stops_before_the_update(make_job) -> None:
    job = make_job(lr=1000.0, schedule="constant", checkpoint_every=0, label_smoothing=0.0, model="mnist-cnn")
    with pytest.raises(DivergedError) as caught:
        list(job.epochs())
    error = caught.value
    assert error.exit_code == 5
    assert "digits/" in str(error), "the pictures of the batch are named"
    assert "step" in str(error)
    assert all(torch.isfinite(p).all() for p in job.model.parameters())
    record = json.loads((job.run.path / "diverged.json").read_bytes())
    assert len(record["pictures"]) == 12
    assert "nan" in record["loss"] or "inf" in record["loss"] or "inf" in record["gradient_norm"]


def test_a_picture_that_is_not_finite_leaves_the_weights_alone(make_job) -> None:
    job = make_job()
    guard = FiniteGuard(CPU, clip_norm=None)
    before = {k: v.clone() for k, v in job.model.state_dict().items() if "running" not in k and "num_" not in k}
    loss = job.model(torch.full((4, 1, 8, 8), torch.nan)).sum()
    loss.backward()
    guard.watch(job.model, loss.detach(), 7)
    assert guard.found()
    assert guard.first_bad()[0] == 7
    for key, value in before.items():
        assert torch.equal(job.model.state_dict()[key], value)


def test_the_gradient_is_clipped_to_its_norm() -> None:
    layer = torch.nn.Linear(3, 2)
    loss = 100 * layer(torch.ones(4, 3)).sum()
    loss.backward()
    flat = torch.cat([p.grad.flatten() for p in layer.parameters()])
    FiniteGuard(CPU, clip_norm=1.5).watch(layer, loss.detach(), 0)
    clipped = torch.cat([p.grad.flatten() for p in layer.parameters()])
    torch.testing.assert_close(clipped, flat * 1.5 / flat.norm(), rtol=1e-5, atol=1e-6)


def test_patience_stops_and_gives_the_best_epochs_weights(make_job) -> None:
    job = make_job(epochs=40, patience=2, lr=0.3, schedule="constant", label_smoothing=0.0)
    results = list(job.epochs())
    losses = [r.val_loss for r in results]
    best = int(np.argmin(losses))
    assert len(results) == best + 1 + 2 < 40
    assert job.finish()["val"].loss == pytest.approx(losses[best], abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "in_bf16", "kept"),
    [
        ({"epochs": 2}, [True, False], True),
        ({"epochs": 2, "ema": 0.9}, [True, False], True),
        ({"epochs": 2, "precision": "fp32"}, [False, False], True),
        ({"epochs": 2, "target_accuracy": 0.01}, [False], True),
        ({"epochs": 2, "patience": 1}, [True, True], False),
        ({"epochs": 3, "patience": 1, "precision": "fp32", "lr": 1e-12}, [False] * 2, False),  # the first is the best
        ({"epochs": 2, "patience": 1, "precision": "fp32", "lr": 1e-3}, [False, False], True),
    ],
)
def test_the_last_validation_is_the_finished_runs_where_it_is_the_same_measurement(
    make_job, monkeypatch, settings, in_bf16, kept
) -> None:
    seen, again = [], []
    monkeypatch.setattr(loop, "evaluate", lambda *a, **o: seen.append(o["bf16"]) or evaluate(*a, **o))
    monkeypatch.setattr(jobs, "evaluate", lambda *a, **o: again.append(a[3]) or evaluate(*a, **o))
    job = make_job(**{"precision": "bf16", "label_smoothing": 0.0, **settings})
    results = list(job.epochs())
    measured = job.finish()
    assert seen == in_bf16
    assert again == (["test"] if kept else ["val", "test"])
    if kept:
        assert (measured["val"].loss, measured["val"].accuracy) == (results[-1].val_loss, results[-1].val_accuracy)
    for part, result in measured.items():
        loaded = striate.load(job.run.path)
        known = {"calibration": loaded.card.calibration, "detector": loaded.detector}
        independent = evaluate(loaded.model, job.data.parts()[part], job.run.spec, part, **known)
        assert torch.equal(result.probabilities, independent.probabilities)
        assert result.summary() == independent.summary()


def test_the_average_of_the_weights_follows_its_formula() -> None:
    layer = torch.nn.Linear(2, 1, bias=False)
    average = WeightAverage(layer, decay=0.9)
    expected = layer.weight.detach().numpy().copy()
    for step in range(1, 40):
        with torch.no_grad():
            layer.weight.copy_(torch.full((1, 2), float(step)))
        average.update(layer, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    np.testing.assert_allclose(average.tensors["weight"].numpy(), expected, rtol=1e-5)
    own = layer.weight.detach().clone()
    with average.applied(layer):
        np.testing.assert_allclose(layer.weight.detach().numpy(), expected, rtol=1e-5)
    assert torch.equal(layer.weight, own)
