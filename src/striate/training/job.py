"""A job: from the name of a data set to a finished run folder. The command line and `striate.train` share it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from striate.core import clock
from striate.core.device import choose_device, describe_machine
from striate.core.errors import SettingsError
from striate.core.memory import keep_freed_memory
from striate.core.paths import to_type, user_path
from striate.core.settings import TrainSettings
from striate.data.audit.quick import quick_check, worth_telling
from striate.data.dataset import ImageDataset, Splits
from striate.data.duplicates import picture_hashes
from striate.evaluation import Evaluation, SingleLabelEvaluation, evaluate
from striate.evaluation.evaluate import from_logits, prediction_header, prediction_rows
from striate.models import Classifier
from striate.runs.config import MAY_CHANGE, RunConfig
from striate.runs.folder import Run
from striate.runs.model_file import ModelCard, metrics_summary, save_model
from striate.runs.naming import folder_name, require_free_name
from striate.runs.spent import NAME as TIME
from striate.runs.spent import Spent
from striate.training.calibrate import Learned, calibrate
from striate.training.interrupt import at_once, finishing_the_step
from striate.training.known import Known
from striate.training.loop import EpochResult, train
from striate.training.outlook import budget_of, build_network, foresee, with_whole_paths
from striate.training.plan import Plan
from striate.training.snapshots import SnapshotRecorder
from striate.training.transfer import transfer
from striate.version import __version__


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
        self.run.spent = Spent(started)
        self.measured: dict[str, Evaluation] = {}  # by part, once it is finished
        self.budget = budget_of(self.plan, started)
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
            recorder = SnapshotRecorder(self.model, self.data, self.run, self.budget)
            if self.settings.transfers:
                epochs = transfer(self.model, self.data, self.settings, self.run, self.budget)
                self._known = yield from recorder.recording(epochs)
            else:
                val = yield from recorder.recording(train(self.model, self.data, self.settings, self.run, self.budget))
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
        self.measured = measured
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
        self.run.write_json(TIME, {"seconds": self.run.spent.seconds()})
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
    require_free_name(out, name)  # before the data are read: the answer will not change
    started = clock.now() if started is None else started
    settings = with_whole_paths(settings)
    seen = foresee(data, settings, out, started)
    splits, plan, fixes = seen.data, seen.plan, seen.fixes
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
        fixes_sha256=fixes.digest if fixes else None,
    )
    machine = describe_machine(choose_device(settings.device))
    run = Run.create(out, name, unnamed or folder_name(data), config, machine, fixes.content if fixes else None)
    if splits.files:
        run.write_files(splits.files)
    trained = picture_hashes(splits.train.images)
    run.write_training_hashes(trained)
    checked = quick_check(splits, trained)
    run.write_json("data-check.json", [finding.as_json() for finding in checked])
    told = worth_telling(checked)
    if told:
        where = to_type("striate", "data", "check", data)
        told.append(f"every case is in {run.path / 'data-check.json'}; what to do about them is told by  {where}")
    run.notes.extend(told)
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
    return Job(splits, build_network(plan, splits, device), run, started)
