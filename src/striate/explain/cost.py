"""Where the time and the memory go: each stage's forward time on this machine, its activations and its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from striate.core import clock
from striate.core.device import synchronize
from striate.explain.lettering import families, wrapped
from striate.models import Classifier
from striate.models.contract import evaluating
from striate.models.stage_summary import StageSummary

LEAST, MOST = 3, 40  # passes
BAR = 0.3  # inches
COLOURS = ("#0072b2", "#009e73", "#e69f00", "#cc79a7")  # Okabe and Ito 2008


@dataclass(frozen=True)
class StageCost:
    """What a stage takes in evaluation mode.

    Args:
        name: The stage, or 'head'.
        seconds: Forward, for the whole batch; the median of the passes.
        activation_bytes: All its layers' outputs in fp32, per picture.
        weight_bytes: As they are in memory.
        multiply_adds: Per picture.
    """

    name: str
    seconds: float
    activation_bytes: int
    weight_bytes: int
    multiply_adds: int


def measure_cost(
    model: Classifier, inputs: Tensor, stages: Sequence[StageSummary], seconds: float = 1.0
) -> list[StageCost]:
    """Return what each stage takes: time is measured here and now, as the median of 3 to 40 passes.

    Args:
        model: Left as it is.
        inputs: One batch of network inputs, N C H W.
        stages: Of `summarize_stages`.
        seconds: Passes are repeated until so much time is used.
    """
    passes: list[list[float]] = []
    with evaluating(model), torch.inference_mode():
        model(inputs)  # chooses kernels
        while len(passes) < LEAST or (len(passes) < MOST and sum(map(sum, passes)) < seconds):
            passes.append(_one_pass(model, inputs))
    width = next(model.parameters()).element_size()
    return [
        StageCost(stage.name, median(taken), stage.activation_bytes, width * stage.parameters, stage.multiply_adds)
        for stage, taken in zip(stages, zip(*passes, strict=True), strict=True)
    ]


def _one_pass(model: Classifier, inputs: Tensor) -> list[float]:
    """Return the seconds from the end of each stage to that of the next, the head last."""
    device, ends = inputs.device, list[float]()
    modules = list(model.stages().values())

    def after(module: nn.Module, _: Any, output: Any) -> None:
        if len(ends) < len(modules) and module is modules[len(ends)]:
            synchronize(device)
            ends.append(clock.now())

    with ExitStack() as hooks:
        for module in modules:
            hooks.callback(module.register_forward_hook(after).remove)
        synchronize(device)
        started = clock.now()
        model(inputs)
        synchronize(device)
        ends.append(clock.now())
    return [end - begun for begun, end in zip([started, *ends], ends, strict=False)]


def cost_figure(costs: Sequence[StageCost], batch: int, machine: str = "") -> Figure:
    """Return time, multiply-adds, activations and weights of the stages as bars.

    Args:
        costs: Of `measure_cost`.
        batch: Pictures that were passed at a time.
        machine: Where it was measured.
    """
    panels: list[tuple[str, Callable[[float], str], Sequence[float]]] = [
        ("Time", milliseconds, [cost.seconds for cost in costs]),
        ("Multiply-adds", lambda total: f"{short(total)} per picture", [cost.multiply_adds for cost in costs]),
        ("Activations", lambda total: f"{short(total)}B per picture", [cost.activation_bytes for cost in costs]),
        ("Weights", lambda total: f"{short(total)}B", [cost.weight_bytes for cost in costs]),
    ]
    height = 1.05 + BAR * len(costs)
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(7.2, height), dpi=150, layout="constrained")
        where = f", {machine}" if machine else ""
        figure.suptitle(f"Where time and memory go (forward, batch of {batch}, fp32{where})", fontsize=11)
        axes = figure.subplots(1, len(panels), sharey=True)
        for axis, (title, total, values), colour in zip(axes, panels, COLOURS, strict=True):
            _bars(axis, values, colour)
            axis.set_title(f"{title}\n{total(sum(values))}", fontsize=8.5)
        axes[0].set_yticks(range(len(costs)), [wrapped(cost.name, 1.1, 8, 1)[0] for cost in costs], fontsize=8)
        for label in axes[0].get_yticklabels():
            label.set_parse_math(False)
        axes[0].invert_yaxis()
    return figure


def milliseconds(seconds: float) -> str:
    """Return a time with three digits at most: '3.51 ms', '1,240 ms'."""
    return f"{1e3 * seconds:,.3g} ms" if seconds < 1 else f"{1e3 * seconds:,.0f} ms"


def short(number: float) -> str:
    """Return a count with three digits at most before a unit: '167 k', '4.09 G'."""
    for size, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= 0.9995 * size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g} "


def _bars(axis: Axes, values: Sequence[float], colour: str) -> None:
    total = sum(values) or 1.0
    shares = [100 * value / total for value in values]
    axis.barh(range(len(shares)), shares, color=colour, height=0.7)
    for place, (share, value) in enumerate(zip(shares, values, strict=True)):
        axis.text(share + 2, place, f"{share:.0f} %" if share >= 1 or not value else "<1 %", va="center", fontsize=7.5)
    axis.set(xlim=(0, max(shares) * 1.0 + 34), xticks=[])
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.tick_params(length=0)
