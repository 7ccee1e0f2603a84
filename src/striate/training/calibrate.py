"""The last that a run learns, from the validation part: how sure its network may be, and what it does not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from striate.core.settings import CertaintySettings
from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset, Splits
from striate.evaluation import Evaluation
from striate.evaluation.calibration import Calibration
from striate.evaluation.decision import confidence, is_right
from striate.evaluation.evaluate import from_logits
from striate.evaluation.rejection import LEAST_COVERAGE, needed_pictures, reject_threshold
from striate.evaluation.temperature import LEAST_PICTURES, fit_temperature
from striate.evaluation.unknown import Detector, make_detector, needed_for_unknown, unknown_rule, unknown_scores
from striate.models import Classifier

MOST_HELD_OUT = 50  # per cent that are advised for validation


@dataclass(frozen=True)
class Learned:
    """What was learned of a network's certainty.

    Args:
        calibration: For the model file; None where there is nothing to say.
        detector: What tells pictures unlike the training pictures, where the calibration has a rule for it.
        val: The evaluation of the validation part by that calibration; None without one.
        notes: What could not be learned and why, one sentence each.
    """

    calibration: Calibration | None
    detector: Detector | None = None
    val: Evaluation | None = None
    notes: tuple[str, ...] = ()


def calibrate(
    model: Classifier,
    data: Splits,
    spec: ImageSpec,
    settings: CertaintySettings,
    val: Evaluation | None,
    features: Mapping[str, Tensor] | None = None,
) -> Learned:
    """Return what the validation part teaches: temperature, threshold of rejection, rule for unknown pictures.

    Args:
        model: Trained, on its device.
        data: The splits; of the training part up to 2,000 pictures are looked at.
        spec: How pictures become inputs.
        settings: What is to be rejected.
        val: The network's evaluation on the validation part; None where there is none.
        features: What the last linear layer sees of each part, float32 N F, where that is known.
    """
    if val is None or data.val is None:
        plain = None if settings.reject_below is None else Calibration(reject_below=settings.reject_below)
        why = "too few pictures to hold any out" if data.val_share else "--val-share 0"
        return Learned(plain, notes=(f"there is no validation part ({why}), so probabilities are not calibrated",))
    if not bool(val.logits.isfinite().all()):
        return Learned(None, val=val, notes=("logits of validation pictures are not finite: nothing is calibrated",))
    few = len(data.val) < LEAST_PICTURES
    calibration = Calibration(
        temperature=1.0 if few else fit_temperature(val.logits, val.labels),
        count=len(data.val),
        fingerprint=data.val.fingerprint(),
        reject_below=settings.reject_below,
        error_rate=settings.error_rate,
    )
    notes = []
    if few:
        notes.append(
            f"probabilities are not calibrated: that takes {LEAST_PICTURES} validation pictures, "
            f"there are {len(data.val)}"
        )
    if settings.error_rate is not None:
        calibration = calibration.model_copy(
            update={"reject_below": _threshold(calibration, data.val, val.logits, settings.error_rate)}
        )
        if calibration.reject_below is None:
            notes.append(
                f"even of the {100 * LEAST_COVERAGE:.0f} % of validation pictures that the network is surest of, more "
                f'may be wrong than {100 * settings.error_rate:g} %, so every answer is "don\'t know": train better, '
                "with more validation pictures, or with a greater --error-rate"
            )
    detector, scores, told = _unknown(model, data.train, data.val, spec, features or {})
    notes += [] if told is None else [told]
    if detector is not None and scores is not None:
        calibration = calibration.model_copy(update={"unknown": unknown_rule(detector, scores)})
    measured = from_logits(val.logits, val.labels, data.classes, val.part, calibration, held_out=False, scores=scores)
    return Learned(calibration, detector, measured, tuple(notes))


def _threshold(calibration: Calibration, data: ImageDataset, logits: Tensor, error_rate: float) -> float | None:
    """Return the threshold that keeps an error rate on the validation pictures.

    Their temperature was fitted to the same pictures: one number, which leaves the promise as it is (tests/evaluation).
    """
    result = from_logits(logits, data.labels, data.classes, "val", calibration)
    right = is_right(result.predictions, result.labels)
    return reject_threshold(confidence(result.probabilities, result.predictions), right, error_rate)


def _unknown(
    model: Classifier, train: ImageDataset, val: ImageDataset, spec: ImageSpec, features: Mapping[str, Tensor]
) -> tuple[Detector | None, Tensor | None, str | None]:
    """Return what tells unknown pictures and the validation pictures' scores, or why there is nothing to tell them."""
    if len(val) < needed_for_unknown():
        few = (
            f"unlike pictures are not told: that takes {needed_for_unknown()} validation pictures, there are {len(val)}"
        )
        return None, None, few
    detector = make_detector(model, train, spec, features.get("train"))
    if detector is None:
        return None, None, "unlike pictures are not told: the network has no linear last layer with finite inputs"
    if "val" in features:
        return detector, detector.scores(features["val"]), None
    return detector, unknown_scores(model, val, spec, detector), None


def refusals(settings: CertaintySettings, data: Splits) -> list[str]:
    """Return what is wrong with the wanted rejection, one sentence each."""
    val = data.val
    if settings.error_rate is None:
        return []
    if settings.reject_below is not None:
        return ["reject_below and error_rate both set the threshold: leave one of them out"]
    if val is None:
        return ["error_rate is promised by a validation part: use --val-share"]
    needed = needed_pictures(settings.error_rate)
    if len(val) < needed:
        return [
            f"an error_rate of {settings.error_rate:g} takes {needed:,} validation pictures or more to promise, and "
            f"there are {len(val):,}: use {_wider(data, needed)}--error-rate {_promised_by(len(val)):g} or more"
        ]
    return []


def _wider(data: Splits, needed: int) -> str:
    """Return the share to hold out for so many validation pictures; empty where none does, or none is held out."""
    assert data.val is not None
    if data.val_share is None or data.val_share == 0:
        return ""
    parts = data.train.class_counts(), data.val.class_counts()
    counts = [sum(pair) for pair in zip(*parts, strict=True)]
    if data.multi_label or data.train.groups is not None:
        counts = [len(data.train) + len(data.val)]
    for hundredths in range(1, MOST_HELD_OUT + 1):
        share = hundredths / 100
        if sum(min(max(round(share * count), 1), count - 1) for count in counts) >= needed:
            return f"--val-share {share:g} or more, or "
    return ""


def _promised_by(count: int) -> float:
    """Return the least error rate, in thousandths, that so many held-out pictures can promise."""
    return next((rate / 1000 for rate in range(1, 1000) if needed_pictures(rate / 1000) <= count), 0.999)
