"""`striate predict`: classes and probabilities of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from striate.core.errors import DataError, SettingsError


def command(
    run: Annotated[Path, Parameter(help="A run folder or a model file.")],
    images: Annotated[list[Path], Parameter(help="Pictures, or folders of pictures.")],
    /,
    *,
    top: Annotated[int, Parameter(help="How many classes to show of each picture.")] = 1,
    device: Annotated[str, Parameter(help="auto, cpu, cuda or mps.")] = "auto",
    json: Annotated[bool, Parameter(help="Write one JSON object per picture.", negative="")] = False,
) -> int:
    """Classify pictures: one line each, path, class and probability.

    Pictures that cannot be used are named on stderr and the exit code is then 3.
    """
    if top < 1:
        raise SettingsError(f"--top {top}: 1 or more", where="--top", fix="leave it out")
    from striate.cli.output import print_json, stderr
    from striate.data.sources.scan import pictures_under
    from striate.deploy import load

    predictor = load(run, device)
    failed = 0
    for outcome in predictor.outcomes(pictures_under(images)):
        if isinstance(outcome, DataError):
            stderr().print(f"error: {outcome}", markup=False)
            failed += 1
            continue
        ranked = sorted(outcome.probabilities.items(), key=lambda pair: -pair[1])[:top]
        if json:
            print_json({"path": outcome.name, "class": outcome.label, "probabilities": outcome.probabilities})
        else:
            print(outcome.name, *(f"{name}\t{probability:.4f}" for name, probability in ranked), sep="\t")
    return DataError.exit_code if failed else 0
