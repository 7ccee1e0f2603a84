"""What became of the requests of a load, and how long they took.

A request came out

- right, wrong: answered with 200, as it is known to be or not;
- refused: 503 with Retry-After;
- error: any other status, or what is no HTTP;
- dropped: the server had read it, and closed the connection without an answer;
- unread: the connection was refused, or closed before the server had read a byte of the request;
- late: no answer within `patience` seconds after the last request.

Whether a closed connection's request had been read is told by the kernel: a socket that is closed with unread bytes,
or sent to afterwards, answers with a reset, while one closed after all was read ends in order (RFC 9293, 3.10.4).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """What became of a request; see the head of this file."""

    RIGHT = "right"
    WRONG = "wrong"
    REFUSED = "refused"
    ERROR = "error"
    DROPPED = "dropped"
    UNREAD = "unread"
    LATE = "late"


class Record(NamedTuple):
    """One request; instants in seconds of `time.perf_counter`.

    Args:
        due: When it should have been sent.
        sent, done: When it was sent, and when its answer was whole or its connection ended.
        status: Of the answer, 0 where there was none.
        request_id: As it was sent.
    """

    due: float
    sent: float
    done: float
    status: int
    verdict: Verdict
    request_id: bytes | None = None


@dataclass
class Account:
    """What became of all requests of a load.

    Args:
        seconds: From the first request to the last answer.
        client_cpu: Processor seconds of this process meanwhile.
        unsent: Requests that were due and found no free connection until the end.
        refused_connections: How often a connection could not be made.
        strange: Some of the answers that were errors or wrong, for whoever has to find out why.
    """

    records: list[Record] = field(default_factory=list)
    seconds: float = 0.0
    client_cpu: float = 0.0
    unsent: int = 0
    refused_connections: int = 0
    strange: list[str] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        """How many requests came to what."""
        return Counter(str(record.verdict) for record in self.records)

    @property
    def server_errors(self) -> int:
        """Answers of 5xx that are no refusals."""
        return sum(record.status >= 500 and record.verdict is not Verdict.REFUSED for record in self.records)

    @property
    def rate(self) -> float:
        """Right answers per second."""
        return self.counts[Verdict.RIGHT] / self.seconds if self.seconds else 0.0

    @property
    def client_share(self) -> float:
        """Processor seconds of the client per second: its share of one core."""
        return self.client_cpu / self.seconds if self.seconds else 0.0

    @property
    def lag(self) -> float:
        """Seconds by which requests were sent too late, the 99th percentile: the client's own part of a latency."""
        return percentile([record.sent - record.due for record in self.records], 0.99)

    def latencies(self, verdict: Verdict = Verdict.RIGHT) -> list[float]:
        """Return the seconds from when each request of this verdict was due to its answer."""
        return [record.done - record.due for record in self.records if record.verdict is verdict]

    def percentile(self, share: float, verdict: Verdict = Verdict.RIGHT) -> float:
        """Return the latency that this share of the requests of a verdict did not exceed, in seconds."""
        return percentile(self.latencies(verdict), share)


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least this share of all do not exceed (nearest rank); NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan
