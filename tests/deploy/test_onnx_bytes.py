"""ONNX files: in one piece or refused, and damage is an error of the file, never a crash."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper

from striate.core.errors import ModelFileError, ResourceError
from striate.deploy import onnx_bytes as module
from striate.deploy.onnx_bytes import onnx_bytes, open_session


def external(location: str) -> TensorProto:
    """Return a tensor whose values are in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="length", value="16")
    return tensor


def added(*initializers: TensorProto, nodes: tuple[onnx.NodeProto, ...] = ()) -> GraphProto:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")
    return helper.make_graph([*nodes, helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], list(initializers))


def whole(graph: GraphProto) -> ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def in_constant(tensor: TensorProto) -> ModelProto:
    return whole(added(nodes=(helper.make_node("Constant", [], ["w"], value=tensor),)))


def in_branch(tensor: TensorProto) -> ModelProto:
    inner = helper.make_graph(
        [helper.make_node("Identity", ["v"], ["o"])], "then", [], [helper.make_tensor_value_info("o", 1, [4])], [tensor]
    )
    tensor.name = "v"
    other = helper.make_graph(
        [helper.make_node("Constant", [], ["p"], value=helper.make_tensor("c", 1, [4], [0.0] * 4))],
        "else", [], [helper.make_tensor_value_info("p", 1, [4])],
    )  # fmt: skip
    told = helper.make_tensor("t", TensorProto.BOOL, [], [True])
    nodes = (
        helper.make_node("Constant", [], ["yes"], value=told),
        helper.make_node("If", ["yes"], ["w"], then_branch=inner, else_branch=other),
    )
    return whole(added(nodes=nodes))


def in_list_of_graphs(tensor: TensorProto) -> ModelProto:
    model = in_constant(helper.make_tensor("w", 1, [4], [0.0] * 4))
    attribute = AttributeProto(name="many", type=AttributeProto.GRAPHS)
    attribute.graphs.add(name="deep", initializer=[tensor])
    model.graph.node[0].attribute.append(attribute)
    return model


def in_sparse(tensor: TensorProto) -> ModelProto:
    graph = added()
    graph.sparse_initializer.add(values=tensor, indices=helper.make_tensor("i", TensorProto.INT64, [4], [0, 1, 2, 3]))
    return whole(graph)


def in_function(tensor: TensorProto) -> ModelProto:
    model = in_constant(helper.make_tensor("w", 1, [4], [0.0] * 4))
    model.functions.add(name="f", domain="d", node=[helper.make_node("Constant", [], ["v"], value=tensor)])
    return model


def in_training(tensor: TensorProto) -> ModelProto:
    model = in_constant(helper.make_tensor("w", 1, [4], [0.0] * 4))
    model.training_info.add().initialization.initializer.append(tensor)
    return model


def in_initializer(tensor: TensorProto) -> ModelProto:
    return whole(added(tensor))


PLACES = [in_initializer, in_constant, in_branch, in_list_of_graphs, in_sparse, in_function, in_training]


@pytest.mark.parametrize("location", ["../canary", "canary", "/etc/hostname", "{folder}/canary", "", "link"])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_file_that_names_others_is_refused_and_these_are_not_read(
    place: Callable[[TensorProto], ModelProto], location: str, tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "inside").mkdir()
    canary = tmp_path / "canary"
    for file in (canary, tmp_path / "inside" / "canary"):
        file.write_bytes(np.arange(4, dtype=np.float32).tobytes())
    (tmp_path / "inside" / "link").symlink_to(canary)
    monkeypatch.chdir(tmp_path / "inside")
    data = place(external(location.format(folder=tmp_path))).SerializeToString()
    opened: list[str] = []
    monkeypatch.setattr("builtins.open", lambda *a, **k: opened.append(str(a[0])) or pytest.fail("a file is read"))
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *a, **k: pytest.fail("it is opened"))
    with pytest.raises(ModelFileError, match="other files") as caught:
        open_session(data, "m.onnx")
    assert opened == []
    assert caught.value.exit_code == 4
    assert caught.value.fix


def test_a_file_in_one_piece_is_opened() -> None:
    data = in_constant(helper.make_tensor("w", 1, [4], [1.0, 2, 3, 4])).SerializeToString()
    (y,) = open_session(data, "m.onnx").run(None, {"x": np.zeros(4, np.float32)})
    assert y.tolist() == [1, 2, 3, 4]


@pytest.fixture(scope="module")
def network() -> bytes:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(18, 3))
    return onnx_bytes(net.eval(), torch.zeros(2, 1, 5, 5), "x", ["y"], {0: "N"})


def test_cut_off_and_mutated_files_give_an_error_of_the_file_or_answers(network: bytes) -> None:
    rng = random.Random(0)
    files = [network[: rng.randrange(len(network))] for _ in range(60)]
    for _ in range(240):
        mutated = bytearray(network)
        for _ in range(rng.choice([1, 1, 2, 8, 64])):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        files.append(bytes(mutated))
    refused = 0
    for data in files:
        try:
            open_session(data, "m.onnx", threads=1)
        except ModelFileError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m.opset_import[0].ClearField("version") or m.opset_import[0].__setattr__("version", 999), "opset"),
        (lambda m: m.graph.node[0].__setattr__("domain", "evil"), "evil"),
        (lambda m: m.graph.node[0].__setattr__("op_type", "Unheard"), "Unheard"),
        (lambda m: m.graph.initializer[0].dims.__setitem__(0, 2**40), "m.onnx"),
    ],
)
def test_unknown_operators_opsets_and_sizes_are_errors_of_the_file(network: bytes, change, told) -> None:
    model = onnx.load_from_string(network)
    change(model)
    with pytest.raises(ModelFileError, match=told):
        open_session(model.SerializeToString(), "m.onnx")


def test_more_than_one_file_can_hold_is_refused_before_the_work(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    with pytest.raises(ResourceError, match="2 GiB"):
        onnx_bytes(torch.nn.Linear(9, 9).eval(), torch.zeros(2, 9), "x", ["y"], {0: "N"})
