"""What the server says: predictions as JSON, and refusals as status, code, message and remedy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from striate.data.dataset import SEPARATOR
from striate.deploy.predictor import Prediction

SHOWN = 100  # letters of a file name


class Refusal(Exception):  # noqa: N818 -- an answer, not a mistake of ours
    """A request, or one picture of it, that is not answered with a prediction.

    Args:
        status: Of HTTP.
        code: One word for programs.
        message: What is wrong.
        fix: The remedy.
        headers: To be sent beside it: {'retry-after': '1'}.
        close: Whether the connection ends with it.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        fix: str,
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.fix = status, code, message, fix
        self.headers = headers or {}
        self.close = close

    def as_json(self) -> dict[str, str]:
        """Return what a program reads of it."""
        return {"code": self.code, "message": self.message, "fix": self.fix}


def unusable(what: str, fix: str) -> Refusal:
    """Return the refusal of a picture that the decoder cannot use."""
    return Refusal(422, "unusable_picture", what, fix)


def busy(message: str = "as much as the server takes is being answered", close: bool = False) -> Refusal:
    """Return the refusal of what would make the queue too long."""
    return Refusal(503, "busy", message, "ask again after Retry-After seconds", {"retry-after": "1"}, close)


def not_finite() -> Refusal:
    """Return the refusal of an answer that holds NaN or infinity."""
    return Refusal(500, "non_finite_output", "non-finite output of the network", "ask the server's operator")


def own_mistake() -> Refusal:
    """Return what is said of a mistake of ours; what happened stands in the log under the request's id."""
    return Refusal(500, "internal", "the server failed to answer", "report it with the request id")


def refusal_body(refusal: Refusal, request_id: str) -> bytes:
    """Return the body of a refused request."""
    return json.dumps({"error": refusal.as_json(), "request_id": request_id}).encode()


def prediction_json(prediction: Prediction, top: int | None) -> str:
    """Return a prediction as JSON.

    Args:
        prediction: Of one picture.
        top: How many probabilities to tell, the largest first; all in the network's order by default.

    Raises:
        Refusal: 500, a probability or score is not finite.
    """
    probabilities = prediction.probabilities
    if top is not None:
        probabilities = dict(sorted(probabilities.items(), key=lambda pair: -pair[1])[:top])
    try:
        return json.dumps(
            {
                "name": prediction.name,
                "label": SEPARATOR.join(prediction.labels),
                "labels": prediction.labels,
                "probability": prediction.confidence,
                "probabilities": probabilities,
                "accepted": prediction.accepted,
                "unknown": prediction.unknown,
                "unknown_score": prediction.unknown_score,
            },
            allow_nan=False,
        )
    except ValueError:
        raise not_finite() from None


def predictions_body(
    outcomes: Sequence[Prediction | Refusal], names: Sequence[str], top: int | None, model: str, request_id: str
) -> bytes:
    """Return the body that tells of every picture, in order, its prediction or what is wrong with it.

    Raises:
        Refusal: No picture could be used: that of the first.
    """
    told, refused = [], []
    for name, outcome in zip(names, outcomes, strict=True):
        try:
            if isinstance(outcome, Refusal):
                raise outcome
            told.append(prediction_json(outcome, top))
        except Refusal as refusal:
            refused.append(refusal)
            told.append(json.dumps({"name": name, "error": refusal.as_json()}))
    if len(refused) == len(told):
        raise max(refused, key=lambda refusal: refusal.status)
    head = f'{{"request_id": "{request_id}", "model": "{model}", "predictions": ['
    return f"{head}{', '.join(told)}]}}".encode()


def shown(text: str) -> str:
    """Return a name as it can be shown: escaped where it cannot be printed, and cut."""
    cut = text[:SHOWN] + ("…" if len(text) > SHOWN else "")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cut)
