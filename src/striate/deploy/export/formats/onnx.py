"""ONNX: one file that ONNX Runtime and many others run, on any machine, from any language."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.deploy.export.formats.format import FORMATS, Answers, Format, Run
from striate.deploy.export.graph import CLASSES, PIXELS, Graph
from striate.deploy.onnx_bytes import onnx_bytes, open_session, require_packages
from striate.runs.model_file import KEY


def write(graph: Graph) -> bytes:
    """Return the graph as an ONNX file with the class names as one more output, and the card as metadata."""
    card = {KEY: graph.card.model_dump_json()}
    return _with_classes(
        onnx_bytes(graph, graph.example(), PIXELS, graph.outputs, graph.dynamic, card), graph.spec.classes
    )


def _with_classes(data: bytes, classes: tuple[str, ...]) -> bytes:
    """Return an ONNX file with an output of constant text, which every reader gets without looking at metadata."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load_from_string(data)
    texts: Any = [one.encode() for one in classes]
    names = helper.make_tensor(f"{CLASSES}/names", TensorProto.STRING, [len(classes)], texts)
    model.graph.node.append(helper.make_node("Constant", [], [CLASSES], name=CLASSES, value=names))
    model.graph.output.append(helper.make_tensor_value_info(CLASSES, TensorProto.STRING, [len(classes)]))
    made: bytes = model.SerializeToString()
    return made


def open_(data: bytes, where: object) -> Run:
    """Return a session of ONNX Runtime as a function."""
    session: Any = open_session(data, where)
    names = [output.name for output in session.get_outputs() if output.name != CLASSES]

    def run(pixels: NDArray[np.uint8]) -> Answers:
        return dict(zip(names, session.run(names, {PIXELS: pixels}), strict=True))

    return run


FORMATS.register("onnx")(Format(".onnx", require_packages, write, open_))
