"""The shapes of answers and requests, as /openapi.json tells them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Error(BaseModel):
    """What is wrong."""

    code: str = Field(description="One word for programs")
    message: str
    fix: str = Field(description="The remedy")


class Refused(BaseModel):
    """A request that was not answered with predictions."""

    error: Error
    request_id: str


class Answered(BaseModel):
    """What the network says of a picture."""

    name: str = Field(description="The file's name as sent, shortened; 'picture 0' where it has none")
    label: str = Field(description="The class that it is of, or all of them with '|' between")
    labels: list[str] = Field(description="All classes that it is of")
    probability: float = Field(ge=0, le=1, description="That label is right, as a whole")
    probabilities: dict[str, float]
    accepted: bool = Field(description="Whether the answer is probable enough to be relied on")
    unknown: bool = Field(description="Whether the picture looks unlike the training pictures")
    unknown_score: float | None


class Unanswered(BaseModel):
    """A picture that cannot be used, among others that can."""

    name: str
    error: Error


class Predictions(BaseModel):
    """One prediction per picture, in order."""

    request_id: str
    model: str = Field(description="First digits of the SHA-256 of the network's weights")
    predictions: list[Answered | Unanswered]


class Information(BaseModel):
    """What is served."""

    model: str
    network: str
    classes: list[str]
    spec: dict[str, Any]
    metrics: dict[str, Any]
    engine: dict[str, Any]
    limits: dict[str, Any]
    versions: dict[str, str]


class State(BaseModel):
    """One word."""

    status: str


_BYTES = {"schema": {"type": "string", "format": "binary"}}
_REFUSED: dict[str, Any] = {"model": Refused}
_ALWAYS = {400: "not understood", 401: "no token, or a wrong one", 403: "asked by a page of another site",
           408: "arrived too slowly", 414: "target too long", 421: "called by a wrong Host", 431: "head too long",
           500: "a mistake of the server", 503: "busy, or not ready"}  # fmt: skip
_PREDICT = {413: "too large", 415: "a body that is not taken; URLs are never fetched", 422: "no picture can be used",
            504: "no answer in time"}  # fmt: skip

ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {**_REFUSED, "description": told} for status, told in _ALWAYS.items()
}
PREDICT: dict[str, Any] = {
    "parameters": [
        {
            "name": "top",
            "in": "query",
            "description": "Tell the K largest probabilities alone",
            "schema": {"type": "integer", "minimum": 1},
        }
    ],
    "requestBody": {
        "required": True,
        "description": "One encoded picture, or any number as file fields of a form. JPEG, PNG, WebP, GIF, BMP, TIFF.",
        "content": {
            "image/*": _BYTES,
            "application/octet-stream": _BYTES,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "additionalProperties": {"type": "string", "format": "binary"},
                }
            },
        },
    },
}
PREDICT_ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {**_REFUSED, "description": told} for status, told in _PREDICT.items()
}
