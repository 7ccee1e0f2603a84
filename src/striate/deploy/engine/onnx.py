"""ONNX Runtime as an engine: the network's graph, exported once and kept, run on the processor."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from striate.core.errors import ModelFileError, StriateError
from striate.deploy.engine.engine import ENGINES, UnfitError
from striate.deploy.engine.kept import digest_of, keep, kept
from striate.deploy.onnx_bytes import OPSET, missing_packages, onnx_bytes, open_session
from striate.evaluation.unknown import forward_of
from striate.models import Classifier
from striate.runs.model_file import weights_digest

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

GRAPH = 1  # raised when `Graph` changes what it computes
PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime")


class Graph(nn.Module):
    """A network that takes its inputs as they lie in memory, N H W C, and gives what an engine gives.

    Args:
        model: In evaluation mode.
        layer: Whose input is wanted beside the logits.
    """

    def __init__(self, model: Classifier, layer: str | None) -> None:
        super().__init__()
        self.model = model
        self.layer = layer

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the logits, N K, and with a layer what it sees, N F, of inputs N H W C."""
        logits, features = forward_of(self.model, self.layer)(images.permute(0, 3, 1, 2))
        return logits if features is None else (logits, features)


class OnnxRuntime:
    """A session of ONNX Runtime; its `run` may be called by several threads at once.

    Args:
        session: Of a `Graph`.
    """

    name = "onnx"

    def __init__(self, session: InferenceSession) -> None:
        self._session = session

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits, and what the layer sees where the graph gives it."""
        rows = images.permute(0, 2, 3, 1).contiguous().numpy()  # N H W C, without a copy of what is channels last
        outputs = [torch.from_numpy(output) for output in self._session.run(None, {"images": rows})]
        return outputs[0], outputs[1] if len(outputs) > 1 else None


@ENGINES.register("onnx")
def onnx_engine(model: Classifier, example: Tensor, layer: str | None) -> OnnxRuntime:
    """Return the network's session, of the graph that is kept for these weights, or of one exported now."""
    if missing := missing_packages():
        raise UnfitError(f"needs {' and '.join(missing)}, not installed here (pip install 'striate[export]')")
    if example.device.type != "cpu":
        raise UnfitError(f"runs on the processor, and the network is on {example.device.type}")
    name = f"{graph_key(model, example, layer)}.onnx"
    data = kept(name)
    if data is not None:
        try:
            return OnnxRuntime(open_session(data, name))
        except ModelFileError:
            pass  # whole, and yet of no use to this version: made anew
    try:
        with torch.inference_mode(False):
            data = onnx_bytes(
                Graph(copy.deepcopy(model).eval(), layer),
                torch.cat([example[:1], example[:1]]).permute(0, 2, 3, 1).contiguous().clone(),
                name="images",
                outputs=["logits"] if layer is None else ["logits", "features"],
                dynamic={0: "batch"},
            )
        session = open_session(data, name)
    except StriateError as error:
        raise UnfitError(error.what) from None
    except Exception as error:  # the exporter raises whatever an operator that it does not know leads it to
        raise UnfitError(f"cannot be exported ({type(error).__name__}: {str(error).strip().splitlines()[0]})") from None
    keep(name, data)
    return OnnxRuntime(session)


def graph_key(model: Classifier, example: Tensor, layer: str | None) -> str:
    """Return the name of a network's graph among what is kept: of its weights, form, input and the versions."""
    weights = weights_digest({name: tensor.detach().cpu() for name, tensor in model.state_dict().items()})
    form = [f"{name} {type(module).__name__} {module.extra_repr()}" for name, module in model.named_modules()]
    return digest_of(PACKAGES, [weights, *form, tuple(example.shape[1:]), layer, GRAPH, OPSET])
