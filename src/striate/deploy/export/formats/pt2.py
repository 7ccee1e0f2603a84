"""PT2: torch.export's own archive, which torch.export.load opens and torch's compilers take."""

from __future__ import annotations

import io
import json
import warnings
from typing import Any

import torch

from striate.core.errors import ModelFileError
from striate.deploy.export.formats.format import FORMATS, Format, Run, nothing_required, torch_runner
from striate.deploy.export.formats.torchscript import OUTPUTS_FILE, extra_files
from striate.deploy.export.graph import Graph


def write(graph: Graph) -> bytes:
    """Return the exported program as an archive."""
    buffer = io.BytesIO()
    sizes = {size: torch.export.Dim(name) for size, name in graph.dynamic.items()}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch's own modules, about themselves
        program = torch.export.export(graph, (graph.example(),), dynamic_shapes=(sizes,))
        torch.export.save(program, buffer, extra_files=extra_files(graph))
    return buffer.getvalue()


def open_(data: bytes, where: object) -> Run:
    """Return the archive's program as a function."""
    extra: dict[str, Any] = {OUTPUTS_FILE: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.export.load(io.BytesIO(data), extra_files=extra).module()
        return torch_runner(module, tuple(json.loads(extra[OUTPUTS_FILE])))
    except Exception as error:  # the reader's exception types are many
        raise ModelFileError(f"not a PT2 archive, or damaged ({error})", where=where) from None


FORMATS.register("pt2")(Format(".pt2", nothing_required, write, open_))
