"""`striate predict`: classes and probabilities of pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from striate.cli.given import given_pictures
from striate.cli.imports import importing
from striate.cli.whole_number import whole_number
from striate.core.errors import DataError, SettingsError

if TYPE_CHECKING:
    from striate.deploy import Prediction, Predictor

MAX_DRAWN = 64
DONT_KNOW, UNLIKE = "don't know", "unlike the training pictures"
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def command(
    run: Annotated[Path, Parameter(help="A run folder or a model file.")],
    images: Annotated[list[Path], Parameter(help="Pictures, or folders of pictures.")],
    /,
    *,
    top: Annotated[
        int | None,
        Parameter(
            help="How many classes to show of each picture [the one it is of, or all of them]", converter=whole_number
        ),
    ] = None,
    figure: Annotated[
        Path | None, Parameter(help="Draw the first 64 with what they are into this file (.png, .pdf, .svg).")
    ] = None,
    device: Annotated[str, Parameter(help="auto, cpu, cuda or mps.")] = "auto",
    json: Annotated[bool, Parameter(help="Write one JSON object per picture.", negative="")] = False,
) -> int:
    r"""Classify pictures: one line each, path, class and probability, with tabs between them.

    Where a picture may be of any number of classes, they are joined by '|', and so are their probabilities; both
    are empty where there is none. With --top each class has cells of its own. Where the answer is not probable
    enough for the threshold that was trained with, the class is "don't know". A last cell says of a picture that it
    looks unlike the training pictures.

    A tab, line break or backslash in a name is written \t, \n, \r or \\. Pictures that cannot be used and folders
    without pictures are named on stderr, and the exit code is then 3.
    """
    if top is not None and top < 1:
        raise SettingsError(f"--top {top}: 1 or more", where="--top", fix="leave it out")
    with importing():
        from striate.cli.apart import picture_folders
        from striate.cli.output import FIGURE_SUFFIXES, print_json, require_free, stderr
        from striate.data.audit.finding import of
        from striate.data.sources.scan import ignored_summary
        from striate.deploy import load

    if figure is not None:
        given = [path for path in images if os.path.isdir(path)]
        require_free(figure, FIGURE_SUFFIXES, [*given, *picture_folders(None, None, [run])])
    console = stderr()
    predictor = load(run, device)
    if top is not None and top > len(predictor.classes):
        console.print(f"note: --top {top}: all {of(len(predictor.classes), 'class')} are shown", markup=False)
    failed = count = 0
    first: list[Prediction] = []

    def refuse(error: DataError) -> None:
        nonlocal failed
        failed += 1
        console.print(f"error: {error}", markup=False)

    ignored: list[tuple[str, str]] = []
    for outcome in predictor.outcomes(given_pictures(images, refuse, ignored)):
        if isinstance(outcome, DataError):
            refuse(outcome)
            continue
        count += 1
        first += [outcome] if figure is not None and count <= MAX_DRAWN else []
        if json:
            said = {"classes": outcome.labels} if predictor.spec.multi_label else {"class": outcome.label}
            print_json({"path": outcome.name, **said, **_certainty(outcome), "probabilities": outcome.probabilities})
        else:
            cells = [outcome.name, *(_top(outcome, top) if top else _answer(outcome)), *_remarks(outcome, top)]
            print("\t".join(cell.translate(_ESCAPES) for cell in cells))
    for note in ignored_summary(ignored):
        console.print(f"note: {note}", markup=False)
    if failed and failed + count > 1:
        done = f"{of(count, 'picture')} classified, {failed:,} not"
        console.print(f"note: {done}: exit code {DataError.exit_code}", markup=False)
    if figure is not None:
        _draw(predictor, first, count, figure)
        console.print(f"figure     {figure}", markup=False)
    return DataError.exit_code if failed else 0


def _answer(prediction: Prediction) -> tuple[str, str]:
    """Return the classes that a picture is of, usually one, and their probabilities."""
    from striate.data.dataset import SEPARATOR

    probabilities = [f"{prediction.probabilities[label]:.4f}" for label in prediction.labels]
    said = SEPARATOR.join(prediction.labels) if prediction.accepted else DONT_KNOW
    return said, SEPARATOR.join(probabilities)


def _remarks(prediction: Prediction, top: int | None) -> list[str]:
    """Return what is to be said of an answer beside it; nothing of most."""
    rejected = [DONT_KNOW] if top and not prediction.accepted else []
    return [*rejected, *([UNLIKE] if prediction.unknown else [])]


def _certainty(prediction: Prediction) -> dict[str, bool | float | None]:
    return {
        "accepted": prediction.accepted,
        "unknown": prediction.unknown,
        "unknown_score": prediction.unknown_score,
    }


def _top(prediction: Prediction, count: int) -> list[str]:
    """Return the most probable classes, each with its probability."""
    ranked = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])[:count]
    return [cell for name, probability in ranked for cell in (name, f"{probability:.4f}")]


def _draw(predictor: Predictor, first: list[Prediction], count: int, figure: Path) -> None:
    import numpy as np
    import torch

    from striate.explain.drawing import save_figure
    from striate.explain.predictions import prediction_grid

    if not first:
        raise DataError("no picture to draw", where=figure, fix="give a picture that can be read")
    pixels = np.stack([predictor.pixels(prediction.name) for prediction in first])  # N H W C
    sets = torch.tensor([[name in prediction.labels for name in predictor.classes] for prediction in first])
    grid = prediction_grid(
        torch.from_numpy(pixels).permute(0, 3, 1, 2),
        None,
        torch.tensor([list(prediction.probabilities.values()) for prediction in first]),
        predictor.classes,
        predictions=sets if predictor.spec.multi_label else None,
        names=[prediction.name for prediction in first],
        accepted=[prediction.accepted for prediction in first],
        title="Predictions" + (f", the first {len(first)} of {count:,}" if len(first) < count else ""),
    )
    save_figure(grid, figure)
