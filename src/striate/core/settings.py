"""Every setting of a training run, declared once: default, range, unit and one line of help.

The options of the command line, the keys of a config file, `config.json` in the run folder and the
keywords of `striate.train` are all derived from `TrainSettings`. A setting whose default is None is
chosen by the plan (training/plan.py) from the data and the machine, and recorded with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from striate.core.duration import read_duration
from striate.core.errors import SettingsError
from striate.core.spec import MAX_SIDE, Interpolation, Resize

Precision = Literal["auto", "fp32", "bf16"]
Normalization = Literal["data", "picture", "none"]
Balance = Literal["none", "weights", "sampling"]


def _written_duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    seconds = read_duration(value)
    if seconds is not None:
        return seconds
    try:
        float(value)
    except ValueError:
        rule = "a time is a number of seconds, or written as '20s', '2m' or '1h30m'"
        raise PydanticCustomError("duration", rule) from None
    return value


Duration = Annotated[float, BeforeValidator(_written_duration)]  # seconds


class Settings(BaseModel):
    """A frozen group of settings; an unknown key, a wrong type or a value out of range is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    verb: ClassVar[str] = "train"  # whose --help lists them

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and bool not in (get_args(kind) or (kind,)):
            raise PydanticCustomError("no_bool", "true and false are no value of this setting")
        return value

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str | None = None) -> Self:
        """Return the settings, or a SettingsError that lists every offending key with its rule.

        Args:
            values: Keys as in the class, with '-' or '_'.
            where: Where the values come from, for the message; the keys alone say it of options.
        """
        spelled = {key: key.replace("-", "_") for key in values}
        twice = [key for key, count in Counter(spelled.values()).items() if count > 1]
        if twice:
            raise SettingsError(f"set twice, with '-' and with '_': {', '.join(twice)}", where=where, fix="keep one")
        try:
            return cls.model_validate({spelled[key]: value for key, value in values.items()})
        except ValidationError as error:
            lines = [_explain(cls, problem) for problem in error.errors()]
            fix = f"'striate {cls.verb} --help' lists the settings"
            raise SettingsError("; ".join(lines), where=where, fix=fix) from None

    def with_values(self, **values: Any) -> Self:
        """Return a copy with some values replaced, validated again."""
        return type(self).parse({**self.model_dump(), **values})

    def differences(self, other: Settings) -> dict[str, tuple[Any, Any]]:
        """Return {key: (ours, theirs)} for each key that differs."""
        ours, theirs = self.model_dump(mode="json"), other.model_dump(mode="json")
        return {key: (ours[key], theirs.get(key)) for key in ours if ours[key] != theirs.get(key)}


def _explain(cls: type[Settings], problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"] if isinstance(part, str)) or "value"
    if problem["type"] == "extra_forbidden":
        guess = get_close_matches(key, list(cls.model_fields), n=1, cutoff=0.5)
        return f"unknown key '{key}'" + (f" (did you mean '{guess[0]}'?)" if guess else "")
    rule = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{key} = {problem['input']!r}: {rule}"


def chosen(description: str, **rules: Any) -> Any:
    """Declare a setting that the plan chooses where the user does not."""
    return Field(None, description=description, json_schema_extra={"chosen": True}, **rules)


class DataSettings(Settings):
    """Which pictures, and how they become the network's input."""

    data_dir: Path | None = Field(None, description="Folder that holds data sets by name, before STRIATE_DATA")
    first: int | None = Field(None, ge=1, description="Train on N pictures only: the first; of a folder, evenly spread")
    val_share: float | None = chosen(
        "Share held out for validation where the data have no such part; 0: none", ge=0, lt=1
    )
    test_share: float = Field(0.1, gt=0, lt=1, description="Share held out for test where nothing else is split")
    img_size: int | None = chosen("Side of the pictures in pixels", ge=8, le=MAX_SIDE)
    channels: Literal[1, 3] | None = chosen("1 for grey, 3 for colour")
    resize: Resize | None = chosen("How other aspect ratios become square")
    interpolation: Interpolation = Field("bilinear", description="Filter of the resize")
    crop: int | None = Field(
        None, ge=8, le=MAX_SIDE, description="Side of the part the network sees: random in training, else the centre"
    )
    normalize: Normalization = Field(
        "data", description="By mean and deviation of the data, of each picture, or only to 0 … 1"
    )
    views: Literal[1, 2, 3, 6] | None = chosen(
        "Views averaged in measuring and predicting; 2: mirrored too, 3: shifted too, 6: both"
    )
    views_below: float = Field(
        1.0, gt=0, le=1, description="More than one view only where the first is less certain than this"
    )
    skip_bad: bool = Field(False, description="Go on without unreadable pictures, recording each one")
    path_column: str | None = Field(
        None, description="Column of a table that names the pictures' files, where its name is not a usual one"
    )
    label_column: str | None = Field(
        None, description="Column that says the class, or several with '|' between them: any number of classes each"
    )
    split_column: str | None = Field(None, description="Column that says train, val or test; '': there is none")
    group_column: str | None = Field(
        None, description="Column that says what belongs together (patient, site) and is never divided; '': none"
    )
    group: str | None = Field(
        None, description="Regular expression on a picture's path; what it finds, or its first bracket, is the group"
    )
    folds: int | None = Field(
        None, ge=2, le=1000, description="Cross-validation by this many runs, each holding out another part"
    )
    fold: int | None = Field(None, ge=1, le=1000, description="Train this one of the folds alone")
    fixes: Path | None = Field(
        None, description="Table that relabels and excludes pictures: path, action (relabel, exclude), label, reason"
    )


class AugmentSettings(Settings):
    """Random changes of the training pictures; 0 turns one off."""

    flip: bool | None = chosen("Mirror left to right")
    alternate_flip: bool | None = chosen("Mirror by turns: at random at first, then every other epoch")
    flip_vertical: bool = Field(False, description="Mirror top to bottom")
    rotate: float = Field(0.0, ge=0, le=180, description="Rotation by up to ± this many degrees")
    shift: int | None = chosen("Shift by up to ± this many whole pixels", ge=0, le=256)
    zoom: float = Field(0.0, ge=0, lt=1, description="Zoom by a factor of up to 1 ± this")
    crop_scale: float = Field(1.0, gt=0, le=1, description="Random resized crop of at least this share of the area")
    edges: Literal["reflect", "zero"] = Field("reflect", description="What lies beyond the picture's edge")
    brightness: float = Field(0.0, ge=0, le=1, description="Brightness times 1 ± this")
    contrast: float = Field(0.0, ge=0, le=1, description="Contrast times 1 ± this")
    saturation: float = Field(0.0, ge=0, le=1, description="Saturation times 1 ± this (colour)")
    hue: float = Field(0.0, ge=0, le=0.5, description="Hue turned by up to ± this share of the circle (colour)")
    erase: float = Field(0.0, ge=0, le=1, description="Probability of erasing a rectangle")
    small_until: float | None = chosen(
        "Share of the run that sees the pictures at three quarters of their side; 0: none", ge=0, lt=1
    )
    mixup: float = Field(0.0, ge=0, le=10, description="Mixup: α of the Beta distribution of the shares")
    cutmix: float = Field(0.0, ge=0, le=10, description="CutMix: α of the Beta distribution of the areas")


class OptimizerSettings(Settings):
    """How the weights move."""

    epochs: int | None = chosen("Passes over the training pictures", ge=1, le=100_000)
    time_budget: Duration | None = Field(
        None, gt=0, le=1e7, description="Time for the whole run, in place of epochs: 90, 20s, 2m or 1h30m"
    )
    batch_size: int | None = chosen("Pictures per step", ge=1, le=65_536)
    optimizer: Literal["sgd", "adam", "adamw", "muon"] | None = chosen(
        "Update rule; muon: of filters, with sgd for all else"
    )
    lr: float | None = chosen("Peak learning rate", gt=0, le=1000)
    sgd_lr: float = Field(2.8, gt=0, le=1000, description="Learning rate of what muon leaves to sgd, as a multiple")
    bias_lr: float = Field(1.0, gt=0, le=1000, description="Learning rate of biases, as a multiple")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of SGD and muon")
    nesterov: bool = Field(True, description="Nesterov's form of the momentum of SGD and muon")
    renormalize: bool = Field(True, description="Muon keeps the length of each layer's filters instead of decaying it")
    weight_decay: float | None = chosen("Weight decay, not on norms and biases", ge=0, le=10)
    l1: float = Field(0.0, ge=0, le=10, description="Added to the loss: this times the sum of |weight|")
    l2: float = Field(0.0, ge=0, le=10, description="Added to the loss: this times the sum of weight²")
    penalty_on: str = Field("*", description="Parameters that l1 and l2 concern, by name: 'classifier.*,conv1.*'")
    schedule: Literal["one-cycle", "cosine", "linear", "constant"] | None = chosen(
        "Course of the learning rate over the run"
    )
    warmup: float = Field(0.2, ge=0, lt=1, description="Share of the run in which one-cycle rises to the peak")
    label_smoothing: float | None = chosen("Share of the target spread over all classes", ge=0, lt=1)
    balance: Balance | None = chosen("Classes of few pictures count more (weights) or are seen more often (sampling)")
    clip_norm: float | None = Field(None, gt=0, description="Upper limit of the gradient's norm")
    ema: float | None = Field(None, gt=0, lt=1, description="Decay per step of the average of the weights")
    patience: int | None = Field(None, ge=1, description="Stop after N epochs without a better validation loss")
    target_accuracy: float | None = Field(
        None, gt=0, le=1, description="Stop at the end of the epoch whose validation accuracy has reached this"
    )


class NetworkSettings(Settings):
    """Which network, and its variants."""

    model: str | None = chosen("Network by name; 'striate inspect' lists them")
    pretrained: str | None = chosen(
        "Weights to begin from: lite0, a network of torchvision or timm, a file or a run; none: from scratch"
    )
    freeze: bool = Field(False, description="Pretrained: fit the last layer alone, whatever time there is")
    unfreeze: int | None = Field(None, ge=1, description="Pretrained: fine-tuning moves the last N stages; else 3")
    norm: str | None = Field(
        None, description="batch, batch-shift, layer, none or group:G, in place of the network's own"
    )
    stem: Literal["none", "learned", "whitened"] | None = Field(
        None, description="fast: a first 2×2 convolution, learned or whitening the training pictures' patches"
    )
    width: float | None = chosen("fast: its feature maps, as a multiple of the usual number", gt=0, le=16)
    depth: int | None = Field(None, ge=1, le=8, description="fast: convolutions in each stage")
    activation: Literal["relu", "gelu"] | None = Field(None, description="fast: what follows each norm")
    identity: bool | None = Field(None, description="fast: begin as far as possible with filters that copy their input")
    logit_scale: float | None = Field(None, gt=0, le=1000, description="fast: factor of the logits")
    dropout: float | None = Field(None, ge=0, lt=1, description="Dropout, in place of the network's own")
    small: bool | None = Field(
        None, description="The network's form for small pictures, or not, in place of what their side suggests"
    )
    one_logit: bool = Field(False, description="Two classes by one logistic output instead of two by softmax")

    @property
    def transfers(self) -> bool:
        """Whether training begins from pretrained weights."""
        return self.pretrained not in (None, "none")


class CertaintySettings(Settings):
    """When the trained network says that it does not know: one of the two, or neither."""

    reject_below: float | None = Field(
        None, gt=0, le=1, description="Say \"don't know\" where the answer's probability is smaller than this"
    )
    error_rate: float | None = Field(
        None,
        gt=0,
        lt=1,
        description='Say "don\'t know" as often as it takes that at most this share of answers is wrong',
    )


class MachineSettings(Settings):
    """Where and how the arithmetic is done."""

    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps")
    precision: Precision = Field("auto", description="auto: bf16 where a short race shows it faster")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of all randomness")


class TrainSettings(
    DataSettings, AugmentSettings, NetworkSettings, OptimizerSettings, CertaintySettings, MachineSettings
):
    """All settings of a training run."""

    checkpoint_every: float = Field(
        20.0, ge=0, description="Seconds between checkpoints within a run; 0: after every step"
    )

    @property
    def only_head(self) -> bool:
        """Whether a linear head on frozen features is all that these settings, once complete, train."""
        return self.transfers and (self.freeze or (self.epochs is None and self.time_budget is None))


GROUPS: dict[str, type[Settings]] = {
    "Data": DataSettings,
    "Augmentation": AugmentSettings,
    "Network": NetworkSettings,
    "Optimizer": OptimizerSettings,
    "Certainty": CertaintySettings,
    "Machine": MachineSettings,
}


# what only training in steps reads; a head on frozen features does not
READ_IN_STEPS = frozenset(
    {*AugmentSettings.model_fields, *OptimizerSettings.model_fields, "dropout", "checkpoint_every", "unfreeze"}
) - {"balance"}

# what is read by some choices alone: setting → the choice and its values that read it
READ_BY: dict[str, tuple[str, tuple[str, ...]]] = {
    "width": ("model", ("fast",)),
    "sgd_lr": ("optimizer", ("muon",)),
    "renormalize": ("optimizer", ("muon",)),
    "momentum": ("optimizer", ("sgd", "muon")),
    "nesterov": ("optimizer", ("sgd", "muon")),
    "warmup": ("schedule", ("one-cycle",)),
}


def override(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's values with those given in place of its own, and without those that nothing reads then.

    A time to keep takes the place of its epochs, another optimizer that of its momentum, folds that of its share held
    out.

    Args:
        base, given: Keys as in `TrainSettings`.
    """
    replaced = {key for key, (choice, readers) in READ_BY.items() if given.get(choice, readers[0]) not in readers}
    replaced |= {"epochs"} if given.get("time_budget") is not None else set()
    replaced |= {"val_share", "test_share"} if given.get("folds") is not None else set()
    return {**{key: value for key, value in base.items() if key not in replaced}, **given}
