"""Test vectors: a few pictures with the answers to them, by which a reader in any language tests itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from pydantic import JsonValue

from striate.core.spec import ImageSpec
from striate.data.decode import Pixels
from striate.deploy.export.formats import Answers
from striate.deploy.export.proof import answer_sets

COUNT = 5


def make_vectors(pixels: Sequence[Pixels], answers: Answers, spec: ImageSpec, tolerance: float) -> dict[str, JsonValue]:
    """Return pictures and the answers to them as JSON values.

    Args:
        pixels: uint8 H W C each.
        answers: To these pictures.
        spec: The network's.
        tolerance: By how much a reader's probabilities may differ.
    """
    said = answer_sets(answers["probabilities"], spec.multi_label).tolist()
    vectors: list[JsonValue] = []
    for number, one in enumerate(pixels):
        told = {name: values[number].tolist() for name, values in answers.items()}
        classes = [name for name, there in zip(spec.classes, said[number], strict=True) if there]
        encoded = base64.b64encode(one.tobytes()).decode()
        vectors.append({"shape": list(one.shape), "pixels": encoded, "classes": list[JsonValue](classes), **told})
    return {
        "input": "pixels: uint8, N height width channels; here each picture's bytes in that order, as base64",
        "tolerance": tolerance,
        "multi_label": spec.multi_label,
        "classes": list(spec.classes),
        "vectors": vectors,
    }
