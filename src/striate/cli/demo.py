"""`striate demo`: the main job on embedded data, in some seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from striate.cli.train import command as train


def command(*, out: Annotated[Path, Parameter(help="Folder of the run folders.")] = Path("runs")) -> None:
    """Train on scikit-learn's handwritten digits, which need no download, and say what to do next."""
    train("digits", out=out)
    print(
        "\nThat was  striate train digits.  Now with your own pictures, one folder per class:\n"
        "  striate train FOLDER\n"
        "or with a named data set (striate data list):\n"
        "  striate train fashion-mnist"
    )
