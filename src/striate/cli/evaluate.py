"""`striate evaluate`: a trained network on pictures with labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from striate.cli.imports import importing

if TYPE_CHECKING:
    from striate.evaluation import Evaluation

_TITLES = {"name": "class", "count": "pictures", "f1": "F1"}


def command(
    run: Annotated[Path, Parameter(help="A run folder or a model file.")],
    data: Annotated[
        str | None,
        Parameter(help="Other data than the run's own: a name, a folder or a table of pictures of any of its classes."),
    ] = None,
    /,
    *,
    part: Annotated[
        Literal["test", "val", "train"] | None,
        Parameter(help="Which part [test, else val, else all there is]"),
    ] = None,
    skip_bad: Annotated[bool, Parameter(help="Go on without unreadable pictures of the folder.", negative="")] = False,
    predictions: Annotated[Path | None, Parameter(help="Write each picture's probabilities to this CSV file.")] = None,
    figure: Annotated[
        Path | None, Parameter(help="Draw the most confident mistakes into this file (.png, .pdf, .svg).")
    ] = None,
    reliability: Annotated[
        Path | None, Parameter(help="Draw how often it is right, over how sure it is, into this file.")
    ] = None,
    data_dir: Annotated[Path | None, Parameter(help="Folder that holds data sets by name.")] = None,
    device: Annotated[str, Parameter(help="auto, cpu, cuda or mps.")] = "auto",
    json: Annotated[bool, Parameter(help="Write the result as JSON.", negative="")] = False,
) -> None:
    """Measure a trained network: accuracy with its 95 % interval, top-k, loss, per class, confusion matrix.

    Where a picture may be of any number of classes, it is right if all of them are; told are then also the share
    of single answers that are right (Hamming), macro and micro F1, and each class's average precision.
    """
    with importing():
        from striate.cli.apart import picture_folders
        from striate.cli.output import FIGURE_SUFFIXES, print_json, require_free, stderr, stdout
        from striate.cli.reading import reading_shown
        from striate.deploy.measure import measure, write_predictions

    written = {predictions: (".csv",), figure: FIGURE_SUFFIXES, reliability: FIGURE_SUFFIXES}
    pictures = picture_folders(data, data_dir, [run]) if any(written) else []
    for file, suffixes in written.items():
        if file is not None:
            require_free(file, suffixes, pictures)
    with reading_shown(stderr()):
        measured = measure(run, data, part, data_dir, device, skip_bad)
    if predictions is not None:
        write_predictions(predictions, measured)
    if figure is not None:
        from striate.explain.drawing import save_figure
        from striate.explain.predictions import mistakes_grid

        save_figure(mistakes_grid(measured.result, measured.pictures), figure)
    if reliability is not None:
        from striate.explain.drawing import save_figure
        from striate.explain.reliability import reliability_figure

        save_figure(reliability_figure(measured.result), reliability)
    for note in measured.notes:
        stderr().print(f"note: {note}", markup=False)
    if json:
        print_json(measured.result.summary())
        return
    _show(measured.result, measured.pictures.classes)
    for file in (figure, reliability):
        if file is not None:
            stdout().print(f"\nfigure     {file}", markup=False)


def _show(result: Evaluation, classes: tuple[str, ...]) -> None:
    from striate.cli.certainty import certainty_lines
    from striate.cli.output import accuracy_line, stdout, table
    from striate.evaluation import MultiLabelEvaluation, SingleLabelEvaluation

    def share(value: float | None) -> str:
        return "n/a" if value is None else f"{value:.4f}"

    console = stdout()
    console.print(accuracy_line(result))
    figures: dict[str, float | None] = {}
    if isinstance(result, SingleLabelEvaluation):
        figures = {f"top-{k}": value for k, value in result.top_k.items()}
        figures |= {"balanced accuracy": result.balanced_accuracy.value, "macro F1": result.macro_f1.value}
    elif isinstance(result, MultiLabelEvaluation):
        figures = {"Hamming": result.hamming_accuracy, "macro F1": result.macro_f1, "micro F1": result.micro_f1}
    told = "  ".join(f"{name} {share(value)}" for name, value in figures.items())
    console.print(f"loss       {result.loss:.4f}  {told}")
    for line in certainty_lines(result):
        console.print(line, markup=False)
    console.print()
    scores = result.summary()["per_class"]
    columns = [_TITLES.get(key, key.replace("_", " ")) for key in scores[0]]
    cells = [[name, str(count), *map(share, of_class)] for name, count, *of_class in (s.values() for s in scores)]
    console.print(table("", columns, cells))
    if isinstance(result, SingleLabelEvaluation) and len(classes) <= 20:
        counts = result.confusion.tolist()
        rows = [[name, *map(str, row)] for name, row in zip(classes, counts, strict=True)]
        console.print()
        console.print(table("confusion (row: true, column: predicted)", ["", *classes], rows))
