"""The proof of an export: on real pictures the file, read back and run, answers as the network itself does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from striate.core import clock
from striate.core.errors import ModelFileError
from striate.deploy.export.formats import Answers, Run
from striate.deploy.export.sample import MOST, Sample
from striate.deploy.predictor import Prediction, Predictor

LIMIT = 1e-4  # of the difference of a probability
BATCHES = (1, 7, 32)
TIMED = 0.4  # seconds, for each speed


@dataclass(frozen=True)
class Proof:
    """How the exported file's answers compare with the network's own, given by `Predictor`.

    Args:
        part: Of the data.
        pictures: How many were compared.
        other_sizes: How many of these were not of the network's size.
        max_probability_difference: The greatest, over pictures, classes and batch sizes.
        max_batch_difference: The greatest between one picture's probabilities in batches of 1, 7 and 32.
        same_classes: Pictures with the same class, or set of classes.
        same_accepted: Pictures that both accept, or both do not.
        same_unknown: Pictures that both take for unknown, or both do not; None where that is not told.
        max_unknown_score_difference: The greatest; None where there is no score.
    """

    part: str
    pictures: int
    other_sizes: int
    max_probability_difference: float
    max_batch_difference: float
    same_classes: int
    same_accepted: int
    same_unknown: int | None
    max_unknown_score_difference: float | None

    def require(self, where: object) -> None:
        """Refuse an export whose probabilities are not the network's: ModelFileError."""
        if not self.max_probability_difference <= LIMIT:  # of NaN neither
            raise ModelFileError(
                f"the exported file is not the network: on {self.pictures:,} pictures their probabilities differ by up "
                f"to {self.max_probability_difference:.2g}, {LIMIT:g} is allowed; nothing was kept",
                where=where,
                fix="use another --format, and report it with the model",
            )

    def summary(self) -> dict[str, JsonValue]:
        """Return it as JSON values."""
        return {**asdict(self), "limit": LIMIT, "batches": list(BATCHES)}


def prove(run: Run, predictor: Predictor, sample: Sample) -> Proof:
    """Return how a file's answers compare with the network's on up to 1,000 pictures, in batches of 1, 7 and 32."""
    others = [one for one in sample.others if one.max() != 1]  # which the Predictor refuses: values cut off, it says
    pixels = sample.pixels(MOST - len(others))
    pixels = pixels[pixels.max((1, 2, 3)) != 1]
    wanted = predictor.predict([*pixels, *others])
    count = len(pixels)
    filled = pixels[np.arange(max(count, *BATCHES)) % count]  # few pictures fill a batch by turns
    answers = run_all(run, filled)
    apart = []
    for size in BATCHES[:-1]:
        again = joined([run(part) for part in _batches(filled[: 16 * size], size)])["probabilities"]
        apart.append(float(abs(again - answers["probabilities"][: len(again)]).max()))
    once = {name: values[:count] for name, values in answers.items()}
    alone = [run(one[None]) for one in others]
    return compared(joined([once, *alone]), wanted, predictor, sample.part, len(alone), max(apart))


def compared(
    answers: Answers, wanted: Sequence[Prediction], predictor: Predictor, part: str, other_sizes: int, apart: float
) -> Proof:
    """Return how answers compare with the Predictor's predictions of the same pictures.

    Args:
        answers: Of the exported file.
        wanted: One prediction per picture.
        predictor: Which made them.
        part: Of the data.
        other_sizes: How many of the pictures are not of the network's size.
        apart: The greatest difference between batch sizes.
    """
    probabilities = answers["probabilities"]
    ours = np.array([list(one.probabilities.values()) for one in wanted], dtype=np.float32)
    sets = np.array([[name in one.labels for name in predictor.classes] for one in wanted])
    scores = [one.unknown_score for one in wanted]
    has_scores = "unknown_score" in answers
    unlike = None if not has_scores else int((answers["unknown"] == [one.unknown for one in wanted]).sum())
    return Proof(
        part=part,
        pictures=len(wanted),
        other_sizes=other_sizes,
        max_probability_difference=float(abs(probabilities - ours).max()),
        max_batch_difference=apart,
        same_classes=int((answer_sets(probabilities, predictor.spec.multi_label) == sets).all(1).sum()),
        same_accepted=int((answers["accepted"] == [one.accepted for one in wanted]).sum()),
        same_unknown=unlike,
        max_unknown_score_difference=float(abs(answers["unknown_score"] - scores).max()) if has_scores else None,
    )


def answer_sets(probabilities: NDArray[np.float32], multi_label: bool) -> NDArray[np.bool_]:
    """Return which classes a reader of the file takes each picture to be of, bool N K."""
    if multi_label:
        return probabilities >= 0.5
    best: NDArray[np.bool_] = np.arange(probabilities.shape[1]) == probabilities.argmax(1)[:, None]
    return best


def run_all(run: Run, pixels: NDArray[np.uint8]) -> Answers:
    """Return a file's answers to pictures uint8 N H W C, in batches of 32."""
    return joined([run(part) for part in _batches(pixels, BATCHES[-1])])


def seconds_per_picture(run: Run, pixels: NDArray[np.uint8], size: int) -> float:
    """Return the seconds that a picture takes in batches of `size`, the median of some."""
    batch = pixels[np.arange(size) % len(pixels)]
    run(batch)
    taken: list[float] = []
    while len(taken) < 3 or sum(taken) < TIMED:
        started = clock.now()
        run(batch)
        taken.append(clock.now() - started)
    return float(np.median(taken)) / size


def _batches(pixels: NDArray[np.uint8], size: int) -> list[NDArray[np.uint8]]:
    return [pixels[start : start + size] for start in range(0, len(pixels), size)]


def joined(parts: list[Answers]) -> Answers:
    """Return the answers to several batches as those to one."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
