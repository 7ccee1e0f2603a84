"""Suspected wrong labels: what models that have not seen a picture say against the label it came with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from striate.core.errors import SettingsError
from striate.core.memory import require_memory
from striate.core.settings import TrainSettings
from striate.data.audit.finding import Case, Finding, of
from striate.data.dataset import ImageDataset, Splits
from striate.explain.confident import label_errors
from striate.explain.feature_folds import features_out_of_fold
from striate.explain.out_of_fold import FOLDS, network_out_of_fold


@dataclass(frozen=True)
class Suspects:
    """Pictures whose labels are probably wrong.

    Args:
        numbers: Among all pictures, part after part, int64; the worst first.
        labels: Given classes of all pictures, int64 N.
        probabilities: Of all pictures, out of fold, float32 N K.
        classes: The K names.
        judge: What said so.
    """

    numbers: Tensor
    labels: Tensor
    probabilities: Tensor
    classes: tuple[str, ...]
    judge: str

    @property
    def suggested(self) -> Tensor:
        """The most probable class of each suspect, int64, as `numbers`."""
        return self.probabilities[self.numbers].argmax(1)


def find_suspects(splits: Splits, settings: TrainSettings, say: Callable[[str], None] = lambda _: None) -> Suspects:
    """Return the pictures of all parts whose labels confident learning takes for wrong.

    Args:
        splits: Pictures of one class each.
        settings: As for training.
        say: Is told what is being done.

    Raises:
        SettingsError: The pictures may be of any number of classes.
    """
    if splits.multi_label:
        raise SettingsError(
            "wrong labels are looked for where a picture is of one class", where="--labels", fix="leave it out"
        )
    whole = _joined(splits)
    probabilities, judge = _probabilities(whole, splits, settings, say)
    return Suspects(label_errors(whole.labels, probabilities), whole.labels, probabilities, whole.classes, judge)


def _joined(splits: Splits) -> ImageDataset:
    parts = list(splits.parts().values())
    if len(parts) > 1:
        needed = sum(part.images.numel() for part in parts)
        fix = "use smaller pictures: --img-size"
        require_memory(needed, "the pictures of all parts together", where=splits.name, fix=fix)
    return replace(
        parts[0],
        images=torch.cat([part.images for part in parts]) if len(parts) > 1 else parts[0].images,  # N C H W
        labels=torch.cat([part.labels for part in parts]),
        names=[name for part in parts for name in part.names],
    )


def _probabilities(
    whole: ImageDataset, splits: Splits, settings: TrainSettings, say: Callable[[str], None]
) -> tuple[Tensor, str]:
    """Return the probabilities of all pictures out of fold, float32 N K, and by what."""
    found = features_out_of_fold(whole, splits, settings, say)
    if found is not None:
        return found
    probabilities = torch.zeros(len(whole), len(whole.classes))
    for number, (inside, said) in enumerate(network_out_of_fold(whole, splits, settings), 1):
        probabilities[inside] = said
        say(f"labels: {number} of {FOLDS} networks trained on four fifths of {len(whole):,} pictures")
    return probabilities, f"{FOLDS} networks of the usual kind, each trained on the other pictures"


def suspects_finding(suspects: Suspects, splits: Splits) -> list[Finding]:
    """Return the finding of suspected labels, the worst first; none where there are none.

    Args:
        splits: The data they are of.
    """
    if not len(suspects.numbers):
        return []
    names = [name for part in splits.parts().values() for name in part.names]
    shares = suspects.probabilities[suspects.numbers, suspects.suggested].tolist()
    rows = zip(suspects.numbers.tolist(), suspects.suggested.tolist(), shares, strict=True)
    cases = []
    for number, suggested, share in rows:
        given, rather = suspects.classes[int(suspects.labels[number])], suspects.classes[suggested]
        cases.append(Case((names[number],), f"{given} → {rather}, {100 * share:.0f} %", rather))
    told = f"{of(len(cases), 'label')} of {len(names):,} probably wrong, by {suspects.judge}"
    remedy = "look at the sheet and correct fixes.csv (--out FOLDER), then train with --fixes"
    return [Finding("suspected-labels", "warning", told, remedy, cases)]
