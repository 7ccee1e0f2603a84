"""A run as it would be: its data, plan and network, and what it would take; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from striate.core import clock
from striate.core.device import choose_device
from striate.core.memory import keep_freed_memory
from striate.core.paths import user_path
from striate.core.settings import TrainSettings
from striate.core.spec import ImageSpec
from striate.data.dataset import Splits
from striate.data.fixes import Fixes, read_fixes
from striate.data.loader import Loader, in_order
from striate.data.sources import open_data
from striate.models import Classifier, build, place
from striate.models.summary import summarize
from striate.models.weights import Pretrained
from striate.runs.estimate import Estimate
from striate.training.budget import TimeBudget, require_time_for_head
from striate.training.features import feature_race, in_bf16, seconds_of_features
from striate.training.penalty import Penalty
from striate.training.plan import Plan, fitted_plan, wider_plan
from striate.training.precision import race
from striate.training.preflight import estimate, require_room
from striate.training.probe import SHARE, WRITE_LEAST, probe
from striate.training.resizing import require_another_side
from striate.training.transfer import begin
from striate.training.transfer_plan import better_side, named_weights, plan_run, sized, unlike

MUCH = 2**30  # values of training pictures, from which their mean and their neighbours take seconds
RACE_FROM = 100_000_000  # multiply-adds per step; below, a race is decided by chance


@dataclass(frozen=True)
class Outlook:
    """A run as it would be: nothing has been written.

    Args:
        data: The splits.
        model: The network, on its device.
        plan: What would be trained, and why.
        race: The outcome of the race of precisions, if there was one.
        estimate: What it would take.
        fixes: What was applied to the data, if anything.
    """

    data: Splits
    model: Classifier
    plan: Plan
    race: Mapping[str, Any]
    estimate: Estimate
    fixes: Fixes | None = None


def foresee(data: str, settings: TrainSettings, out: Path, started: float | None = None) -> Outlook:
    """Load the data, make the plan, build the network and estimate what training it takes.

    Args:
        data: A data set's name or a folder.
        settings: What the user asked for.
        out: Folder of the run folders.
        started: When a time budget began (`clock.now`); by default with this call.

    Raises:
        StriateError: Whatever cannot be obeyed, or does not fit into memory and disk.
    """
    started = clock.now() if started is None else started
    keep_freed_memory()
    device = choose_device(settings.device)
    settings = with_whole_paths(settings)
    weights = named_weights(settings)
    fixes = read_fixes(settings.fixes)
    splits = open_data(data, sized(settings, weights), settings.seed, fixes)
    side = better_side(settings, splits, weights)
    if side is not None:
        splits = open_data(data, settings.with_values(img_size=side), settings.seed, fixes)
    told = unlike(splits, weights)
    if told:
        splits = replace(splits, notes=[*splits.notes, told])
    if splits.train.images.numel() > MUCH:
        _require_room_for_a_batch(settings, splits, weights, device)
    planned = plan_run(settings, splits, weights)
    plan, model, outcome = _network(planned, splits, device)
    if settings.time_budget is not None:
        plan = _fitted(plan, model, splits, started, outcome)
        assert plan.costs is not None
        wider = wider_plan(planned, plan.costs.steps)
        if wider is not planned:
            plan, model, outcome = _network(wider, splits, device)
            plan = _fitted(plan, model, splits, started, outcome)
        budget = budget_of(plan, started)
        assert budget is not None
        if not plan.settings.transfers:  # of pretrained weights the head alone is worth having
            budget.require_steps()
    return Outlook(splits, model, plan, outcome, estimate(model, splits, plan, out, outcome), fixes)


def _require_room_for_a_batch(
    settings: TrainSettings, data: Splits, weights: Pretrained | None, device: torch.device
) -> None:
    """Refuse a batch that cannot fit, by the plan for one picture of each class: all of them take long to plan by.

    Raises:
        ResourceError: A batch of the size that was asked for needs more memory than there is.
    """
    if settings.batch_size is None:
        return
    firsts = torch.cat([data.train.of_class(label)[:1] for label in range(len(data.classes))]).unique()
    plan = plan_run(settings, replace(data, train=data.train.select(firsts)), weights)
    batch = min(settings.batch_size, len(data.train))
    plan = replace(plan, settings=plan.settings.with_values(batch_size=batch))
    require_room(place(build(plan.architecture, plan.spec), device), data, plan)


def with_whole_paths(settings: TrainSettings) -> TrainSettings:
    """Return the settings with paths that hold in any working folder: the run may be opened from another one."""
    named = {key: getattr(settings, key) for key in ("data_dir", "fixes")}
    return settings.with_values(**{key: user_path(path).absolute() for key, path in named.items() if path is not None})


def budget_of(plan: Plan, started: float | None) -> TimeBudget | None:
    """Return a plan's time budget, counted from `started` (`clock.now`); None where it has none."""
    if plan.settings.time_budget is None:
        return None
    assert plan.costs is not None
    return TimeBudget(plan.settings.time_budget, plan.costs, started)


def _fitted(plan: Plan, model: Classifier, data: Splits, started: float, race: Mapping[str, Any]) -> Plan:
    """Return the plan with what the network costs here, and how many steps of it fit into the time.

    Raises:
        SettingsError: Not even the frozen features of a pretrained network do.
    """
    time = plan.settings.time_budget
    assert time is not None
    features = 0.0
    if plan.settings.transfers:
        features = seconds_of_features(model, data, plan.spec, bf16=in_bf16(plan.settings, race))
        require_time_for_head(time, clock.now() - started, features, WRITE_LEAST)
    costs = probe(model, data, plan, SHARE * time).model_copy(update={"features": features})
    steps = TimeBudget(time, costs, started).begin(features)
    return fitted_plan(plan, costs.model_copy(update={"steps": steps}))


def _network(plan: Plan, data: Splits, device: torch.device) -> tuple[Plan, Classifier, dict[str, Any]]:
    """Return the plan with its precision, the network as training begins, and the outcome of the race if there was one.

    Raises:
        SettingsError: The network cannot be built, or a penalty's patterns do not match.
        ResourceError: A batch does not fit into memory.
    """
    model = build_network(plan, data, device)
    rows = summarize(model, plan.spec.input_shape)
    require_room(model, data, plan, rows)  # before the race takes it
    Penalty(model, plan.settings)  # says now whether its patterns match
    if plan.settings.precision != "auto":
        return plan, model, {}
    if plan.settings.transfers:
        outcome = feature_race(model, data.train, plan.spec)
        # of convolutions within each map, gradients in bf16 are slow on processors; features are not
        chosen = "fp32" if device.type == "cpu" else str(outcome["chosen"])
        return _decide(plan, chosen, f"of features: {_told(outcome)}"), model, outcome
    work = (plan.settings.batch_size or 1) * sum(row.multiply_adds for row in rows)
    if work < RACE_FROM:
        return _decide(plan, "fp32", "steps too short for a race to tell"), model, {}
    outcome = _precision_race(deepcopy(model), data, plan, device)
    return _decide(plan, str(outcome["chosen"]), _told(outcome)), model, outcome


def _told(outcome: Mapping[str, Any]) -> str:
    if "fp32_ms" not in outcome:
        return "too few pictures for a race to be worth its time"
    return f"{outcome['fp32_ms']} ms in fp32, {outcome['bf16_ms']} ms in bf16 per step"


def _decide(plan: Plan, precision: str, reason: str) -> Plan:
    settings = plan.settings.with_values(precision=precision)
    return replace(plan, settings=settings, reasons={**plan.reasons, "precision": reason})


def build_network(plan: Plan, data: Splits, device: torch.device) -> Classifier:
    """Return a plan's network as training begins: a pure function of plan and data."""
    torch.manual_seed(plan.settings.seed)
    model = place(build(plan.architecture, plan.spec), device)
    if plan.settings.transfers:
        begin(model, plan.settings)
        return model
    if plan.settings.small_until:
        require_another_side(model, plan.architecture.name, plan.spec)
    # in a resumed run too, whose checkpoint replaces the weights: it may have been stopped before the first one
    model.prepare(_some_inputs(data, plan.spec, device))
    return model


def _some_inputs(data: Splits, spec: ImageSpec, device: torch.device) -> Iterator[Tensor]:
    """Yield network inputs of training pictures, spread evenly: of as many pixels as 5,000 of 32×32 have."""
    _, height, width = spec.input_shape
    sample = data.train.spread(min(5000, max(1, 5000 * 32 * 32 // (height * width))))
    yield from in_order(sample, spec, max(1, 500 * 32 * 32 // (height * width)), device)


def _precision_race(model: Classifier, data: Splits, plan: Plan, device: torch.device) -> dict[str, Any]:
    batch_size = plan.settings.batch_size
    assert batch_size is not None
    sample = data.train.first(batch_size)
    loader = Loader(sample, plan.spec, plan.settings, batch_size, plan.settings.seed, device)
    return dict(race(model, loader.batch(0, torch.arange(len(sample), device=device))))
