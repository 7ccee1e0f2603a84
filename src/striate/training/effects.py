"""Settings that contradict each other or the data, or that nothing would read: refused by name, all at once.

A setting that was given and changes nothing is a wish that is not obeyed; `tests/contracts/test_every_setting.py`
goes through all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from striate.core.errors import SettingsError
from striate.core.settings import READ_BY, TrainSettings
from striate.core.spec import ImageSpec
from striate.data.dataset import Splits
from striate.training.calibrate import refusals


def refusal(problems: Sequence[str]) -> SettingsError:
    """Return the error that tells problems, each of the form 'what is wrong: what helps'."""
    if len(problems) == 1:
        what, _, remedy = problems[0].rpartition(": ")
        return SettingsError(what, fix=remedy)
    lines = "\n".join(f"  {problem}" for problem in problems)
    return SettingsError(f"{len(problems)} things do not fit:\n{lines}", fix="as each line ends")


def contradictions(settings: TrainSettings, data: Splits, spec: ImageSpec) -> list[str]:
    """Return a sentence for each setting that cannot be obeyed: what is wrong, and behind a colon what helps.

    Args:
        settings: Complete, as the plan has them.
        data: What they are for.
        spec: How its pictures become the network's input.
    """
    problems = [*_without_effect(settings), *_without_effect_on(settings, data), *refusals(settings, data)]
    if settings.one_logit and spec.multi_label:
        problems.append("one_logit tells two classes apart; here every class has a logistic output: leave it out")
    if settings.alternate_flip and not settings.flip:
        problems.append("alternate_flip needs flip: leave it out, or use --flip if mirrored pictures keep their label")
    if settings.views in (2, 6) and not (data.mirror_safe or settings.flip):
        problems.append(f"of {settings.views} views some are mirrored, which would change labels: use --views 3 or 1")
    if settings.balance == "sampling" and data.multi_label:
        problems.append(
            "balance sampling cannot show classes equally often where pictures are of several: use --balance weights"
        )
    if settings.time_budget is not None and settings.epochs is not None:
        problems.append("time_budget finds the number of epochs itself: leave out --epochs, or --time-budget")
    _, height, width = spec.input_shape
    if settings.shift and settings.shift >= min(height, width):
        least = min(height, width) - 1
        problems.append(f"shift {settings.shift} is as large as the picture ({height} × {width}): use {least} or less")
    least = min(spec.height, spec.width)
    if settings.crop and settings.crop > least:
        problems.append(
            f"crop {settings.crop} is larger than the pictures ({spec.height} × {spec.width}): "
            f"use --crop {least} or less, or --img-size {settings.crop} or more"
        )
    if settings.batch_size == 1:
        problems.append("batch_size 1 leaves batch norm nothing to normalise over: use 2 or more")
    return problems


def _without_effect(settings: TrainSettings) -> list[str]:
    """Return a sentence for each setting that was changed and that no other one lets be read."""
    default = TrainSettings()
    problems = [
        f"{key} is for {choice} {' or '.join(readers)} alone: leave it out, or use --{choice} {readers[0]}"
        for key, (choice, readers) in READ_BY.items()
        if getattr(settings, choice) not in readers and getattr(settings, key) != getattr(default, key)
    ]
    if settings.views_below < 1 and settings.views == 1:
        problems.append("views_below says which pictures get more views than one: use --views 2, 3 or 6")
    if settings.penalty_on != default.penalty_on and not (settings.l1 or settings.l2):
        problems.append("penalty_on says what l1 and l2 concern: use --l1 or --l2, or leave it out")
    moved = settings.shift or settings.rotate or settings.zoom
    if settings.edges != default.edges and not moved:
        problems.append("edges lie beyond pictures that are moved: use --shift, --rotate or --zoom, or leave it out")
    return problems


def _without_effect_on(settings: TrainSettings, data: Splits) -> list[str]:
    """Return a sentence for each setting that was given and that these data do not let be read."""
    problems = []
    if data.train.input_shape[0] == 1 and (settings.saturation or settings.hue):
        problems.append("saturation and hue have no effect on grey pictures: leave them out, or use --channels 3")
    if data.val is not None and data.val_share is None and settings.val_share:  # a recipe may say 0
        problems.append(
            "val_share holds pictures out where the data have no validation part; these have: "
            "use --val-share 0, or leave it out"
        )
    if data.test_share is None and settings.test_share != TrainSettings().test_share:
        problems.append("test_share holds pictures out where the data have no parts; these have: leave it out")
    if settings.skip_bad and not data.files:
        problems.append("skip_bad is for pictures in files that may be unreadable; these data have none: leave it out")
    if data.val is None:
        needing = [key for key in ("patience", "target_accuracy") if getattr(settings, key) is not None]
        problems += [f"{key} needs a validation part: use --val-share" for key in needing]
    return problems
