"""Which engine? A short race on this machine between all that give the network's own answers; its record is kept.

Exact comes first: an engine takes part only where its probabilities are within 1e-4 of those of the network itself
in fp32, on pictures made for it. What computes in bfloat16 is measured, and taken by name alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, prod

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from striate.core import clock
from striate.core.device import processor_name
from striate.core.errors import SettingsError
from striate.core.spec import ImageSpec
from striate.data.decode import Pixels
from striate.data.loader import normalize
from striate.data.parallel import usable_cores
from striate.deploy.engine import onnx
from striate.deploy.engine.eager import ITSELF
from striate.deploy.engine.engine import ENGINES, INEXACT, Engine, UnfitError
from striate.deploy.engine.kept import digest_of, keep, kept
from striate.evaluation.calibration import Calibration
from striate.evaluation.decision import to_probabilities
from striate.evaluation.unknown import Detector
from striate.models.batch import MOST_PIXELS
from striate.runs.model_file import LoadedModel

AUTO = "auto"
TOLERANCE = 1e-4  # of probabilities, and of scores of what is unknown
SIZES = (1, 8, 32)
SECONDS, TIMES = 0.15, 30  # of each engine at each batch size


class Runner(BaseModel):
    """How one engine came out.

    Args:
        name: As it is registered.
        images_per_second: By batch size; empty where it did not run.
        difference: The greatest between its probabilities, or scores of what is unknown, and those of the network
            itself in fp32.
        left_out: Why it could not be chosen; '' where it could.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    images_per_second: Mapping[int, float] = Field(default_factory=dict)
    difference: float | None = None
    left_out: str = ""

    @property
    def speed(self) -> float:
        """The geometric mean of its images per second, 0 where it did not run."""
        rates = self.images_per_second.values()
        return prod(rates) ** (1 / len(rates)) if rates else 0.0


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    chosen: str
    runners: tuple[Runner, ...]


@dataclass(frozen=True)
class Race:
    """An engine, and how it was chosen.

    Args:
        engine: The one to use.
        runners: Those that were looked at, in the order of their names; of an engine that was named, itself alone.
        recorded: Whether the race was an earlier one on this machine, of the same weights and versions.
        seconds: What choosing took, exports included.
    """

    engine: Engine
    runners: tuple[Runner, ...]
    recorded: bool
    seconds: float


def choose_engine(loaded: LoadedModel, name: str = AUTO, sizes: Sequence[int] = SIZES) -> Race:
    """Return an engine for a network: the one named, or the fastest whose answers are the network's own.

    Args:
        loaded: The network on its device; the engine has the weights that it has now.
        name: Of an engine, or 'auto'.
        sizes: Of the batches that it is to be fast at; those of more pixels than an accelerator would be given are
            left out.

    Raises:
        SettingsError: There is no such engine, or the one named cannot run this network here, or does not give its
            answers.
    """
    began = clock.now()
    require_engine(name)
    judge = _Judge(loaded)
    if name != AUTO:
        engine, difference = judge.fit(name)
        return Race(engine, (Runner(name=name, difference=difference),), False, clock.now() - began)
    sizes = _feasible(loaded, sizes)
    key = _key(loaded, sizes)
    record = _read(key)
    if record is not None:
        try:
            engine, _ = judge.fit(record.chosen)
            return Race(engine, record.runners, True, clock.now() - began)
        except SettingsError:
            pass  # it was fit for this machine, and is no longer
    engines, runners = _run(judge, sizes)
    best = max((runner for runner in runners if not runner.left_out), key=lambda runner: runner.speed)
    record = _Record(chosen=best.name, runners=runners)
    keep(key, record.model_dump_json().encode())
    return Race(engines[best.name], runners, False, clock.now() - began)


def require_engine(name: object) -> None:
    """Refuse what is no engine's name, nor 'auto': SettingsError."""
    ENGINES.require(name, "--engine", also=(AUTO,))


def told(race: Race) -> str:
    """Return a race in one line."""

    def rates(runner: Runner) -> str:
        return f"{runner.name} {runner.speed:,.0f}"

    ran = sorted((runner for runner in race.runners if runner.images_per_second), key=lambda one: -one.speed)
    others = ", ".join(rates(runner) for runner in ran if runner.name != race.engine.name)
    (own,) = (rates(runner) for runner in ran if runner.name == race.engine.name)
    out = [f"{runner.name} left out: {runner.left_out}" for runner in race.runners if not runner.images_per_second]
    return "; ".join([f"engine {own} images/s ({others}), by a race of {race.seconds:.0f} s", *out])


def has_record(loaded: LoadedModel, sizes: Sequence[int] = SIZES) -> bool:
    """Return whether an earlier race on this machine says which engine is the fastest."""
    return _read(_key(loaded, _feasible(loaded, sizes))) is not None


def _feasible(loaded: LoadedModel, sizes: Sequence[int]) -> tuple[int, ...]:
    _, height, width = loaded.card.spec.input_shape
    return tuple(size for size in sizes if size * height * width <= MOST_PIXELS) or (1,)


def _key(loaded: LoadedModel, sizes: Sequence[int]) -> str:
    inputs = torch.zeros(1, *loaded.card.spec.input_shape, device=next(loaded.model.parameters()).device)
    machine = [processor_name(), usable_cores(), torch.get_num_threads(), str(inputs.device)]
    if inputs.device.type == "cuda":
        machine.append(torch.cuda.get_device_name(inputs.device))
    graph = onnx.graph_key(loaded.model, inputs, loaded.layer)
    return f"{digest_of(onnx.PACKAGES, [graph, loaded.card.spec, *machine, list(ENGINES), tuple(sizes)])}.json"


def _read(key: str) -> _Record | None:
    data = kept(key)
    try:
        return None if data is None else _Record.model_validate_json(data)
    except ValidationError:  # whole, and of another version
        return None


def _run(judge: _Judge, sizes: Sequence[int]) -> tuple[dict[str, Engine], tuple[Runner, ...]]:
    """Return every engine that runs, by name, and how all came out."""
    from striate.training.timing import times

    engines: dict[str, Engine] = {}
    runners = []
    for name in ENGINES:
        try:
            engine = engines[name] = judge.make(name)
            difference = judge.difference(engine)
            rates = {}
            for size in sizes:
                images = judge.batch(size)
                seconds = min(times(partial(engine, images), judge.device, TIMES, SECONDS))
                rates[size] = float(f"{size / seconds:.4g}")
        except UnfitError as error:
            runners.append(Runner(name=name, left_out=str(error)))
            continue
        left_out = "" if difference <= TOLERANCE else _differs(difference)
        if name in INEXACT:
            left_out = f"computes with fewer digits; its answers differ by {difference:.1e}: by name alone"
        runners.append(Runner(name=name, images_per_second=rates, difference=difference, left_out=left_out))
    return engines, tuple(runners)


class _Judge:
    """Makes engines for a network and says by how much their answers differ from its own."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.spec = loaded.card.spec
        self.device = next(loaded.model.parameters()).device
        _, height, width = self.spec.input_shape
        count = max(1, min(8, MOST_PIXELS // (height * width)))
        pixels = torch.from_numpy(made_pictures(self.spec, count)).permute(0, 3, 1, 2)
        self.inputs = normalize(pixels.to(self.device), self.spec)
        self.wanted = self._answers(self.make(ITSELF))

    def batch(self, size: int) -> Tensor:
        """Return network inputs of a batch."""
        return torch.cat([self.inputs] * -(-size // len(self.inputs)))[:size]

    def fit(self, name: str) -> tuple[Engine, float]:
        """Return an engine by name, and by how much its answers differ; SettingsError where it cannot be used."""
        fix = f"use {ITSELF} or {AUTO}"
        try:
            engine = self.make(name)
            difference = self.difference(engine)
        except UnfitError as error:
            raise SettingsError(str(error), where=f"engine {name}", fix=fix) from None
        if name not in INEXACT and difference > TOLERANCE:
            raise SettingsError(_differs(difference), where=f"engine {name}", fix=fix)
        return engine, difference

    def make(self, name: str) -> Engine:
        """Return an engine by name; UnfitError, whatever it is that keeps it from running."""
        make = ENGINES[name]
        try:
            return make(self.loaded.model, self.inputs, self.loaded.layer)
        except UnfitError:
            raise
        except Exception as error:  # a race goes on without it
            raise UnfitError(f"failed ({type(error).__name__}: {error})") from None

    def difference(self, engine: Engine) -> float:
        """Return the greatest difference of its answers from the network's own; UnfitError where it gives none."""
        try:
            pairs = zip(self._answers(engine), self.wanted, strict=True)
            return max(float((ours - theirs).abs().nan_to_num(inf).max()) for ours, theirs in pairs)
        except Exception as error:
            raise UnfitError(f"failed ({type(error).__name__}: {error})") from None

    @torch.inference_mode()
    def _answers(self, engine: Engine) -> list[Tensor]:
        logits, features = engine(self.inputs)
        calibration, detector = self.loaded.card.calibration or Calibration(), self.loaded.detector
        probabilities = to_probabilities(calibration.apply(logits), self.spec.multi_label)
        return [probabilities, *_scores(detector, features)]


def made_pictures(spec: ImageSpec, count: int) -> Pixels:
    """Return pictures to try engines on, the same each time, from coarse to fine: uint8 N H W C."""
    channels, height, width = spec.input_shape
    noise = np.random.default_rng(0)
    pictures = []
    for number in range(count):
        cells = 2 ** (1 + number % 5)
        coarse = Image.fromarray(noise.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
        pictures.append(pixels[:, :, :channels])
    return np.stack(pictures)  # N H W C


def _scores(detector: Detector | None, features: Tensor | None) -> list[Tensor]:
    return [] if detector is None or features is None else [detector.scores(features).cpu()]


def _differs(difference: float) -> str:
    return f"its answers differ by {difference:.1e} from the network's own (at most {TOLERANCE:.0e})"
