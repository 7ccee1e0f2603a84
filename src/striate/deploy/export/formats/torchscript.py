"""TorchScript: what libtorch and torch.jit.load run, without Python."""

from __future__ import annotations

import io
import json
import warnings

import torch

from striate.core.errors import ModelFileError
from striate.deploy.export.formats.format import FORMATS, Format, Run, nothing_required, torch_runner
from striate.deploy.export.graph import Graph

CLASSES_FILE, CARD_FILE, OUTPUTS_FILE = "classes.json", "card.json", "outputs.json"  # in the archive's folder `extra`


def extra_files(graph: Graph) -> dict[str, str]:
    """Return the texts that lie in the archive beside the graph: class names, the card, the outputs' names in order."""
    return {
        CLASSES_FILE: json.dumps(graph.spec.classes, ensure_ascii=False),
        CARD_FILE: graph.card.model_dump_json(),
        OUTPUTS_FILE: json.dumps(graph.outputs),
    }


def write(graph: Graph) -> bytes:
    """Return the traced graph as a TorchScript archive."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of what is constant in a trace; the proof tries other batches
        traced = torch.jit.trace(graph, (graph.example(),), check_trace=False)
        torch.jit.save(traced, buffer, _extra_files=extra_files(graph))
    return buffer.getvalue()


def open_(data: bytes, where: object) -> Run:
    """Return the archive's graph as a function."""
    extra = {OUTPUTS_FILE: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.load(io.BytesIO(data), map_location="cpu", _extra_files=extra)
        return torch_runner(module, tuple(json.loads(extra[OUTPUTS_FILE])))
    except Exception as error:  # the reader's exception types are many
        raise ModelFileError(f"not a TorchScript file, or damaged ({error})", where=where) from None


FORMATS.register("torchscript")(Format(".pt", nothing_required, write, open_))
