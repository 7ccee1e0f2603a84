"""The plan: every setting left open is chosen from the data, with its reason, before anything is trained.

A choice looks at the training part only: its number of pictures, their size and channels, and what the
source says of mirroring. Nothing is ever tuned on validation or test pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from striate.core.device import choose_device
from striate.core.duration import duration
from striate.core.settings import TrainSettings
from striate.core.spec import ImageSpec
from striate.data.aspect import SQUARE
from striate.data.dataset import Splits
from striate.models import Architecture
from striate.models.build import require_options
from striate.runs.costs import Costs
from striate.training.balance import choose_balance
from striate.training.budget import LEAST_STEPS
from striate.training.design import fast_options, least_side, worthwhile_width
from striate.training.difficulty import neighbour_error
from striate.training.effects import contradictions, refusal
from striate.training.resizing import RATIO

STEPS = (1200, 3000)
STEPS_PER_DIFFICULTY = 13_500
EPOCHS = (3, 20)
BATCH = (16, 128)
STEPS_PER_EPOCH = 20
SMALL_UNTIL, SMALL_FROM = 0.5, 32  # share of the run, side in pixels
PEAK_LR = {"sgd": 0.14, "adam": 2e-3, "adamw": 2e-3}
MUON_LR, MUON_STEPS = 0.025, 2000  # usual for so many steps
AS_ASKED, NAMED = "as asked", "a data set by name has pictures enough of its own"  # reasons that go without saying
SCHEDULE = {"sgd": "one-cycle", "adam": "one-cycle", "adamw": "one-cycle", "muon": "linear"}
WEIGHT_DECAY = {"sgd": 5e-4, "adam": 0.0, "adamw": 1e-2, "muon": 5e-4}


@dataclass(frozen=True)
class Plan:
    """What will be trained.

    Args:
        settings: Complete; no None is left that the loop would need.
        architecture: The network.
        spec: How pictures become its input.
        reasons: Why, for each setting that was chosen here.
        costs: What it takes on this machine, and the steps that fit; where there is a time budget.
    """

    settings: TrainSettings
    architecture: Architecture
    spec: ImageSpec
    reasons: Mapping[str, str]
    costs: Costs | None = None

    def lines(self, data: Splits | None = None) -> list[str]:
        """Return the plan in five lines, for people; of the data it says how many pictures each part has."""
        s = self.settings
        flip = "by turns" if s.flip and s.alternate_flip else s.flip
        moves = {
            "flip": flip, "flip_vertical": s.flip_vertical, "rotate": s.rotate, "shift": s.shift, "zoom": s.zoom,
            "crop_scale": s.crop_scale < 1 and s.crop_scale, "brightness": s.brightness, "contrast": s.contrast,
            "saturation": s.saturation, "hue": s.hue, "erase": s.erase, "mixup": s.mixup, "cutmix": s.cutmix,
            "smaller until": s.small_until,
        }  # fmt: skip
        if s.only_head:
            moves = {}  # every picture is seen once, as it is
        active = [name if value is True else f"{name} {value}" for name, value in moves.items() if value]
        channels, height, width = self.spec.picture_shape
        pictures = [f"{height}×{width} {'grey' if channels == 1 else 'colour'}", f"{len(self.spec.classes)} classes"]
        if self.spec.multi_label:
            pictures.append("any number of them each")
        if self.spec.resize != "crop" or self.reasons.get("resize", SQUARE) != SQUARE:
            pictures.append(f"resize {self.spec.resize}{self._why('resize')}")
        if self.spec.crop:
            pictures.append("crop {}×{}".format(*self.spec.crop))
        if s.normalize != "data":
            pictures.append(f"normalize {s.normalize}")
        if self.spec.views > 1:
            pictures.append(f"{self.spec.views} views")
        options = "".join(f" {key}={value}" for key, value in self.architecture.options.items())
        options += " one logit" if self.architecture.one_logit else ""
        balance = f", balanced by {s.balance}{self._why('balance')}" if s.balance not in (None, "none") else ""
        counts = ", ".join(f"{len(part):,} {name}" for name, part in data.parts().items()) + " · " if data else ""
        return [
            f"pictures   {counts}{', '.join(pictures)}",
            f"network    {self.architecture.name}{options}{self._begun()}",
            f"schedule   {self._schedule()}{balance}",
            f"augment    {', '.join(active) or 'nothing'}",
            f"machine    {choose_device(s.device)}, {s.precision}, seed {s.seed}",
        ]

    def _why(self, key: str) -> str:
        return f" ({self.reasons[key]})" if key in self.reasons else ""

    def _begun(self) -> str:
        if not self.settings.transfers:
            against = self.reasons.get("pretrained", "")
            return f", from scratch: {against}" if against not in ("", AS_ASKED, NAMED) else ""
        frozen = f", its last {self.settings.unfreeze} stages move" if self.settings.unfreeze else ""
        return f", pretrained: {self.settings.pretrained} ({self.reasons.get('pretrained', 'as before')}){frozen}"

    def _schedule(self) -> str:
        s = self.settings
        head = "a linear head on frozen features"
        if s.only_head:
            return head
        if s.transfers and self.costs is not None and self.costs.steps < LEAST_STEPS:
            assert s.time_budget is not None
            return f"{head}; fine-tuning only if enough of the {duration(s.time_budget)} is left, which is not expected"
        steps = f"{self._length()}, batch {s.batch_size}, {s.optimizer} lr {s.lr:g} {s.schedule}"
        return f"{head}; fine-tuning: {steps}" if s.transfers else steps

    def _length(self) -> str:
        if self.settings.time_budget is None:
            return "1 epoch" if self.settings.epochs == 1 else f"{self.settings.epochs} epochs"
        if self.costs is None:
            return f"{duration(self.settings.time_budget)} in all"
        epochs, every = self.costs.epochs, self.costs.validate_every
        seldom = f", validated every {every}" if every > 1 else ""
        number = f"{epochs:,.0f}" if epochs >= 10 else f"{epochs:.1f}"
        return f"{duration(self.settings.time_budget)} in all, about {number} epochs{seldom}"


def make_plan(settings: TrainSettings, data: Splits) -> Plan:
    """Return the plan for training on `data`; what the settings say is kept.

    Raises:
        SettingsError: Options that contradict each other or the data, all at once.
    """
    _, height, width = data.train.input_shape
    count = len(data.train)
    least = min(height, width)
    channels: Literal[1, 3] = 1 if data.train.input_shape[0] == 1 else 3
    raw = settings.normalize == "none"
    mean, std = ((0.0,) * channels, (1.0,) * channels) if raw else data.train.mean_std()
    spec = ImageSpec(
        channels=channels,
        height=height,
        width=width,
        classes=data.classes,
        mean=mean,
        std=std,
        resize=settings.resize or (data.resize.resize if data.resize else "crop"),
        interpolation=settings.interpolation,
        # one that does not fit is refused below, with all else that is wrong
        crop=(settings.crop, settings.crop) if settings.crop and settings.crop <= least else None,
        whiten=settings.normalize == "picture",
        multi_label=data.multi_label,
        views_below=settings.views_below,
    )
    side = min(spec.input_shape[1:])
    chosen: dict[str, Any] = {}
    reasons: dict[str, str] = {}

    def choose(key: str, value: Any, reason: str) -> Any:
        given = getattr(settings, key)
        if given is not None:
            return given
        chosen[key], reasons[key] = value, reason
        return value

    choose("img_size", least, "the pictures' own size, or what most of them fill")
    choose("channels", spec.channels, "as the pictures are")
    choose("resize", spec.resize, data.resize.reason if data.resize else SQUARE)
    if data.val_share is not None:
        choose("val_share", data.val_share, "a tenth of the training pictures, at most about 5,000")
    model = choose("model", "fast", "small and pooled early: the quickest to train from scratch")
    fast = model == "fast"
    options: dict[str, Any] = {}
    if fast:
        options = fast_options(side, spec.channels, choose("width", 1.0, "enough for a short run"))
    variants = ("norm", "stem", "depth", "activation", "identity", "logit_scale", "dropout", "small")
    options |= {key: value for key in variants if (value := getattr(settings, key)) is not None}
    if "model" in chosen:
        require_options(model, options, ", which is trained where no --model is named,")

    batch = _power_of_two(count / STEPS_PER_EPOCH, *BATCH)
    batch = min(
        choose("batch_size", batch, f"about {STEPS_PER_EPOCH} steps per epoch, at most {BATCH[1]} pictures"),
        count,
    )
    if batch != settings.batch_size and settings.batch_size is not None:
        chosen["batch_size"], reasons["batch_size"] = batch, f"there are only {count} training pictures"
    if settings.epochs is None and settings.time_budget is None:
        difficulty = neighbour_error(data.train)
        steps = round(min(max(STEPS_PER_DIFFICULTY * difficulty, STEPS[0]), STEPS[1]))
        epochs = min(max(math.ceil(steps / math.ceil(count / batch)), EPOCHS[0]), EPOCHS[1])
        choose("epochs", epochs, f"about {steps} steps, for pixels alone leave {100 * difficulty:.0f} % errors")
    # noise of the gradient grows with rate / batch: a smaller batch wants a smaller rate
    scale = min(1.0, math.sqrt(batch / BATCH[1]))
    rule = choose("optimizer", "muon" if fast else "sgd", "learns in few steps" if fast else "usual for most networks")
    choose("schedule", SCHEDULE[rule], f"usual for {rule}")
    if rule == "muon":
        epochs = chosen.get("epochs", settings.epochs)
        steps = epochs * math.ceil(count / batch) if epochs else MUON_STEPS  # with a time budget known later
        choose("lr", muon_rate(steps), f"muon with {steps:,} steps")
    else:
        choose("lr", PEAK_LR[rule] * scale, f"{rule} with batches of {batch}")
    choose("weight_decay", WEIGHT_DECAY[rule], f"usual for {rule}")
    choose("label_smoothing", 0.1, "short schedules gain from it")
    choose("balance", *choose_balance(data.train))
    mirrored = "a mirrored picture keeps its label" if data.mirror_safe else "mirroring would change labels"
    flip = choose("flip", data.mirror_safe, mirrored)
    by_turns = bool(fast and flip)
    choose("alternate_flip", by_turns, "each picture is seen either way equally often" if by_turns else "at random")
    views = choose("views", 2 if by_turns and data.mirror_safe else 1, mirrored if fast else "one is usual")
    smaller = fast and settings.patience is None and side >= SMALL_FROM and RATIO * side >= least_side(options)
    choose(
        "small_until",
        SMALL_UNTIL if smaller else 0.0,
        "steps with fewer pixels cost less" if smaller else "every epoch sees the same pixels",
    )
    if settings.crop:
        choose("shift", 0, "the random crop moves the pictures")
    else:
        choose("shift", max(1, side // 16), "a sixteenth of the side, at least one pixel")

    complete = settings.with_values(**chosen)
    spec = spec.model_copy(update={"views": views})
    problems = contradictions(complete, data, spec)
    if problems:
        raise refusal(problems)
    return Plan(complete, Architecture(name=model, options=options, one_logit=settings.one_logit), spec, reasons)


def muon_rate(steps: int) -> float:
    """Return Muon's peak rate: every step turns the filters by as much as it says, so that few steps have to be larger.

    That it goes with the fourth root was found on held-out training pictures, between 80 and 4,200 steps.
    """
    return float(f"{MUON_LR * (MUON_STEPS / steps) ** 0.25:.3g}")


def fitted_plan(plan: Plan, costs: Costs) -> Plan:
    """Return the plan with what it costs on this machine, and why that gives the number of epochs it has."""
    assert plan.settings.time_budget is not None
    features = f"frozen features take {duration(costs.features)}, " if costs.features else ""
    reasons = {
        "epochs": f"about {costs.steps:,} steps of {1e3 * costs.step:.1f} ms fit into "
        f"{duration(plan.settings.time_budget)}, of which {features}measuring and writing take {duration(costs.finish)}"
    }
    if costs.validate_every > 1:
        reasons["validations"] = f"one takes {duration(costs.validation)}: much for an epoch"
    settings = plan.settings
    if settings.optimizer == "muon" and "lr" in plan.reasons:
        settings = settings.with_values(lr=muon_rate(costs.steps))
        reasons["lr"] = f"muon with {costs.steps:,} steps"
    return replace(plan, settings=settings, costs=costs, reasons={**plan.reasons, **reasons})


def wider_plan(plan: Plan, steps: int) -> Plan:
    """Return the plan with the wider network that a time for many steps is better spent on, or the plan as it is.

    Args:
        plan: Of `make_plan`: with the usual width, if that was chosen there.
        steps: That it could have in the time.
    """
    width = worthwhile_width(steps)
    if "width" not in plan.reasons or plan.settings.width == width:
        return plan
    _, height, side = plan.spec.input_shape
    widths = fast_options(min(height, side), plan.spec.channels, width)["widths"]
    return replace(
        plan,
        settings=plan.settings.with_values(width=width),
        architecture=plan.architecture.model_copy(
            update={"options": {**plan.architecture.options, "widths": widths}},
        ),
        reasons={**plan.reasons, "width": f"there would be time for {steps:,} steps at the usual one"},
    )


def _power_of_two(value: float, low: int, high: int) -> int:
    return int(min(max(2 ** round(math.log2(max(value, 1))), low), high))
