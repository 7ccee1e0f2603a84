"""A run from pretrained weights: features once per picture, a linear head on them, then fine-tuning if it helps.

The head comes first, so that fine-tuning does not begin by bending the features towards a random one (Kumar et al.,
"Fine-tuning can distort pretrained features and underperform out-of-distribution", 2022). It is epoch 0 of the run,
and what the run ends with unless fine-tuning does better on the validation part.

transfer.json     the weights, what was fitted, how it did, and what was kept
head.safetensors  the head, from which a resumed run goes on
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import asdict
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from striate.core import clock
from striate.core.errors import Interrupted, ModelFileError, ResourceError
from striate.core.paths import to_type
from striate.core.settings import TrainSettings
from striate.data.dataset import ImageDataset, Splits
from striate.evaluation import Evaluation, evaluate
from striate.evaluation.evaluate import from_logits
from striate.models import Classifier
from striate.models.weights import Pretrained, find_pretrained
from striate.runs.atomic import replace_file
from striate.runs.folder import Run
from striate.training.balance import picture_weights
from striate.training.budget import LEAST_STEPS, TimeBudget
from striate.training.feature_cache import body_digest
from striate.training.features import in_bf16, picture_features
from striate.training.finetune import freeze_stages, set_head
from striate.training.known import Known
from striate.training.linear_head import LinearHead, fit_head
from striate.training.loop import EpochResult, train
from striate.training.transfer_plan import named_weights

RECORD, HEAD = "transfer.json", "head.safetensors"
DIGITS = 6


def weights_of(settings: TrainSettings) -> Pretrained:
    """Return the weights that a complete plan names."""
    assert settings.pretrained is not None
    return named_weights(settings) or find_pretrained(settings.pretrained, settings.model)


def begin(model: Classifier, settings: TrainSettings) -> None:
    """Give a new network its pretrained weights, and freeze what is not to move."""
    weights_of(settings).load(model)
    freeze_stages(model, settings)


def transfer(
    model: Classifier, data: Splits, settings: TrainSettings, run: Run, budget: TimeBudget | None = None
) -> Generator[EpochResult, None, Known]:
    """Fit the head, fine-tune from it if that was asked for, and yield after each as `train` does.

    When the iterator is exhausted the network is the better of the two on the validation part; it returns what is
    known of it.

    Args:
        model: On its device, with its pretrained weights.
        data: The splits.
        settings: Complete.
        run: Where everything is recorded; what it already holds is resumed.
        budget: The run's time, where it is limited.

    Raises:
        ModelFileError: The weights are not those that the run began with.
        Interrupted: A stop was asked for.
        DivergedError: Fine-tuning left the finite numbers.
    """
    body = body_digest(model)
    record = _read_record(run)
    if record and record["body_sha256"] != body:
        raise ModelFileError(
            "other pretrained weights than the run began with",
            where=settings.pretrained,
            fix="put them back, or start a new run",
        )
    head: LinearHead | None = _read_head(run) if record else None
    known = Known()
    if head is None:
        started = clock.now()
        head, features = _fit(model, data, settings, run)
        set_head(model, head.weight, head.bias)
        result, measured = _measure(model, head, features, data, run, clock.now() - started)
        known = Known(measured, features)
        record = {
            "weights": settings.pretrained,
            "body_sha256": body,
            "features": run.config.precision_race.get("chosen", settings.precision),
            "penalty": head.penalty,
            "out_of_fold_accuracy": round(head.accuracy, DIGITS),
            "head": _told(measured.get("val")),
        }
        run.keep_metrics_before(0)
        replace_file(run.path / HEAD, save({"weight": head.weight, "bias": head.bias}))
        run.append_metrics(asdict(result))
        run.write_json(RECORD, record)
        run.notes.append(_sentence(head, data))
        yield result
    set_head(model, head.weight, head.bias)
    if settings.only_head:
        return known
    too_short = _no_time(data, budget, run)
    if too_short:
        run.progress.ending = too_short
        return known
    tuned = yield from train(model, data, settings, run, budget)
    assert data.val is not None
    tuned = tuned or evaluate(model, data.val, run.spec, "val")
    before = record["head"] or {}
    kept = _is_better(tuned, before)
    run.write_json(RECORD, {**record, "fine_tuned": _told(tuned), "kept": "fine-tuned" if kept else "head"})
    if kept:
        return Known({"val": tuned})
    begin(model, settings)
    set_head(model, head.weight, head.bias)
    run.progress.ending = (
        f"fine-tuning did not help (val accuracy {tuned.accuracy:.4f} after {before['accuracy']:.4f}): "
        "the network before it is kept"
    )
    return known


def fine_tuning(run: Run) -> dict[str, Any] | None:
    """Return what became of a run's fine-tuning as JSON values; None where there was none.

    'kept' says whether its network was, 'head' and 'fine_tuned' hold accuracy, loss and count of the validation part.
    """
    record = _read_record(run)
    if "kept" not in record:
        return None
    return {"kept": record["kept"] == "fine-tuned", "head": record["head"], "fine_tuned": record["fine_tuned"]}


def _fit(model: Classifier, data: Splits, settings: TrainSettings, run: Run) -> tuple[LinearHead, dict[str, Tensor]]:
    """Return the head, and the features of all parts by name: those to be measured in fp32, as every network is."""
    parts = data.parts()
    run.progress.begin(0, sum(len(part) for part in parts.values()), 0)
    bf16 = in_bf16(settings, run.config.precision_race)
    features, done = {}, 0
    for name, part in parts.items():
        features[name] = _features(model, part, name == "train" and bf16, run, done)
        done += len(part)
    run.progress.images = 0
    train = data.train
    weights = picture_weights(train, settings.balance)
    head = fit_head(
        features["train"], train.labels, len(data.classes), seed=settings.seed, weights=weights, groups=train.groups
    )
    return head, features


def _features(model: Classifier, part: ImageDataset, bf16: bool, run: Run, before: int) -> Tensor:
    def after(done: int) -> None:
        run.progress.step = before + done
        run.progress.images = before + done
        _stop_if_asked(run)

    features = picture_features(model, part, run.spec, bf16=bf16, after=after)
    _stop_if_asked(run)  # what was kept comes without batches
    return features


def _stop_if_asked(run: Run) -> None:
    if run.stop_signal is not None:
        fix = to_type("striate", "train", "--resume", run.path)
        raise Interrupted(run.stop_signal, "stopped before the head was fitted", fix=fix)


def _measure(
    model: Classifier, head: LinearHead, features: Mapping[str, Tensor], data: Splits, run: Run, seconds: float
) -> tuple[EpochResult, dict[str, Evaluation]]:
    """Return the head as epoch 0, and its evaluation on the parts that were held out."""
    results = {
        name: from_logits(head.logits(features[name]), part.labels, part.classes, name)
        if name == "train" or run.spec.views == 1
        else evaluate(model, part, run.spec, name)  # what is kept is of one view
        for name, part in data.parts().items()
    }
    trained, val = results.pop("train"), results.get("val")
    epoch = EpochResult(
        epoch=0,
        step=0,
        lr=0.0,
        train_loss=trained.loss,
        train_accuracy=trained.accuracy,
        val_loss=None if val is None else val.loss,
        val_accuracy=None if val is None else val.accuracy,
        seconds=round(seconds, 3),
        images_per_second=round(sum(len(part) for part in data.parts().values()) / max(seconds, 1e-9), 1),
    )
    return epoch, results


def _sentence(head: LinearHead, data: Splits) -> str:
    counted = f"{round(head.accuracy * len(data.train)):,} of {len(data.train):,}"
    return (
        f"a linear head on frozen features, penalty {head.penalty:.2g}: right out of fold {counted} training pictures"
    )


def _no_time(data: Splits, budget: TimeBudget | None, run: Run) -> str:
    """Return why a time budget leaves nothing for fine-tuning; empty where it does."""
    if budget is None or any(run.checkpoints.glob("step-*")):
        return ""
    if data.val is None:
        return "no fine-tuning: whether it helps is decided by a validation part (--val-share)"
    steps = budget.begin()
    if steps >= LEAST_STEPS:
        return ""
    return f"no fine-tuning: too little time is left for it, {steps} of at least {LEAST_STEPS} steps"


def _is_better(tuned: Evaluation, before: Mapping[str, float]) -> bool:
    """Return whether more is right, or as much with a lower loss."""
    return (tuned.accuracy, -tuned.loss) > (before["accuracy"], -before["loss"])


def _told(result: Evaluation | None) -> dict[str, Any] | None:
    """Return a part's figures as JSON values; unrounded, since they decide."""
    return None if result is None else {"accuracy": result.accuracy, "loss": result.loss, "count": result.count}


def _read_record(run: Run) -> dict[str, Any]:
    """Return the content of transfer.json; empty where it is not there, or damaged."""
    try:
        record = json.loads((run.path / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and "body_sha256" in record else {}


def _read_head(run: Run) -> LinearHead | None:
    """Return the head that an earlier process fitted; None where it is not there, or damaged."""
    try:
        tensors = load((run.path / HEAD).read_bytes())
        return LinearHead(tensors["weight"], tensors["bias"], 0.0, 0.0)
    except (OSError, ResourceError, KeyError):
        return None
    except Exception:  # the parser's own exceptions are not public
        return None
