"""Classes of very different size: weights and their formula, the weighted losses, the plan's choice, whole runs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.special import log_softmax

import striate
from striate.cli.main import main
from striate.core.errors import SettingsError
from striate.core.settings import TrainSettings
from striate.data.augment.mix import Mix, apply_mix
from striate.data.dataset import ImageDataset, Splits
from striate.evaluation import evaluate
from striate.training import loop
from striate.training.balance import CAP, choose_balance, class_weights, positive_weights
from striate.training.job import prepare, resume
from striate.training.loss import binary_cross_entropy, cross_entropy
from striate.training.plan import make_plan
from striate.training.tripwires import loss_of_guessing

from .test_resume import stop_after

COUNTS = st.lists(st.integers(1, 100_000), min_size=2, max_size=8)


def part(counts: list[int], side: int = 8) -> ImageDataset:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (len(labels), 1, side, side), generator=generator, dtype=torch.uint8)
    return ImageDataset(images, labels, tuple("abcdefgh"[: len(counts)]), [str(i) for i in range(len(labels))])


# the weights


@given(COUNTS)
def test_weights_are_finite_capped_and_one_on_average_over_the_pictures(counts) -> None:
    weights = class_weights(counts).double().numpy()
    assert np.isfinite(weights).all()
    assert (weights > 0).all()
    assert (weights * counts).sum() / sum(counts) == pytest.approx(1, rel=1e-5)
    assert weights.max() <= CAP * weights.min() * (1 + 1e-5)
    order = np.argsort(counts, kind="stable")
    assert (np.diff(weights[order]) <= 1e-6).all(), "fewer pictures never count less"


@given(COUNTS)
def test_below_the_cap_weights_go_with_the_effective_number_of_pictures(counts) -> None:
    # Cui et al. 2019: Eₙ = 1 + β + … + βⁿ⁻¹, here as that sum
    effective = [np.sum(0.999 ** np.arange(min(n, 50_000))) for n in counts]
    wanted = np.minimum(max(effective) / np.array(effective), CAP)
    weights = class_weights(counts).double().numpy()
    np.testing.assert_allclose(weights / weights.min(), wanted, rtol=1e-4)


@pytest.mark.parametrize("counts", [[1000, 1], [100_000, 100], [5, 0], [1, 1, 10**9]])
def test_a_thousand_to_one_and_no_picture_at_all_stay_finite(counts) -> None:
    weights = class_weights(counts)
    assert torch.isfinite(weights).all()
    assert torch.isfinite(positive_weights(counts, max(counts) + 1)).all()


def test_equal_classes_weigh_the_same() -> None:
    torch.testing.assert_close(class_weights([37, 37, 37]), torch.ones(3))
    torch.testing.assert_close(positive_weights([50, 20, 99], 100), torch.tensor([1.0, 4.0, 1 / CAP]))


# the losses


@given(seed=st.integers(0, 2**32 - 1), smoothing=st.sampled_from([0.0, 0.1, 0.5]))
@settings(deadline=None, max_examples=30)
def test_weights_count_a_picture_as_if_it_were_there_so_often(seed, smoothing) -> None:
    rng = np.random.default_rng(seed)
    z, labels, times = rng.normal(0, 3, (7, 4)), rng.integers(0, 4, 7), rng.integers(1, 6, 4)
    repeated = np.repeat(np.arange(7), times[labels])
    one = cross_entropy(torch.from_numpy(z), torch.from_numpy(labels), smoothing, torch.from_numpy(times).double())
    many = F.cross_entropy(
        torch.from_numpy(z[repeated]), torch.from_numpy(labels[repeated]), label_smoothing=smoothing, reduction="sum"
    )
    assert float(one) == pytest.approx(float(many) / 7)


@given(seed=st.integers(0, 2**32 - 1), smoothing=st.sampled_from([0.0, 0.1, 0.5]))
@settings(deadline=None, max_examples=30)
def test_a_mixed_picture_counts_by_its_shares_of_the_classes(seed, smoothing) -> None:
    rng = np.random.default_rng(seed)
    z, weights = rng.normal(0, 3, (6, 3)), rng.uniform(0.1, 9, 3)
    labels, share = rng.integers(0, 3, 6), rng.random(6)
    mix = Mix(torch.from_numpy(share), torch.zeros(6, 4, dtype=torch.long))
    _, targets = apply_mix(torch.zeros(6, 1, 4, 4), torch.from_numpy(labels), mix, 3)
    told = cross_entropy(torch.from_numpy(z), targets, smoothing, torch.from_numpy(weights))

    def each(of: np.ndarray) -> np.ndarray:
        smoothed = np.eye(3)[of] * (1 - smoothing) + smoothing / 3
        return weights[of] * -(smoothed * log_softmax(z, 1)).sum(1)

    expected = (share * each(labels) + (1 - share) * each(np.roll(labels, 1))).mean()
    assert float(told) == pytest.approx(expected, rel=1e-5)


def test_without_weights_and_with_ones_the_loss_is_the_same() -> None:
    torch.manual_seed(0)
    z, labels = torch.randn(9, 4), torch.randint(0, 4, (9,))
    for targets in (labels, F.one_hot(labels, 4).float()):
        torch.testing.assert_close(cross_entropy(z, targets, 0.1), cross_entropy(z, targets, 0.1, torch.ones(4)))
    several = torch.rand(9, 4)
    torch.testing.assert_close(
        binary_cross_entropy(z, several, 0.1), binary_cross_entropy(z, several, 0.1, torch.ones(4))
    )


def test_positive_weights_multiply_what_is_of_the_class() -> None:
    rng = np.random.default_rng(0)
    z, y, w = rng.normal(size=(8, 3)), rng.random((8, 3)) < 0.3, np.array([1.0, 4.0, 0.5])
    p = 1 / (1 + np.exp(-z))
    expected = -(w * y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    told = binary_cross_entropy(torch.from_numpy(z), torch.from_numpy(y).double(), 0.0, torch.from_numpy(w))
    assert float(told) == pytest.approx(expected)


@pytest.mark.parametrize("balance", ["none", "weights", "sampling"])
def test_the_loss_of_guessing_is_the_least_of_any_constant_answer(balance) -> None:
    data = part([60, 9, 3])
    weights = class_weights([60, 9, 3]) if balance == "weights" else None
    labels = torch.arange(3) if balance == "sampling" else data.labels
    constant = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([constant], max_iter=100)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        wanted = None if weights is None else weights.double()
        value = cross_entropy(constant.expand(len(labels), 3), labels, 0.0, wanted)
        value.backward()
        return value

    optimizer.step(loss)
    assert loss_of_guessing(data, balance) == pytest.approx(float(loss().detach()), rel=1e-4)


def test_the_loss_of_guessing_several_weighted_classes_is_the_least_of_any_constant_answer() -> None:
    flags = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) < torch.tensor([0.1, 0.4])
    data = ImageDataset(torch.zeros(200, 1, 2, 2, dtype=torch.uint8), flags, ("a", "b"), [""] * 200)
    weights = positive_weights(data.class_counts(), 200).double()
    answers = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    losses = [
        min(
            float(F.binary_cross_entropy_with_logits(z.expand(200), flags[:, k].double(), pos_weight=weights[k]))
            for z in answers[::8]
        )
        for k in range(2)
    ]
    assert loss_of_guessing(data, "weights") == pytest.approx(np.mean(losses), rel=1e-3)


# the choice


@pytest.mark.parametrize(
    ("counts", "expected"), [([20, 20], "none"), ([59, 20], "none"), ([60, 20], "weights"), ([9, 90, 30], "weights")]
)
def test_weights_are_chosen_from_three_times_on(counts, expected) -> None:
    plan = make_plan(TrainSettings(epochs=1), Splits("x", part(counts), val=part([2] * len(counts))))
    assert plan.settings.balance == expected
    assert f"{max(counts) / min(counts):.1f} times" in plan.reasons["balance"]
    assert ("balanced by weights (the largest class" in plan.lines()[2]) == (expected == "weights")
    assert len(plan.lines()) == 5


def test_what_is_given_wins_and_sampling_label_sets_is_refused() -> None:
    assert make_plan(TrainSettings(epochs=1, balance="none"), Splits("x", part([90, 9]))).settings.balance == "none"
    flags = torch.rand(60, 2, generator=torch.Generator().manual_seed(0)) < torch.tensor([0.1, 0.9])
    data = Splits("x", ImageDataset(part([60]).images, flags, ("a", "b"), [str(i) for i in range(60)]))
    assert choose_balance(data.train)[0] == "none"
    assert make_plan(TrainSettings(epochs=1, balance="weights"), data).settings.balance == "weights"
    with pytest.raises(SettingsError, match="balance sampling"):
        make_plan(TrainSettings(epochs=1, balance="sampling"), data)


# whole runs


def uneven_folder(root: Path, **counts: int) -> Path:
    """Draw two classes that overlap: pictures of any grey, on average dark and a little less dark."""
    rng = np.random.default_rng(0)
    for level, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.clip(rng.normal(rng.normal(100 + 20 * level, 15), 25, (12, 12)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i:04}.png")
    return root


QUICK = {"epochs": 4, "precision": "fp32", "device": "cpu", "shift": 0, "val_share": 0.25}


def test_balanced_training_takes_more_pictures_for_the_rare_class(tmp_path: Path) -> None:
    folder = uneven_folder(tmp_path / "photos", usual=120, rare=20)
    taken = {}
    for balance in ("none", "weights"):
        run = striate.train(folder, out=tmp_path / balance, balance=balance, **QUICK)
        rows = list(csv.DictReader((run.path / "predictions.csv").read_text().splitlines()))
        taken[balance] = np.mean([float(row["p(rare)"]) for row in rows])
        kept = json.loads((run.path / "evaluation.json").read_bytes())["val"]
        card = striate.load(run.path).card.metrics["val"].model_dump()
        assert card["balanced_accuracy"] == pytest.approx(kept["balanced_accuracy"], abs=1e-6)
    assert taken["weights"] > taken["none"] + 0.1


def test_the_loop_sees_every_class_equally_often_with_sampling(tmp_path: Path, monkeypatch) -> None:
    folder = uneven_folder(tmp_path / "photos", usual=60, rare=12)
    seen: list[int] = []
    training_loss = loop.training_loss
    monkeypatch.setattr(loop, "training_loss", lambda *a: seen.extend(a[1].labels.tolist()) or training_loss(*a))
    run = striate.train(folder, out=tmp_path / "runs", balance="sampling", **{**QUICK, "epochs": 2})
    per_epoch = len(seen) // 2
    assert len(seen) == 2 * sum(
        row["part"] == "train" for row in csv.DictReader((run.path / "files.csv").read_text().splitlines())
    )
    for epoch in range(2):
        counts = np.bincount(seen[epoch * per_epoch : (epoch + 1) * per_epoch])
        assert abs(counts[0] - counts[1]) <= 1


def test_the_command_says_why_classes_are_balanced_and_what_came_of_it(tmp_path: Path, capsys) -> None:
    folder = uneven_folder(tmp_path / "photos", usual=40, rare=10)
    options = ["--epochs", "1", "--val-share", "0.25", "--precision", "fp32", "--device", "cpu"]
    assert main(["train", str(folder), "--out", str(tmp_path / "cli"), *options]) == 0
    out, err = capsys.readouterr()
    assert "balanced by weights (the largest class has" in err
    (line,) = (line for line in out.splitlines() if line.startswith("val"))
    assert ", balanced " in line


def test_a_thousand_to_one_trains_on_finite_weights(tmp_path: Path) -> None:
    folder = uneven_folder(tmp_path / "photos", usual=1000, rare=2)
    run = striate.train(folder, out=tmp_path / "runs", **{**QUICK, "epochs": 1, "val_share": 0.1})
    assert run.config.settings.balance == "weights"
    assert all(np.isfinite(line["train_loss"]) for line in run.metrics())
    assert run.is_finished


@pytest.mark.parametrize("balance", ["weights", "sampling"])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path: Path, balance: str) -> None:
    folder = uneven_folder(tmp_path / "photos", usual=60, rare=12)
    values = {**QUICK, "balance": balance, "batch_size": 8, "rotate": 10.0, "mixup": 0.2}
    jobs = [
        prepare(str(folder), TrainSettings.parse(values), given=frozenset(values), out=tmp_path / name, name=None)
        for name in ("whole", "stopped")
    ]
    list(jobs[0].epochs())
    jobs[0].finish()
    stop_after(jobs[1], 7)
    again = resume(jobs[1].run.path, {})
    list(again.epochs())
    again.finish()
    assert again.run.model_path.read_bytes() == jobs[0].run.model_path.read_bytes()


def test_patience_goes_by_the_balanced_loss_where_classes_are_balanced_and_validation_is_unweighted(
    tmp_path: Path,
) -> None:
    folder = uneven_folder(tmp_path / "photos", usual=120, rare=24)
    values = {**QUICK, "epochs": 12, "patience": 2, "lr": 0.05, "schedule": "constant", "label_smoothing": 0.0}
    job = prepare(str(folder), TrainSettings.parse(values), given=frozenset(values), out=tmp_path / "runs", name=None)
    results = list(job.epochs())
    losses = [result.val_balanced_loss for result in results]
    best = int(np.argmin(losses))
    assert len(results) == min(best + 1 + 2, 12)
    assert job.data.val is not None
    measured = evaluate(job.model, job.data.val, job.run.spec, "val")
    assert measured.balanced_loss == pytest.approx(losses[best], abs=1e-5)
    assert measured.loss == pytest.approx(results[best].val_loss, abs=1e-5)
    assert measured.loss == pytest.approx(
        float(-measured.probabilities.log().gather(1, measured.labels[:, None]).mean()), rel=1e-4
    )
