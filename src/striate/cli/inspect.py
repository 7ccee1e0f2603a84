"""`striate inspect`: a network layer by layer, and what a model file says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from striate.cli.whole_number import whole_number

if TYPE_CHECKING:
    from striate.core.spec import ImageSpec
    from striate.models.summary import LayerSummary
    from striate.runs.ending import Ending
    from striate.runs.model_file import ModelCard

MAX_CLASSES = 100_000


def command(
    target: Annotated[str | None, Parameter(help="A model's name, a run folder or a model file.")] = None,
    /,
    *,
    img_size: Annotated[int, Parameter(help="Side of the pictures, for a model by name.", converter=whole_number)] = 28,
    channels: Annotated[
        int, Parameter(help="1 for grey, 3 for colour, for a model by name.", converter=whole_number)
    ] = 1,
    classes: Annotated[int, Parameter(help="Number of classes, for a model by name.", converter=whole_number)] = 10,
    figure: Annotated[Path | None, Parameter(help="Draw the network into this file (.png, .pdf, .svg).")] = None,
    json: Annotated[bool, Parameter(help="Write the result as JSON.", negative="")] = False,
) -> None:
    """Show per layer: shape, parameters, multiply-adds, receptive field and activation memory.

    Without a target the known models are listed.
    """
    from dataclasses import asdict

    from striate.cli.apart import picture_folders
    from striate.cli.output import FIGURE_SUFFIXES, print_json, require_free, stdout
    from striate.core.errors import SettingsError
    from striate.core.paths import is_there, user_path
    from striate.core.spec import MAX_SIDE
    from striate.models import MODELS, Architecture, build
    from striate.models.summary import summarize
    from striate.runs.ending import read_ending
    from striate.runs.model_file import load_model

    if target is None:
        print("\n".join(MODELS))
        return
    if figure is not None:
        require_free(figure, FIGURE_SUFFIXES, picture_folders(None, None, [Path(target)]))
    card = ending = None
    path = user_path(target)
    if target in MODELS or not is_there(path):
        if channels not in (1, 3) or not 1 <= img_size <= MAX_SIDE or not 2 <= classes <= MAX_CLASSES:
            raise SettingsError(
                f"--channels is 1 or 3, --img-size 1 … {MAX_SIDE}, --classes 2 … {MAX_CLASSES}",
                fix="leave them out: 28 pixels, grey, 10 classes",
            )
        model = build(Architecture(name=target), _blank_spec(img_size, channels, classes))
        shape = (channels, img_size, img_size)
    else:
        loaded = load_model(path / "model.safetensors" if path.is_dir() else path)
        model, card, shape = loaded.model, loaded.card, loaded.card.spec.input_shape
        ending = read_ending(path)
    rows = summarize(model, shape)
    if figure is not None:
        from striate.explain.drawing import save_figure
        from striate.explain.network import network_figure
        from striate.models.stage_summary import summarize_stages

        name = target if card is None else card.architecture.name
        save_figure(network_figure(summarize_stages(model, shape), shape, f"{name}, from picture to classes"), figure)
    if json:
        layers = [asdict(row) for row in rows]
        schedule = ending.model_dump(mode="json", exclude_none=True) if ending else None
        print_json({"layers": layers, "card": card.model_dump(mode="json") if card else None, "schedule": schedule})
        return
    _show(rows, card, ending)
    if figure is not None:
        stdout().print(f"figure     {figure}", markup=False)


def _blank_spec(side: int, channels: int, classes: int) -> ImageSpec:
    from striate.core.spec import ImageSpec

    return ImageSpec(
        channels=1 if channels == 1 else 3,
        height=side,
        width=side,
        classes=tuple(str(number) for number in range(classes)),
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
    )


def _training(ending: Ending) -> str:
    from striate.core.duration import duration

    parts = [f"{ending.epochs:,} epochs, {ending.steps:,} steps"]
    if ending.time_budget is not None and ending.used is not None:
        parts[0] += f", fitted {len(ending.pieces):,} times into {duration(ending.time_budget)}"
    parts += [f"ended by {ending.ended}"] if ending.ended != "epochs" else []
    if ending.target_accuracy is not None:
        parts.append(f"target {ending.target_accuracy:g} {'reached' if ending.target_reached else 'not reached'}")
    return "; ".join(parts)


def _show(rows: list[LayerSummary], card: ModelCard | None, ending: Ending | None) -> None:
    from striate.cli.certainty import rule_lines
    from striate.cli.output import stdout, table

    console = stdout()
    if card is not None:
        channels, height, width = card.spec.input_shape
        console.print(f"network    {card.architecture.name}, trained on {card.data}", markup=False)
        console.print(f"input      {height}×{width}, {'grey' if channels == 1 else 'colour'}", markup=False)
        console.print(f"classes    {', '.join(card.spec.classes)}", markup=False)
        if ending is not None:
            console.print(f"training   {_training(ending)}", markup=False)
        counted = "label sets" if card.spec.multi_label else "pictures"
        for part, figures in card.metrics.items():
            console.print(f"{part:<10} accuracy {figures.accuracy} of {figures.count:,} {counted}", markup=False)
        for line in rule_lines(card.calibration, card.metrics):
            console.print(line, markup=False)
        console.print()
    cells = [
        [
            row.name,
            row.kind,
            "×".join(map(str, row.shape)),
            f"{row.parameters:,}",
            f"{row.multiply_adds:,}",
            str(row.receptive_field),
            f"{row.activation_bytes:,}",
        ]
        for row in rows
    ]
    sums = (f"{sum(values):,}" for values in zip(*((r.parameters, r.multiply_adds) for r in rows), strict=True))
    memory = sum(row.activation_bytes for row in rows)
    cells.append(["total", "", "", *sums, "", f"{memory:,}"])
    columns = ["layer", "kind", "output", "parameters", "multiply-adds", "sees px", "bytes (fp32)"]
    console.print(table("", columns, cells, left=(0, 1)))
