"""`striate curves`: how runs learned, in a table and over each other in a figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from striate.core.errors import SettingsError
from striate.core.paths import user_path

if TYPE_CHECKING:
    from striate.explain.curves import Curve


def command(
    runs: Annotated[list[Path], Parameter(help="Run folders, finished or not.")],
    /,
    *,
    accuracy: Annotated[float, Parameter(help="The accuracy to reach, above 0 and up to 1.")] = 0.9,
    figure: Annotated[Path | None, Parameter(help="Draw the curves into this file (.png, .pdf, .svg).")] = None,
    json: Annotated[bool, Parameter(help="Write the result as JSON.", negative="")] = False,
) -> None:
    """Compare how runs learned: when they first reached an accuracy, their best and last, and their time.

    Epochs and mini-batches are those done when an accuracy was first measured at --accuracy or more.
    """
    if not 0 < accuracy <= 1:
        raise SettingsError(f"--accuracy {accuracy:g}: above 0 and up to 1", where="--accuracy", fix="--accuracy 0.9")
    from striate.cli.apart import picture_folders
    from striate.cli.output import FIGURE_SUFFIXES, print_json, require_free, stdout, table
    from striate.explain.curves import curves_figure, read_curves

    if figure is not None:
        require_free(figure, FIGURE_SUFFIXES, picture_folders(None, None, runs))
    curves = read_curves(user_path(run) for run in runs)
    if figure is not None:
        from striate.explain.drawing import save_figure

        save_figure(curves_figure(curves, accuracy), figure)
    if json:
        print_json({"accuracy": accuracy, "runs": [_figures(curve, accuracy) for curve in curves]})
        return
    reached = [f"train ≥ {accuracy:g}", f"val ≥ {accuracy:g}"]
    columns = ["run", "data", "epochs", *reached, "best val", "last val", "time of epochs"]
    console = stdout()
    console.print(table("", columns, [_row(curve, accuracy) for curve in curves], left=(0, 1)))
    if figure is not None:
        console.print(f"figure     {figure}", markup=False)


def _figures(curve: Curve, accuracy: float) -> dict[str, Any]:
    from dataclasses import asdict

    from striate.explain.curves import best_epoch, steps_to

    train, val = steps_to(curve.metrics, accuracy, "train_accuracy"), steps_to(curve.metrics, accuracy, "val_accuracy")
    best = best_epoch(curve.metrics)
    accuracies = {line["epoch"]: line["val_accuracy"] for line in curve.metrics}
    last = curve.metrics[-1]
    return {
        "run": str(curve.path),
        "name": curve.name,
        "data": curve.data,
        "epochs": last["epoch"],
        "of_epochs": curve.epochs,
        "steps": last["step"],
        "train_reached": asdict(train) if train else None,
        "val_reached": asdict(val) if val else None,
        "best_val": {**asdict(best), "accuracy": accuracies[best.epoch]} if best else None,
        "last_val_accuracy": last["val_accuracy"],
        "seconds": round(curve.seconds, 3),
    }


def _row(curve: Curve, accuracy: float) -> list[str]:
    from striate.core.duration import duration

    def reached(point: dict[str, int] | None) -> str:
        return f"epoch {point['epoch']}, step {point['step']:,}" if point else "not reached"

    row = _figures(curve, accuracy)
    best, last = row["best_val"], row["last_val_accuracy"]
    return [
        row["name"],
        row["data"],
        f"{row['epochs']}/{row['of_epochs']}",
        reached(row["train_reached"]),
        reached(row["val_reached"]) if best else "not measured",
        f"{best['accuracy']:.4f} (epoch {best['epoch']})" if best else "not measured",
        "not measured" if last is None else f"{last:.4f}",
        duration(row["seconds"]),
    ]
