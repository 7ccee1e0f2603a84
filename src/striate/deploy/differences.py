"""What differs between runs in what they are: the settings that were read, and the pictures that they were given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate.core.settings import READ_BY, READ_IN_STEPS, TrainSettings
from striate.data.audit.finding import of
from striate.deploy.compared import Compared
from striate.runs.answers import read_answers
from striate.runs.config import MAY_CHANGE
from striate.runs.folds_folder import SUFFIX, folds_of
from striate.runs.ledger import used_files

# what decides which pictures are held out, besides the pictures themselves
_HOLDING_OUT = ("val_share", "test_share", "folds", "fold", "group", "group_column", "split_column", "first")


def differing_settings(compared: Sequence[Compared]) -> dict[str, list[Any]]:
    """Return each setting with an effect that differs, with its value in each run.

    None stands for one that is not set, and for one that the run did not read: a head alone reads no learning rate.
    One that some runs did not read, and the others left as it usually is, is no difference worth telling.
    """
    default = TrainSettings().model_dump(mode="json")
    values = [_read_settings(one.settings) for one in compared]

    def differs(key: str) -> bool:
        told = [of_run[key] for of_run in values if key in of_run]
        return any(value != (told[0] if len(told) == len(values) else default[key]) for value in told)

    return {key: [of_run.get(key) for of_run in values] for key in default if differs(key)}


def _read_settings(settings: TrainSettings) -> dict[str, Any]:
    """Return the settings with an effect that the run read."""
    unread = {key for key, (choice, readers) in READ_BY.items() if getattr(settings, choice) not in readers}
    if settings.only_head:
        unread |= READ_IN_STEPS
    return settings.model_dump(mode="json", exclude=unread | MAY_CHANGE)


def compare_data(first: Compared, other: Compared) -> str:
    """Return in one sentence whether two runs were given the same pictures, and what each made of them.

    Files are compared by their paths below the data's folder and by their classes, data sets by name and number; the
    pixels that were read of them differ wherever the networks' inputs do, and say nothing then.
    """
    if [run.config.fingerprint for run in first.runs] == [run.config.fingerprint for run in other.runs]:
        return "the same pictures, divided in the same way"
    told, same = _given(first, other)
    sizes = [" × ".join(map(str, one.first.spec.picture_shape[1:])) for one in (first, other)]
    resized = len({_form(one) for one in (first, other)}) > 1
    if sizes[0] != sizes[1]:
        told.append(f"read at {sizes[0]} and {sizes[1]} pixels")
    elif resized:
        told.append("brought to size in different ways")
    if same and first.held_out() != other.held_out():
        told.append("divided in another way")
    elif same and not resized and len(told) == 1:
        told.append("with other pixels or labels")
    return ", ".join(told)


def _form(one: Compared) -> tuple[object, ...]:
    spec = one.first.spec
    return (spec.picture_shape, spec.resize, spec.interpolation, spec.background)


def _given(first: Compared, other: Compared) -> tuple[list[str], bool]:
    """Return what there is to say of the pictures that two runs were given, and whether they are the same."""
    files = [used_files(one.first.path) for one in (first, other)]
    counts = [_count(one) for one in (first, other)]
    # of a named data set with fixes the ledger holds the changed pictures alone
    if all(len(of_run) == count for of_run, count in zip(files, counts, strict=True)):
        ours, theirs = files
        if ours.keys() != theirs.keys():
            common = len(ours.keys() & theirs.keys())
            only = " and ".join(
                f"{len(of_run) - common:,} in {one.name} alone"
                for of_run, one in zip(files, (first, other), strict=True)
            )
            return [f"{of(common, 'picture')} in both, {only}"], False
        relabelled = sum(ours[path].label != theirs[path].label for path in ours)
        return [
            f"the same {of(len(ours), 'picture')}",
            *([f"{relabelled:,} of them with another label"] if relabelled else []),
        ], True
    if first.config.data != other.config.data:
        return ["other data"], False
    if counts[0] != counts[1]:
        return [f"the same data, {counts[0]:,} pictures of them and {counts[1]:,}"], False
    return [f"the same {of(counts[0], 'picture')}"], True


def _count(one: Compared) -> int:
    """Return how many pictures one run was given, all parts together."""
    return len(one.first.training_hashes()) + len(read_answers(one.first))


def why_apart(compared: Sequence[Compared]) -> str:
    """Return why runs have measured other pictures than each other; empty where their settings do not say."""
    configs = [one.config for one in compared]
    reasons = []
    if len({config.data for config in configs}) > 1:
        reasons.append("their data differ")
    seeds = list(dict.fromkeys(one.settings.seed for one in compared))
    if len(seeds) > 1:
        reasons.append(f"another --seed ({', '.join(map(str, seeds))}) holds other pictures out")
    if len({config.fixes_sha256 for config in configs}) > 1:
        reasons.append("their --fixes differ, and what is left out or relabelled changes which pictures are held out")
    shares = [key for key in _HOLDING_OUT if len({getattr(one.settings, key) for one in compared}) > 1]
    if shares and not reasons:
        names = ", ".join(f"--{key.replace('_', '-')}" for key in shares)
        reasons.append(f"{names} {'differs' if len(shares) == 1 else 'differ'}")
    return "; ".join(reasons)


def remedy(compared: Sequence[Compared]) -> str:
    """Return how runs that have measured other pictures than each other can be compared."""
    folders = [folds_of(one.path) for one in compared if one.settings.fold is not None]
    if len(folders) < 2:
        return REMEDY
    named = ", ".join(str(folder) for folder in dict.fromkeys(folders) if folder is not None)
    each = "each fold holds other pictures out: compare the folds of one cross-validation with those of another"
    return f"{each}, NAME{SUFFIX}" + (f" (here {named})" if named else "")


REMEDY = (
    "give all runs the same test pictures (the same --seed and --fixes, or a folder test/ of their own), or measure "
    "each on pictures that none was trained on: striate evaluate RUN DATA"
)
