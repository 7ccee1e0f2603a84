"""LitServe: python -m benchmarks.serving.peers.lit RUN --port 8000 --batch 32 --workers 1 --threads 1.

decode_request, predict and encode_response as LitServe's documentation has them, with its batching; the body is the
picture itself, which it passes to its workers. --fast-queue uses ZeroMQ between them.
"""

import argparse
from typing import Annotated, Any

import litserve
import torch
from fastapi import Body
from torch import Tensor

from benchmarks.serving.peers.network import Network


class Classify(litserve.LitAPI):  # type: ignore[misc]
    """The network as LitServe wants it.

    Args:
        run: Run folder or model file.
        threads: Of torch, in each worker.
    """

    def __init__(self, run: str, threads: int, **options: Any) -> None:
        super().__init__(**options)
        self.run, self.threads, self.many = run, threads, options["max_batch_size"] > 1

    def setup(self, device: str) -> None:
        """Load the network, in each worker."""
        self.network = Network(self.run, self.threads)

    def decode_request(self, request: Annotated[bytes, Body(media_type="image/*")]) -> Tensor:
        """Return the input of one picture."""
        return self.network.prepare(request)

    def batch(self, inputs: list[Tensor]) -> Tensor:
        """Return the inputs of a batch."""
        return torch.stack(inputs)

    def predict(self, images: Tensor) -> Tensor:
        """Return the probabilities of a batch, or of one."""
        return self.network.predict(images if self.many else images[None])

    def unbatch(self, output: Tensor) -> list[Tensor]:
        """Return the probabilities of each."""
        return list(output)

    def encode_response(self, output: Tensor) -> dict[str, Any]:
        """Return one answer."""
        return self.network.answer(output if self.many else output[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--wait", type=float, default=0.002, help="seconds to wait for a batch")
    parser.add_argument("--fast-queue", action="store_true")
    options = parser.parse_args()
    wait = {"batch_timeout": options.wait} if options.batch > 1 else {}
    api = Classify(options.run, options.threads, max_batch_size=options.batch, **wait)
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=options.workers, fast_queue=options.fast_queue
    )
    server.run(host="127.0.0.1", port=options.port, log_level="warning", generate_client_file=False, access_log=False)


if __name__ == "__main__":
    main()
