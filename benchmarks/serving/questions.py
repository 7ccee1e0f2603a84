"""Questions: requests whose right answers are known before they are asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

TOLERANCE = 1e-4  # by which a probability may differ from that of the network run in fp32
HEAD = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"


@dataclass(frozen=True)
class Question:
    """A request and its right answer.

    Args:
        head: Request line and headers, without the empty line that ends them.
        body: The encoded picture.
        label: The class that must be answered.
        probabilities: {class: probability} that must be answered, each within `TOLERANCE`.
    """

    head: bytes
    body: bytes
    label: str
    probabilities: Mapping[str, float]

    def request(self, request_id: bytes | None = None) -> bytes:
        """Return the bytes to send, with a request id of the client's own if there is one."""
        tag = b"" if request_id is None else b"X-Request-Id: " + request_id + b"\r\n"
        return self.head + tag + b"\r\n" + self.body

    def is_answered_by(self, body: bytes) -> bool:
        """Return whether an answer's JSON says what is right, in Striate's form or bare {label, probabilities}."""
        try:
            answer = json.loads(body)
            one = answer["predictions"][0] if "predictions" in answer else answer
            told: Mapping[str, float] = one["probabilities"]
            if one["label"] != self.label or told.keys() != self.probabilities.keys():
                return False
            return all(abs(told[name] - right) <= TOLERANCE for name, right in self.probabilities.items())
        except (ValueError, LookupError, TypeError, AttributeError):
            return False


@dataclass(frozen=True)
class Probe(Question):
    """A request of which any answer of 200 is right."""

    body: bytes = b""
    label: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)

    def is_answered_by(self, body: bytes) -> bool:
        """Return True."""
        return True


def ask(
    pictures: Sequence[bytes], answers: Sequence[tuple[str, Mapping[str, float]]], token: str | None = None
) -> list[Question]:
    """Return a question for every encoded picture.

    Args:
        answers: The (label, probabilities) of each.
        token: Sent as the bearer's.
    """
    questions = []
    for picture, (label, probabilities) in zip(pictures, answers, strict=True):
        kind = "image/png" if picture.startswith(b"\x89PNG") else "image/jpeg"
        head = HEAD.format(kind=kind, length=len(picture))
        if token is not None:
            head += f"Authorization: Bearer {token}\r\n"
        questions.append(Question(head.encode(), picture, label, dict(probabilities)))
    return questions
