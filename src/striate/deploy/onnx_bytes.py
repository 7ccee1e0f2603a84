"""A torch module as the bytes of one ONNX file, and these bytes as a session of ONNX Runtime.

A file is always one piece: weights that lie beside it could be any file of the machine that a path in it names, so such
files are neither written nor opened.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from striate.core.errors import ModelFileError, ResourceError, SettingsError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorProto
    from onnxruntime import InferenceSession

OPSET = 20
MAX_BYTES = 2**31 - 1  # of a protobuf message
NEEDED = ("onnx", "onnxscript", "onnxruntime")


def missing_packages() -> list[str]:
    """Return which of the packages that ONNX takes are not installed."""
    return [name for name in NEEDED if find_spec(name) is None]


def require_packages(where: str) -> None:
    """Refuse what takes ONNX where its packages are not installed: SettingsError."""
    if missing := missing_packages():
        fix = "pip install 'striate[export]'"
        raise SettingsError(f"needs {' and '.join(missing)}, not installed here", where=where, fix=fix)


def onnx_bytes(
    module: nn.Module,
    example: Tensor,
    name: str,
    outputs: Sequence[str],
    dynamic: Mapping[int, str],
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Return a module of one input as an ONNX file of opset 20.

    Args:
        module: In evaluation mode; its `forward` takes the example and gives a tensor or a tuple of tensors.
        example: Any input; of dynamic dimensions 2 or more, as 1 would be taken for a constant.
        name: Of the input.
        outputs: Of the outputs, in order.
        dynamic: Which dimensions of the input may have any size, and what they are called.
        metadata: Texts that travel in the file.

    Raises:
        ResourceError: More than the 2 GiB that one file can hold.
    """
    size = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
    if size > MAX_BYTES:
        raise ResourceError(f"weights of {size:,} bytes; one ONNX file holds 2 GiB", fix="use --format pt2")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch's own modules, about themselves
        program: Any = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[name],
            output_names=list(outputs),
            dynamic_shapes=({size: torch.export.Dim(called) for size, called in dynamic.items()},),
            verbose=False,
        )
        program.model.metadata_props.update(metadata or {})
    data: bytes = program.model_proto.SerializeToString()
    return data


def open_session(data: bytes, where: object, threads: int | None = None) -> InferenceSession:
    """Return an ONNX file's session on the processor.

    Args:
        data: The file's bytes; no other file is ever opened.
        where: Its name, for messages.
        threads: How many compute at once; as many as torch uses by default.

    Raises:
        ModelFileError: Damaged, of operators that are not known, or with weights in other files.
    """
    import onnxruntime

    refuse_external_data(data, where)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads() if threads is None else threads
    options.inter_op_num_threads = 1
    # threads that wait by spinning take the cores from whatever else the machine does: twice the time per picture
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors, which come as exceptions as well
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exception types are not public
        raise ModelFileError(f"ONNX Runtime cannot open it ({error})", where=where) from None


def refuse_external_data(data: bytes, where: object) -> None:
    """Refuse an ONNX file that is damaged or names other files: ModelFileError."""
    import onnx

    try:
        model = onnx.load_from_string(data)
    except Exception as error:  # protobuf's own type
        raise ModelFileError(f"not an ONNX file, or damaged ({error})", where=where) from None
    external = [tensor.name for tensor in _tensors(model) if tensor.data_location or tensor.external_data]
    if external:
        raise ModelFileError(
            f"keeps {len(external):,} tensors in other files ({', '.join(external[:3])}); only a file in one piece "
            "is opened",
            where=where,
            fix="export it again with the weights inside",
        )


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yield every tensor of a model, those of functions and of graphs within graphs, too."""
    graphs: list[GraphProto] = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes.extend(graph.node)
        for node in nodes:
            for attribute in node.attribute:
                yield from (attribute.t, *attribute.tensors)
                for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                    yield from (sparse.values, sparse.indices)
                graphs.extend((attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs)
        nodes = []
