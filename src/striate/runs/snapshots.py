"""snapshots.safetensors: first filters and last hidden layer on the way through a run, for looking at only.

    00000004/filters    O C k k, float16, after epoch 4; 00000000 is before training, 'end' what the run ends with
    00000004/features   P F, float16
    pictures, labels    which pictures of which part (in the metadata) the features are of

Nothing is computed from them, so that a missing or damaged file costs a figure and no result. They are replaced at
once but not synced: a training does not wait for the disk because of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from striate.runs.atomic import naming_disk_errors

NAME = "snapshots.safetensors"
FILTERS, FEATURES, PICTURES, LABELS = "filters", "features", "pictures", "labels"
LARGEST = torch.finfo(torch.float16).max


@dataclass(frozen=True, eq=False)
class Moment:
    """What a network was at one time.

    Args:
        filters: Of the first layer that learns, in pixels: float16, O C k k.
        features: What the last linear layer sees of the pictures: float16, P F.
    """

    filters: Tensor
    features: Tensor


@dataclass(frozen=True, eq=False)
class Snapshots:
    """What a network was at some times of its training.

    Args:
        part: The part of the data that the pictures are of: 'val' or 'train'.
        pictures: Their numbers in it, int64 P.
        labels: Theirs, int64 P or bool P K.
        moments: By epochs done, 0 before training, in order.
        end: What the run ended with; None where it has not.
    """

    part: str
    pictures: Tensor
    labels: Tensor
    moments: Mapping[int, Moment]
    end: Moment | None = None

    def named(self) -> dict[str, Moment]:
        """Return all moments in order under names for people: 'start', 'epoch 2', …, 'end'."""
        named = {f"epoch {epoch}" if epoch else "start": moment for epoch, moment in self.moments.items()}
        return named if self.end is None else {**named, "end": self.end}


def halved(values: Tensor) -> Tensor:
    """Return values as float16 on the CPU, those beyond its range at its ends, and 0 for what is no number."""
    return values.detach().float().nan_to_num(0.0).clamp(-LARGEST, LARGEST).half().cpu().contiguous()


def write_snapshots(folder: Path, snapshots: Snapshots) -> None:
    """Put snapshots in place of a run folder's.

    Raises:
        ResourceError: The disk refused.
    """
    moments = {f"{epoch:08d}": moment for epoch, moment in snapshots.moments.items()}
    if snapshots.end is not None:
        moments["end"] = snapshots.end
    tensors = {PICTURES: snapshots.pictures, LABELS: snapshots.labels}
    for name, moment in moments.items():
        tensors |= {f"{name}/{FILTERS}": moment.filters, f"{name}/{FEATURES}": moment.features}
    data = save(tensors, {"part": snapshots.part})
    path = folder / NAME
    temporary = path.with_name(f"{NAME}.tmp-{os.getpid()}")
    with naming_disk_errors(path, len(data)):
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def read_snapshots(folder: Path) -> Snapshots | None:
    """Return the snapshots in a run folder; None where there are none, or the file is damaged."""
    try:
        with safe_open(folder / NAME, "pt") as content:
            part = content.metadata()["part"]
            tensors = {name: content.get_tensor(name).clone() for name in content.keys()}  # noqa: SIM118
        pictures, labels = tensors.pop(PICTURES), tensors.pop(LABELS)
        moments = {
            name.partition("/")[0]: Moment(tensor, tensors[name.replace(FILTERS, FEATURES)])
            for name, tensor in sorted(tensors.items())
            if name.endswith(FILTERS)
        }
        end = moments.pop("end", None)
        by_epoch = {int(name): moment for name, moment in moments.items()}
        every = [*by_epoch.values(), *([] if end is None else [end])]
        if len(labels) != len(pictures) or any(len(moment.features) != len(pictures) for moment in every):
            return None
        return Snapshots(part, pictures, labels, by_epoch, end)
    except Exception:  # whatever is not what we write there; the parser's own exceptions are not public
        return None
