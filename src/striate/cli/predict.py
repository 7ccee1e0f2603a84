"""`striate predict`: classes and probabilities of pictures."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from striate.cli.imports import importing
from striate.cli.whole_number import whole_number
from striate.core.errors import DataError, ResourceError, SettingsError
from striate.core.names import in_a_cell, in_a_message, in_utf8

if TYPE_CHECKING:
    from rich.console import Console

    from striate.cli.inputs import Given
    from striate.deploy import Prediction, Predictor

MAX_DRAWN = 64
DONT_KNOW, UNLIKE = "don't know", "unlike the training pictures"


def command(
    run: Annotated[Path, Parameter(help="A run folder or a model file.")],
    images: Annotated[
        list[Path],
        Parameter(
            help="Pictures, folders of them, patterns in quotes ('photos/**/*.jpg'), tables of paths (.csv, .tsv, "
            ".parquet); - for standard input: names, one a line, or the bytes of a picture."
        ),
    ],
    /,
    *,
    top: Annotated[
        int | None,
        Parameter(
            help="How many classes to show of each picture [the one it is of, or all of them]", converter=whole_number
        ),
    ] = None,
    out: Annotated[
        Path | None,
        Parameter(help="Write the answers into this file instead: .csv, .jsonl (JSON lines) or .parquet."),
    ] = None,
    figure: Annotated[
        Path | None, Parameter(help="Draw the first 64 with what they are into this file (.png, .pdf, .svg).")
    ] = None,
    engine: Annotated[
        str,
        Parameter(
            help="What computes: torch, folded, bf16, onnx; auto: of many pictures, the fastest in a short race that "
            "gives the network's own answers."
        ),
    ] = "auto",
    device: Annotated[str, Parameter(help="auto, cpu, cuda or mps.")] = "auto",
    json: Annotated[bool, Parameter(help="Write one JSON object per picture.", negative="")] = False,
) -> int:
    r"""Classify pictures: one line each, path, class and probability, with tabs between them.

    Where a picture may be of any number of classes, they are joined by '|', and so are their probabilities; both
    are empty where there is none. With --top each class has cells of its own. Where the answer is not probable
    enough for the threshold that was trained with, the class is "don't know". A last cell says of a picture that it
    looks unlike the training pictures.

    A tab, line break or backslash in a name is written \t, \n, \r or \\, another control character or a byte that is
    not UTF-8 like \x1b. Pictures that cannot be used and folders without pictures are named on stderr, and the exit
    code is then 3.
    """
    _require_consistent(top, out, json)
    if out is None and sys.__stdout__ is None:
        raise ResourceError("standard output is closed", fix="open it, or let --out FILE take the answers")
    with importing():
        from striate.cli.apart import picture_folders
        from striate.cli.inputs import given_inputs, repeated
        from striate.cli.output import FIGURE_SUFFIXES, require_free, stderr
        from striate.cli.reading import reading_shown
        from striate.cli.stopping import stopping
        from striate.data.audit.finding import of
        from striate.data.reading import Reading
        from striate.data.sources.scan import ignored_summary
        from striate.deploy import load
        from striate.deploy.prediction_file import SUFFIXES, prediction_file, require_writer

    for file, suffixes in ((figure, FIGURE_SUFFIXES), (out, SUFFIXES)):
        if file is not None:
            given = [path for path in images if os.path.isdir(path)]
            require_free(file, suffixes, [*given, *picture_folders(None, None, [run])])
            require_writer(file)
    console = stderr()
    if engine not in ("auto", "torch"):
        from striate.deploy.engine.race import require_engine

        require_engine(engine)
    count = odd = 0
    failed = Counter[str]()
    ignored: list[tuple[str, str]] = []
    drawn: list[tuple[Given, Prediction]] = []
    done = Reading()

    def refuse(error: DataError, what: str = "picture") -> None:
        failed[what] += 1
        console.print(f"error: {in_a_message(str(error))}", markup=False)

    with ExitStack() as open_:
        if out is not None:
            open_.enter_context(stopping(out))
        predictor = load(run, device)
        if top is not None and top > len(predictor.classes):
            console.print(f"note: --top {top}: all {of(len(predictor.classes), 'class')} are shown", markup=False)
        pictures = list(given_inputs(images, refuse, partial(refuse, what="source"), ignored))
        if several := repeated(pictures):
            console.print(f"note: {of(several, 'picture')} given more than once, and answered each time", markup=False)
        predictor = _with_engine(predictor, engine, len(pictures), console)
        # lines on a terminal show how far it is by themselves
        if out is not None or not sys.stdout.isatty():
            open_.enter_context(done.decoding(len(pictures)))
            open_.enter_context(reading_shown(console, done, "classified"))
        write: Callable[[Prediction], None] = partial(_print, top=top, json=json)
        if out is not None:
            write = open_.enter_context(prediction_file(out, predictor)).write
        for picture, outcome in _outcomes(predictor, pictures):
            done.done += 1
            if isinstance(outcome, DataError):
                refuse(picture.told(outcome))
                continue
            count += 1
            odd += in_utf8(outcome.name) != outcome.name
            if figure is not None and count <= MAX_DRAWN:
                drawn.append((picture, outcome))
            write(outcome)
    for note in ignored_summary(ignored):
        console.print(f"note: {note}", markup=False)
    if odd and (json or out is not None):
        what = "such bytes are written like \\xff, and backslashes doubled: no file is found by that"
        console.print(f"note: {of(odd, 'name')} not in UTF-8: {what}", markup=False)
    if failed and failed.total() + count > 1:
        told = f"{of(count, 'picture')} classified, {failed['picture']:,} not"
        if failed["source"]:
            told += f"; {of(failed['source'], 'source')} of pictures that cannot be used"
        console.print(f"note: {told}: exit code {DataError.exit_code}", markup=False)
    if out is not None:
        console.print(f"answers    {out}" if count else f"note: no answers: {out} is not written", markup=False)
    if figure is not None:
        _draw(predictor, drawn, count, figure)
        console.print(f"figure     {figure}", markup=False)
    return DataError.exit_code if failed else 0


def _require_consistent(top: int | None, out: Path | None, json: bool) -> None:
    if top is not None and top < 1:
        raise SettingsError("1 or more", where=f"--top {top}", fix="leave it out")
    if out is not None and (json or top is not None):
        option = "--json" if json else "--top"
        what = "lines on stdout, and with --out there are none"
        raise SettingsError(f"{option} is of {what}", where=option, fix=f"leave it out: {out.name} has every class")


def _with_engine(predictor: Predictor, name: str, count: int, console: Console) -> Predictor:
    """Return the predictor with the engine asked for; a race is told of."""
    if name != "auto":
        return predictor if name == predictor.engine.name else predictor.with_engine(name)
    from striate.deploy.engine.worth import worth_choosing

    if not worth_choosing(predictor.loaded, count):
        return predictor
    from striate.deploy.engine.race import told

    chosen = predictor.with_engine()
    if chosen.race is not None and not chosen.race.recorded:
        console.print(f"note: {told(chosen.race)}", markup=False)
    return chosen


def _outcomes(predictor: Predictor, given: list[Given]) -> Iterator[tuple[Given, Prediction | DataError]]:
    """Yield what becomes of each picture; files that follow each other go together."""
    for encoded, some in groupby(given, lambda one: isinstance(one.picture, bytes)):
        group = list(some)
        for one, outcome in zip(group, predictor.outcomes([one.picture for one in group]), strict=True):
            if not encoded:
                yield one, outcome
            elif isinstance(outcome, DataError):  # bytes have no name of their own
                yield one, DataError(outcome.what, where="standard input", fix=outcome.fix)
            else:
                yield one, replace(outcome, name=one.name)


def _print(prediction: Prediction, top: int | None, json: bool) -> None:
    """Write a picture's line to stdout."""
    from striate.cli.output import print_json
    from striate.deploy.prediction_file import as_json

    try:
        if json:
            print_json(as_json(prediction))
        else:
            answer = _top(prediction, top) if top else _answer(prediction)
            cells = [prediction.name, *answer, *_remarks(prediction, top)]
            print("\t".join(map(in_a_cell, cells)))
    except OSError as error:  # of which the system does not say where
        error.filename = "standard output"
        raise


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


def _top(prediction: Prediction, count: int) -> list[str]:
    """Return the most probable classes, each with its probability."""
    ranked = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])[:count]
    return [cell for name, probability in ranked for cell in (name, f"{probability:.4f}")]


def _draw(predictor: Predictor, drawn: list[tuple[Given, Prediction]], count: int, figure: Path) -> None:
    import numpy as np
    import torch

    from striate.explain.drawing import save_figure
    from striate.explain.predictions import prediction_grid

    first = [prediction for _, prediction in drawn]
    if not first:
        raise DataError("no picture to draw", where=figure, fix="give a picture that can be read")
    pixels = np.stack([predictor.pixels(given.picture) for given, _ in drawn])  # N H W C
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
