"""A job: from the name of a data set to a finished run folder. The command line and `striate.train` share it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from striate.core import clock
from striate.core.device import choose_device, describe_machine
from striate.core.errors import SettingsError
from striate.core.memory import keep_freed_memory
from striate.core.paths import is_there, to_type, user_path
from striate.core.settings import TrainSettings
from striate.core.spec import ImageSpec
from striate.data.audit.quick import quick_check, worth_telling
from striate.data.dataset import ImageDataset, Splits
from striate.data.duplicates import picture_hashes
from striate.data.fixes import file_bytes
from striate.data.loader import Loader, in_order
from striate.data.sources import open_data
from striate.evaluation import Evaluation, SingleLabelEvaluation, evaluate
from striate.evaluation.evaluate import from_logits, prediction_header, prediction_rows
from striate.models import Classifier, build, place
from striate.models.summary import summarize
from striate.runs.estimate import Estimate
from striate.runs.folder import MAY_CHANGE, Run, RunConfig, folder_name
from striate.runs.model_file import ModelCard, metrics_summary, save_model
from striate.training.budget import TimeBudget
from striate.training.calibrate import Learned, calibrate
from striate.training.features import feature_race
from striate.training.interrupt import at_once, finishing_the_step
from striate.training.known import Known
from striate.training.loop import EpochResult, train
from striate.training.penalty import Penalty
from striate.training.plan import Plan, fitted_plan, wider_plan
from striate.training.precision import race
from striate.training.preflight import estimate
from striate.training.probe import SHARE, probe
from striate.training.resizing import require_another_side
from striate.training.transfer import begin, transfer
from striate.training.transfer_plan import better_side, named_weights, plan_run, sized
from striate.version import __version__

RACE_FROM = 100_000_000  # multiply-adds per step; below, a race is decided by chance


class Job:
    """One run, prepared: its data, network and folder.

    Args:
        data: The splits.
        model: The network, on its device.
        run: The run folder, locked by this process.
        started: When work on it began (`clock.now`), from which a time budget counts; by default now.
        is_new: Whether this process has made the run, and does not go on with one.
    """

    def __init__(
        self, data: Splits, model: Classifier, run: Run, started: float | None = None, *, is_new: bool = False
    ) -> None:
        self.data = data
        self.model = model
        self.run = run
        self.is_new = is_new
        self.budget = _budget(self.plan, started)
        self._known = Known()

    @property
    def settings(self) -> TrainSettings:
        """The run's complete settings."""
        return self.run.config.settings

    @property
    def plan(self) -> Plan:
        """What is trained, and why."""
        config = self.run.config
        return Plan(config.settings, config.architecture, config.spec, config.reasons, config.costs)

    def epochs(self) -> Iterator[EpochResult]:
        """Train (or go on training), yielding after each epoch; Ctrl-C and SIGTERM save and stop."""
        with finishing_the_step(self.run):
            if self.settings.transfers:
                self._known = yield from transfer(self.model, self.data, self.settings, self.run, self.budget)
            else:
                val = yield from train(self.model, self.data, self.settings, self.run, self.budget)
                self._known = Known() if val is None else Known({"val": val})

    def finish(self) -> dict[str, Evaluation]:
        """Measure the trained network on validation and test part, write the results, return them by part.

        From the validation part it is calibrated first (training/calibrate). What is known of it already is not
        measured again.
        The model file comes last, so that its presence means a finished run.
        """
        with at_once(self.run):
            val, spec = self._known.evaluations.get("val"), self.run.spec
            if val is None and self.data.val is not None:
                val = evaluate(self.model, self.data.val, spec, "val")
            learned = calibrate(self.model, self.data, spec, self.settings, val, self._known.features)
            self.run.notes.extend(learned.notes)
            measured = {} if learned.val is None else {"val": learned.val}
            if self.data.test is not None:
                measured["test"] = self._tested(self.data.test, learned)
            self._write(measured, learned)
        self.run.release()
        return measured

    def complete(self) -> Run:
        """Train and measure to the end, and return the run; whatever happens, its folder is let go."""
        try:
            for _ in self.epochs():
                pass
            self.finish()
        finally:
            self.run.release()  # a notebook keeps the traceback of an interrupt, and with it the run
        return self.run

    def _tested(self, test: ImageDataset, learned: Learned) -> Evaluation:
        seen, features = self._known.evaluations.get("test"), self._known.features.get("test")
        calibration, detector = learned.calibration, learned.detector
        if seen is None:
            return evaluate(self.model, test, self.run.spec, "test", calibration=calibration, detector=detector)
        scores = None if detector is None or features is None else detector.scores(features)
        return from_logits(seen.logits, test.labels, test.classes, "test", calibration, scores=scores)

    def _write(self, measured: dict[str, Evaluation], learned: Learned) -> None:
        spec = self.run.spec
        rows = [row for part, result in measured.items() for row in prediction_rows(result, self.data.parts()[part])]
        self.run.write_csv("predictions.csv", prediction_header(spec.classes), rows)
        self.run.write_json("evaluation.json", {part: result.summary() for part, result in measured.items()})
        card = ModelCard(
            architecture=self.run.config.architecture,
            spec=spec,
            metrics=metrics_summary({part: headline(result) for part, result in measured.items()}),
            settings_digest=self.run.config.digest(),
            data=self.data.name,
            calibration=learned.calibration,
        )
        save_model(self.run.model_path, self.model, card, learned.detector)


def headline(result: Evaluation) -> dict[str, Any]:
    """Return the figures of a part that are told first, as plain values."""
    certainty, accepted = result.after or result.before, result.among_accepted
    figures: dict[str, Any] = {
        "accuracy": result.accuracy,
        "interval_95": list(result.interval),
        "count": result.count,
        "loss": result.loss,
        "ece": certainty.ece,
        "ece_interval_95": certainty.ece_interval_95,
        "accepted": asdict(accepted) if accepted else None,
    }
    if isinstance(result, SingleLabelEvaluation):
        balanced, f1 = result.balanced_accuracy, result.macro_f1
        figures |= {"balanced_accuracy": balanced.value, "balanced_accuracy_interval_95": list(balanced.interval)}
        figures |= {"macro_f1": f1.value}
    return figures


@dataclass(frozen=True)
class Outlook:
    """A run as it would be: nothing has been written.

    Args:
        data: The splits.
        model: The network, on its device.
        plan: What would be trained, and why.
        race: The outcome of the race of precisions, if there was one.
        estimate: What it would take.
    """

    data: Splits
    model: Classifier
    plan: Plan
    race: Mapping[str, Any]
    estimate: Estimate


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
    settings = _with_whole_paths(settings)
    weights = named_weights(settings)
    splits = open_data(data, sized(settings, weights), settings.seed)
    side = better_side(settings, splits, weights)
    if side is not None:
        splits = open_data(data, settings.with_values(img_size=side), settings.seed)
    planned = plan_run(settings, splits, weights)
    plan, model, outcome = _network(planned, splits, device)
    if settings.time_budget is not None:
        plan = _fitted(plan, model, splits, started)
        assert plan.costs is not None
        wider = wider_plan(planned, plan.costs.steps)
        if wider is not planned:
            plan, model, outcome = _network(wider, splits, device)
            plan = _fitted(plan, model, splits, started)
        budget = _budget(plan, started)
        assert budget is not None
        if not plan.settings.transfers:  # of pretrained weights the head alone is worth having
            budget.require_steps()
    return Outlook(splits, model, plan, outcome, estimate(model, splits, plan, out))


def _with_whole_paths(settings: TrainSettings) -> TrainSettings:
    """Return the settings with paths that hold in any working folder: the run may be opened from another one."""
    named = {key: getattr(settings, key) for key in ("data_dir", "fixes")}
    return settings.with_values(**{key: user_path(path).absolute() for key, path in named.items() if path is not None})


def prepare(
    data: str,
    settings: TrainSettings,
    *,
    given: frozenset[str],
    out: Path,
    name: str | None,
    unnamed: str | None = None,
    started: float | None = None,
) -> Job:
    """Load the data, make the plan, build the network and create the run folder.

    Args:
        data: A data set's name or a folder.
        settings: What the user asked for.
        given: Names of the settings that the user gave.
        out: Folder of the run folders.
        name: The run's name.
        unnamed: What a run without a name is called, numbered where that is taken; by default as its data.
        started: When a time budget began (`clock.now`); by default with this call.

    Raises:
        StriateError: Whatever cannot be obeyed; nothing has been written then.
    """
    if name is not None and is_there(out / name / "config.json"):
        # before the data are read: the answer will not change
        raise SettingsError(
            "run folder exists",
            where=out / name,
            fix=f"use another --name, or  {to_type('striate', 'train', '--resume', out / name)}",
        )
    started = clock.now() if started is None else started
    settings = _with_whole_paths(settings)
    fixes = None if settings.fixes is None else file_bytes(settings.fixes)
    seen = foresee(data, settings, out, started)
    splits, plan = seen.data, seen.plan
    config = RunConfig(
        striate=__version__,
        data=splits.source,
        fingerprint=splits.fingerprint(),
        settings=plan.settings,
        given=settings.model_dump(mode="json", include=set(given)),
        architecture=plan.architecture,
        spec=plan.spec,
        reasons=plan.reasons,
        precision_race=seen.race,
        costs=plan.costs,
        estimate=seen.estimate,
        fixes_sha256=None if fixes is None else sha256(fixes).hexdigest(),
    )
    machine = describe_machine(choose_device(settings.device))
    run = Run.create(out, name, unnamed or folder_name(data), config, machine, fixes)
    if splits.files:
        run.write_files(splits.files)
    trained = picture_hashes(splits.train.images)
    run.write_training_hashes(trained)
    checked = quick_check(splits, trained)
    run.write_json("data-check.json", [finding.as_json() for finding in checked])
    run.notes.extend(worth_telling(checked))
    return Job(splits, seen.model, run, started, is_new=True)


def resume(path: Path, changes: Mapping[str, Any], started: float | None = None) -> Job:
    """Return the job of an unfinished run folder, ready to go on from its newest checkpoint.

    Args:
        path: The run folder.
        changes: Settings given again; only those that do not change the result may differ.
        started: When this process began with it (`clock.now`); by default with this call.

    Raises:
        SettingsError: No run there, finished already, or settings that differ.
        DataError: The data are no longer those the run began with.
    """
    started = clock.now() if started is None else started
    run = Run.open(path)
    if run.is_finished:
        raise SettingsError("this run is finished", where=path, fix=to_type("striate", "evaluate", path))
    if changes.get("fixes") is not None:
        changes = {**changes, "fixes": user_path(changes["fixes"]).absolute()}
    # what the plan made of a setting is what its user gave
    told = {key: value for key, value in changes.items() if not run.config.was_given(key, value)}
    settings = run.config.settings.with_values(**told)
    differing = {key: pair for key, pair in run.config.settings.differences(settings).items() if key not in MAY_CHANGE}
    if differing:
        lines = "\n".join(f"  {key}: {ours} in the run, {theirs} given" for key, (ours, theirs) in differing.items())
        raise SettingsError(
            f"a resumed run keeps its settings:\n{lines}",
            where=path,
            fix="leave these options out, or start a new run",
        )
    run.config = run.config.model_copy(update={"settings": settings})
    run.lock()
    keep_freed_memory()
    device = choose_device(settings.device)
    splits = run.open_data(settings)
    run.note_another_machine(describe_machine(device))
    plan = Plan(settings, run.config.architecture, run.config.spec, run.config.reasons, run.config.costs)
    return Job(splits, _build(plan, splits, device), run, started)


def _budget(plan: Plan, started: float | None) -> TimeBudget | None:
    if plan.settings.time_budget is None:
        return None
    assert plan.costs is not None
    return TimeBudget(plan.settings.time_budget, plan.costs, started)


def _fitted(plan: Plan, model: Classifier, data: Splits, started: float) -> Plan:
    """Return the plan with what the network costs here, and how many steps of it fit into the time."""
    assert plan.settings.time_budget is not None
    costs = probe(model, data, plan, SHARE * plan.settings.time_budget)
    steps = TimeBudget(plan.settings.time_budget, costs, started).begin()
    return fitted_plan(plan, costs.model_copy(update={"steps": steps}))


def _network(plan: Plan, data: Splits, device: torch.device) -> tuple[Plan, Classifier, dict[str, Any]]:
    """Return the plan with its precision, the network as training begins, and the outcome of the race if there was one.

    Raises:
        SettingsError: The network cannot be built, or a penalty's patterns do not match.
    """
    model = _build(plan, data, device)
    Penalty(model, plan.settings)  # says now whether its patterns match
    if plan.settings.precision != "auto":
        return plan, model, {}
    if plan.settings.transfers:
        outcome = feature_race(model, data.train, plan.spec)
        # of convolutions within each map, gradients in bf16 are slow on processors; features are not
        chosen = "fp32" if device.type == "cpu" else str(outcome["chosen"])
        return _decide(plan, chosen, f"of features: {_told(outcome)}"), model, outcome
    work = (plan.settings.batch_size or 1) * sum(row.multiply_adds for row in summarize(model, plan.spec.input_shape))
    if work < RACE_FROM:
        return _decide(plan, "fp32", "steps too short for a race to tell"), model, {}
    outcome = _precision_race(model, data, plan, device)
    return _decide(plan, str(outcome["chosen"]), _told(outcome)), _build(plan, data, device), outcome


def _told(outcome: Mapping[str, Any]) -> str:
    if "fp32_ms" not in outcome:
        return "too few pictures for a race to be worth its time"
    return f"{outcome['fp32_ms']} ms in fp32, {outcome['bf16_ms']} ms in bf16 per step"


def _decide(plan: Plan, precision: str, reason: str) -> Plan:
    settings = plan.settings.with_values(precision=precision)
    return replace(plan, settings=settings, reasons={**plan.reasons, "precision": reason})


def _build(plan: Plan, data: Splits, device: torch.device) -> Classifier:
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
