"""FastAPI and torch eager: python -m benchmarks.serving.peers.plain RUN --port 8000 --threads 1 --workers 1.

The endpoint is a plain function, which Starlette runs in its pool of 40 threads, so that decoding and computing never
hold the event loop; the body is the picture itself. Access logs are off.
"""

from __future__ import annotations

import argparse
import os
from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI

from benchmarks.serving.peers.network import Network


def application() -> FastAPI:
    """Return the application for the run and threads in the environment, which uvicorn's workers share."""
    network = Network(os.environ["PEER_RUN"], int(os.environ["PEER_THREADS"]))
    app = FastAPI()

    @app.post("/predict")
    def predict(body: Annotated[bytes, Body(media_type="image/*")]) -> dict[str, Any]:
        probabilities = network.predict(network.prepare(body)[None])
        return network.answer(probabilities[0])

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1, help="of torch, in each worker")
    parser.add_argument("--workers", type=int, default=1, help="processes of uvicorn")
    options = parser.parse_args()
    os.environ |= {"PEER_RUN": options.run, "PEER_THREADS": str(options.threads)}
    uvicorn.run(
        "benchmarks.serving.peers.plain:application",
        factory=True,
        host="127.0.0.1",
        port=options.port,
        workers=options.workers,
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
