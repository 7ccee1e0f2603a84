"""Prediction: pictures per second and latency of PyTorch as it is usually written, Striate and ONNX Runtime.

    python -m benchmarks.inference --rounds 5

On the processor, the same untrained network, in a process of its own for every contestant and round: `fast` on 28×28
grey pictures and ResNet-18 on 224×224 colour ones, in batches of 1, 8 and 32. The clock goes from uint8 pictures in
memory, N H W C, to probabilities in an array: what a server has to do for a decoded request. Striate answers by
`Predictor.predict_pixels`, which also names every class: with the engine that its race chooses on this machine, which
is made before the clock starts, and beside that with the network itself in PyTorch. All contestants must come to the
same probabilities.

Latency is the median over the calls of some seconds, and what one call in 20 exceeds; ONNX Runtime is left out by
name where it is not installed.

Writes results/inference.json: a network is replaced, the other stays. --quick is one round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.contest import (
    Options,
    in_own_process,
    in_turn,
    is_installed,
    keep,
    print_header,
    print_row,
    read_options,
    times,
)
from striate.core.spec import ImageSpec
from striate.deploy.predictor import load
from striate.models import Architecture, Classifier, build
from striate.runs.model_file import ModelCard, save_model

BATCHES = (1, 8, 32)
SECONDS = {"full": 3.0, "quick": 1.0, "rehearsal": 0.0}  # of each measurement; of 0 there is one call
CLASSES = tuple(f"class {number}" for number in range(10))
Pixels = NDArray[np.uint8]  # N H W C
Answer = Callable[[Pixels], NDArray[np.float32]]  # probabilities, N K


@dataclass(frozen=True)
class Latency:
    """Seconds of one call with a batch: the median, and what one call in 20 exceeds."""

    median_s: float
    slowest_20th_s: float


@dataclass(frozen=True)
class Outcome:
    """What one contestant's process came to.

    Args:
        latencies: By batch size.
        probabilities: Of the largest batch, N K.
    """

    latencies: dict[int, Latency]
    probabilities: NDArray[np.float32]


def spec_of(channels: Literal[1, 3], side: int) -> ImageSpec:
    """Return how pictures become inputs."""
    mean, std = (0.45,) * channels, (0.25,) * channels
    return ImageSpec(channels=channels, height=side, width=side, classes=CLASSES, mean=mean, std=std)


NETWORKS = {"fast": spec_of(1, 28), "resnet18": spec_of(3, 224)}


def untrained(name: str) -> Classifier:
    """Return the network that every contestant has, in evaluation mode."""
    torch.manual_seed(0)
    return build(Architecture(name=name), NETWORKS[name]).eval()


def torch_eager(name: str, folder: Path) -> Answer:
    """Return PyTorch as it is usually written."""
    network, spec = untrained(name), NETWORKS[name]
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))

    @torch.inference_mode()
    def answer(pictures: Pixels) -> NDArray[np.float32]:
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255  # N C H W
        probabilities: NDArray[np.float32] = network((images - mean) / std).softmax(1).numpy()
        return probabilities

    return answer


def striate_predictor(name: str, folder: Path, engine: str = "auto") -> Answer:
    """Return Striate's predictor of the network's model file, by an engine."""
    file = folder / "model.safetensors"
    save_model(file, untrained(name), ModelCard(architecture=Architecture(name=name), spec=NETWORKS[name]))
    numbers = [str(number) for number in range(max(BATCHES))]
    predictor = load(file, "cpu", engine)

    def answer(pictures: Pixels) -> NDArray[np.float32]:
        predictions = predictor.predict_pixels(pictures, numbers[: len(pictures)])
        return np.array([list(one.probabilities.values()) for one in predictions], np.float32)

    return answer


def onnx_runtime(name: str, folder: Path) -> Answer:
    """Return ONNX Runtime with the network exported by torch."""
    import onnxruntime

    spec, file = NETWORKS[name], folder / "model.onnx"
    example = (torch.zeros(2, *spec.input_shape),)
    torch.onnx.export(untrained(name), example, file, dynamo=True, dynamic_shapes=({0: "batch"},), verbose=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0].name
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (spec.mean, spec.std))

    def answer(pictures: Pixels) -> NDArray[np.float32]:
        images = (pictures.transpose(0, 3, 1, 2).astype(np.float32) / 255 - mean) / std  # N C H W
        logits = session.run(None, {source: images})[0]
        powers = np.exp(logits - logits.max(1, keepdims=True))
        probabilities: NDArray[np.float32] = powers / powers.sum(1, keepdims=True)
        return probabilities

    return answer


CONTESTANTS: dict[str, Callable[[str, Path], Answer]] = {
    "torch eager": torch_eager,
    "ONNX Runtime": onnx_runtime,
    "Striate, PyTorch": partial(striate_predictor, engine="torch"),
    "Striate": striate_predictor,
}
NEEDS = {"ONNX Runtime": ("onnxruntime", "onnxscript")}


def measure(contestant: str, network: str, seconds: float) -> Outcome:
    """Return a contestant's latencies, measured in this process for `seconds` each."""
    channels, height, width = NETWORKS[network].input_shape
    shape = (max(BATCHES), height, width, channels)
    pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with TemporaryDirectory() as folder:
        answer = CONTESTANTS[contestant](network, Path(folder))
        latencies = {batch: clock(partial(answer, pictures[:batch]), seconds) for batch in BATCHES}
        return Outcome(latencies, answer(pictures))


def clock(call: Callable[[], Any], seconds: float) -> Latency:
    """Return the latency of a call, made again and again for `seconds`."""
    call()  # the first one also chooses kernels
    taken: list[float] = []
    while not taken or sum(taken) < seconds:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return Latency(median(taken), quantiles(taken, n=20)[-1] if len(taken) > 1 else taken[0])


def compare(network: str, contestants: list[str], options: Options) -> None:
    """Run all contestants in turn, write their rows and keep them."""

    def run(contestant: str, number: int) -> Outcome:
        return in_own_process(measure, contestant, network, SECONDS[options.size])

    outcomes = in_turn({contestant: partial(run, contestant) for contestant in contestants}, options.rounds)
    expected = outcomes["torch eager"][0].probabilities
    for of_it in outcomes.values():
        np.testing.assert_allclose(of_it[0].probabilities, expected, rtol=0, atol=1e-4)
    medians = {
        contestant: {batch: [outcome.latencies[batch].median_s for outcome in of_it] for batch in BATCHES}
        for contestant, of_it in outcomes.items()
    }
    ratios = {}
    for batch in BATCHES:
        for contestant in contestants:
            latency = median(medians[contestant][batch])
            slow = median(outcome.latencies[batch].slowest_20th_s for outcome in outcomes[contestant])
            ratio = times(medians[contestant][batch], medians["Striate"][batch])
            if contestant != "Striate":
                ratios[f"batch {batch}, {contestant}"] = ratio
            row = [f"{batch / latency:,.0f}", f"{1e3 * latency:.2f} ms", f"{1e3 * slow:.2f} ms", f"{ratio:.2f}"]
            print_row(network, str(batch), contestant, *row)
    latencies = {
        contestant: [{batch: asdict(latency) for batch, latency in outcome.latencies.items()} for outcome in of_it]
        for contestant, of_it in outcomes.items()
    }
    keep("inference", options.size, network, ratios, latencies=latencies)


def main() -> None:
    """Compare on both networks."""
    options = read_options(__doc__, list(NETWORKS), quick=list(NETWORKS), rounds=5)
    contestants = [name for name in CONTESTANTS if all(is_installed(package) for package in NEEDS.get(name, ()))]
    print_header("network", "batch", "by", "images/s", "latency", "1 in 20 slower than", "Striate is times faster")
    for network in options.names:
        compare(network, contestants, options)


if __name__ == "__main__":
    main()
