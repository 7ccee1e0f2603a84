"""Reliability diagram: how often a network is right where it says that it is so sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter, StrMethodFormatter
from numpy.typing import NDArray
from torch import Tensor

from striate.evaluation import Evaluation
from striate.evaluation.calibration_error import (
    BINS,
    Bins,
    CalibrationFigures,
    answers,
    reliability_bins,
)
from striate.evaluation.metrics import wilson_interval
from striate.explain.lettering import families, wrapped

WIDTH, PANELS = 5.2, (3.6, 1.2)  # inches
FEW = 30  # answers in the fullest bin, from which their numbers are drawn on a logarithmic scale
TYPE = 8  # points


@dataclass(frozen=True)
class Series:
    """One set of probabilities and how it is drawn, so that it is told from the other without colour, too."""

    logits: Tensor
    figures: CalibrationFigures
    name: str
    colour: str
    marker: str
    filled: bool


def reliability_figure(evaluation: Evaluation) -> Figure:
    """Return the share of right answers over their probability, in 15 bins, and under it how many answers there are.

    Each bin's mark stands at its mean probability, with the 95 % interval (Wilson) of its share; on the diagonal the
    network is as often right as it says. Calibrated probabilities are drawn over those without a temperature.
    """
    named = "" if evaluation.part == "all" else f" of the {evaluation.part} part"
    title = f"Right answers, by how sure they are: {evaluation.count:,} pictures{named}"
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(WIDTH, sum(PANELS) + 1.5), dpi=150, layout="constrained")
        figure.suptitle("\n".join(wrapped(title, WIDTH - 0.4, 11, 2)), fontsize=11, parse_math=False)
        shares, counts = figure.subplots(2, sharex=True, height_ratios=PANELS)
        shares.plot([0, 1], [0, 1], color="0.35", linewidth=0.7, zorder=1)
        drawn = [(one, reliability_bins(*answers(one.logits, evaluation.labels))) for one in _series(evaluation)]
        logarithmic = max(int(bins.count.max()) for _, bins in drawn) >= FEW
        for series, bins in drawn:
            _draw_shares(shares, series, bins)
            _draw_counts(counts, series, bins, 0.5 if logarithmic else 0.0)
        _finish(shares, counts, logarithmic)
        figure.legend(loc="outside lower center", fontsize=TYPE, frameon=False, handlelength=2)
    return figure


def _series(evaluation: Evaluation) -> list[Series]:
    """Return the probabilities to draw, the ones that are given at last on top."""
    calibrated = evaluation.calibrated_logits()
    own = Series(evaluation.logits, evaluation.before, "as the network gives them", "#d55e00", "D", False)
    if calibrated is None or evaluation.after is None or evaluation.calibration is None:
        return [own]
    name = f"calibrated, temperature {evaluation.calibration.temperature:.3g}"
    if not evaluation.held_out:
        name = "calibrated, each by a temperature from others"
    return [own, Series(calibrated, evaluation.after, name, "#0072b2", "o", True)]  # Okabe and Ito 2008


def _draw_shares(axis: Axes, series: Series, bins: Bins) -> None:
    there = bins.count > 0
    counts, right = bins.count[there].tolist(), bins.right[there].tolist()
    share = np.array([r / n for r, n in zip(right, counts, strict=True)])
    limits = np.array([wilson_interval(r, n) for r, n in zip(right, counts, strict=True)])
    low, high = series.figures.ece_interval_95
    error = f"{series.figures.ece:.4f} (95 %: {low:.4f}–{high:.4f})"
    style: dict[str, Any] = {"markerfacecolor": series.colour if series.filled else "white", "markersize": 4.5}
    axis.errorbar(
        bins.confidence[there].numpy(),
        share,
        yerr=np.abs(limits.T - share),
        color=series.colour,
        marker=series.marker,
        linestyle="none",
        elinewidth=0.9,
        capsize=2,
        zorder=4 if series.filled else 3,
        label=f"{series.name}\nexpected calibration error {error}",
        **style,
    )


def _draw_counts(axis: Axes, series: Series, bins: Bins, floor: float) -> None:
    edges: NDArray[np.float64] = np.arange(BINS + 1) / BINS
    colour = to_rgba(series.colour, 0.35 if series.filled else 0.0)
    axis.stairs(
        np.maximum(bins.count.numpy(), floor),
        edges,
        fill=True,
        facecolor=colour,
        edgecolor=series.colour,
        linewidth=1.2,
        baseline=floor,
    )


def _finish(shares: Axes, counts: Axes, logarithmic: bool) -> None:
    shares.set_title("Share of right answers", fontsize=9, loc="left")
    counts.set_title("Answers", fontsize=9, loc="left")
    counts.set_xlabel("probability of the answer", fontsize=TYPE)
    if logarithmic:
        counts.set_yscale("log")
        counts.set_ylim(bottom=0.5)
        counts.yaxis.set_minor_formatter(NullFormatter())
    else:
        counts.set_ylim(bottom=0)
        counts.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    counts.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    shares.set_xlim(0, 1)
    shares.set_ylim(-0.02, 1.02)
    for axis in (shares.yaxis, counts.xaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    for panel in (shares, counts):
        panel.tick_params(labelsize=TYPE)
        panel.grid(color="0.9", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
