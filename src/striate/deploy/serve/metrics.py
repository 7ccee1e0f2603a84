"""What the server counts, for Prometheus, in a registry of its own; no label takes a value from a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The server's counters.

    Args:
        routes: Templates of the routes there are; everything else counts as 'other'.
    """

    def __init__(self, routes: tuple[str, ...]) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        own: dict[str, Any] = {"namespace": "striate", "registry": self.registry}
        self._requests = Counter("requests", "Answers by route and class of status", ["route", "status"], **own)
        self._seconds = Histogram(
            "request_seconds", "From the request's head to its answer", ["route"], buckets=_SECONDS, **own
        )
        self.pictures = Counter("pictures", "Pictures classified", **own)
        self.pictures_refused = Counter("pictures_refused", "Pictures without a prediction", **own)
        self.batches = Histogram("batch_pictures", "Pictures computed at once", buckets=_SIZES, **own)
        self.decoders_replaced = Counter("decoders_replaced", "Decoding processes that ended and were replaced", **own)
        self.engine_failures = Counter("engine_failures", "Batches that the network failed on", **own)
        self.refused_early = Counter(
            "refused_early", "Requests refused by the protocol: late, too long, no HTTP", **own
        )
        self.reloads = Counter("reloads", "Reloads of the model file, by outcome", ["outcome"], **own)
        self.log_lines_lost = Counter("log_lines_lost", "Lines that nobody read in time", **own)
        self._of = {route: self._of_route(route) for route in (*routes, "other")}

    def _of_route(self, route: str) -> tuple[dict[int, Counter], Histogram]:
        kinds = {kind: self._requests.labels(route, f"{kind}xx") for kind in (2, 4, 5)}
        return kinds, self._seconds.labels(route)

    def gauge(self, name: str, help_: str, value: Callable[[], float]) -> None:
        """Add a figure that is read when it is asked for."""
        Gauge(name, help_, namespace="striate", registry=self.registry).set_function(value)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        kinds, histogram = self._of.get(route) or self._of["other"]
        kinds[status // 100 if status >= 400 else 2].inc()
        histogram.observe(seconds)

    def text(self) -> bytes:
        """Return everything as Prometheus reads it."""
        text: bytes = generate_latest(self.registry)
        return text
