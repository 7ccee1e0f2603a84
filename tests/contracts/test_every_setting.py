"""Every setting does something, or is refused by name: none is accepted and then read by nobody.

A new setting is entered below: with a value under which something else than the settings comes out (the spec, the
network, the weights after a few steps, the epochs, what is written), and, where there are cases in which nothing
would read it, with what is then said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from striate.core.errors import SettingsError, StriateError
from striate.core.settings import TrainSettings
from striate.core.spec import ImageSpec
from striate.models import Architecture, build
from striate.runs.model_file import ModelCard, load_model, save_model
from striate.training.job import prepare

QUICK: dict[str, Any] = {"first": 24, "batch_size": 12, "epochs": 2, "precision": "fp32", "device": "cpu"}
LARGER = {"img_size": 16}
SGD = {"optimizer": "sgd"}
COLOUR = {"DATA": "photos"}
TABLE = {"DATA": "table.csv"}
PRETRAINED = {"pretrained": "weights.safetensors"} | COLOUR
FOLD = {"folds": 2, "fold": 1}
# setting → a value that is not the usual one, and the settings in which it is read
EFFECTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "data_dir": ("elsewhere", {"DATA": "only-elsewhere"}),
    "first": (36, {}),
    "val_share": (0.4, COLOUR),
    "test_share": (0.4, COLOUR),
    "img_size": (12, {}),
    "channels": (3, {}),
    "resize": ("pad", {}),
    "interpolation": ("nearest", LARGER),
    "crop": (12, LARGER),
    "normalize": ("picture", {}),
    "views": (3, {}),
    "views_below": (0.5, {"views": 3}),
    "skip_bad": (True, {"DATA": "damaged"}),
    "path_column": ("mirror", TABLE),
    "label_column": ("number", TABLE),
    "split_column": ("use", TABLE),
    "group_column": ("person", TABLE),
    "group": (r"(\d)\.png", COLOUR),
    "fixes": ("fixes.csv", COLOUR),
    "folds": (3, FOLD),
    "fold": (2, FOLD),
    "flip": (True, {}),
    "alternate_flip": (False, {"flip": True}),
    "flip_vertical": (True, {}),
    "rotate": (20.0, {}),
    "shift": (2, {}),
    "zoom": (0.3, {}),
    "crop_scale": (0.5, {}),
    "edges": ("zero", {"shift": 2}),
    "brightness": (0.5, {}),
    "contrast": (0.5, {}),
    "saturation": (0.5, COLOUR),
    "hue": (0.2, COLOUR),
    "erase": (0.9, {}),
    "small_until": (0.6, LARGER),
    "mixup": (0.4, {}),
    "cutmix": (1.0, {}),
    "epochs": (3, {}),
    "time_budget": (1e-3, {"epochs": None}),
    "batch_size": (8, {}),
    "optimizer": ("adam", {}),
    "lr": (0.01, {}),
    "sgd_lr": (1.0, {}),
    "bias_lr": (3.0, {}),
    "momentum": (0.5, {}),
    "nesterov": (False, {}),
    "renormalize": (False, {}),
    "weight_decay": (0.1, {}),
    "l1": (1e-3, {}),
    "l2": (1e-3, {}),
    "penalty_on": ("classifier.*", {"l2": 0.1}),
    "schedule": ("cosine", {}),
    "warmup": (0.7, SGD),
    "label_smoothing": (0.3, {}),
    "balance": ("sampling", {}),
    "clip_norm": (1e-3, SGD),
    "ema": (0.5, {}),
    "patience": (1, {"model": "mnist-cnn", "lr": 1e-12, "optimizer": "sgd", "epochs": 4}),
    "target_accuracy": (0.001, {"epochs": 3}),
    "reject_below": (0.6, {}),
    "error_rate": (0.3, {}),
    "pretrained": ("weights.safetensors", COLOUR),
    "freeze": (True, PRETRAINED),  # which rules out the epochs
    "unfreeze": (1, PRETRAINED),
    "model": ("mnist-cnn", {}),
    "norm": ("layer", {}),
    "stem": ("learned", {}),
    "width": (2.0, {}),
    "depth": (2, {}),
    "activation": ("gelu", {}),
    "identity": (True, {"depth": 2}),
    "logit_scale": (0.5, {}),
    "dropout": (0.5, {"model": "mnist-cnn"}),
    "small": (False, {"model": "resnet18"}),
    "one_logit": (True, {"DATA": "digits:0,1"}),
    "device": ("cuda:99", {}),
    "precision": ("bf16", {}),
    "seed": (1, {}),
    "checkpoint_every": (0.0, {}),
}
# setting, value, the settings in which nothing would read it, what is said
REFUSED: list[tuple[str, Any, dict[str, Any], str]] = [
    ("val_share", 0.2, {"DATA": "parts"}, "val_share holds pictures out"),
    ("test_share", 0.2, {}, "test_share holds pictures out"),
    ("test_share", 0.2, {"DATA": "parts"}, "test_share holds pictures out"),
    ("skip_bad", True, {}, "skip_bad is for pictures in files"),
    ("path_column", "mirror", COLOUR, "path_column"),
    ("label_column", "number", {}, "label_column"),
    ("split_column", "use", {}, "split_column"),
    ("group_column", "person", COLOUR, "group_column"),
    ("group", "a", {}, "group"),
    ("group", "a", TABLE | {"group_column": "person"}, "group-column"),
    ("fold", 1, {}, "fold"),
    ("freeze", True, {}, "nothing was pretrained"),
    ("freeze", True, PRETRAINED, "freeze rules out"),
    ("unfreeze", 1, {}, "nothing was pretrained"),
    ("width", 2.0, PRETRAINED, "width makes another network"),
    ("normalize", "picture", PRETRAINED, "normalize"),
    ("mixup", 0.2, PRETRAINED | {"epochs": None, "batch_size": None}, "mixup: read in fine-tuning alone"),
    ("dropout", 0.2, PRETRAINED | {"epochs": None, "batch_size": None}, "dropout: read in fine-tuning alone"),
    ("checkpoint_every", 1.0, PRETRAINED | {"epochs": None, "batch_size": None}, "checkpoint_every: read in fine"),
    ("reject_below", 0.5, {"error_rate": 0.3}, "both set the threshold"),
    ("error_rate", 1e-4, {}, "validation pictures or more"),
    ("val_share", 0.2, FOLD, "val_share"),
    ("alternate_flip", True, {"flip": False}, "alternate_flip needs flip"),
    ("views_below", 0.5, {"views": 1}, "views_below says which"),
    ("edges", "zero", {"shift": 0}, "edges lie beyond"),
    ("saturation", 0.5, {}, "grey"),
    ("hue", 0.1, {}, "grey"),
    ("epochs", 2, {"time_budget": 60.0}, "time_budget finds"),
    ("sgd_lr", 1.0, SGD, "sgd_lr is for optimizer muon"),
    ("renormalize", False, SGD, "renormalize is for optimizer muon"),
    ("momentum", 0.5, {"optimizer": "adam"}, "momentum is for optimizer"),
    ("nesterov", False, {"optimizer": "adamw"}, "nesterov is for optimizer"),
    ("warmup", 0.5, {}, "warmup is for schedule one-cycle"),
    ("penalty_on", "classifier.*", {}, "penalty_on says what"),
    ("patience", 2, {"DATA": "photos", "val_share": 0.0}, "patience needs a validation part"),
    ("target_accuracy", 0.9, {"DATA": "photos", "val_share": 0.0}, "target_accuracy needs a validation part"),
    ("width", 2.0, {"model": "resnet18"}, "width is for model fast"),
    ("stem", "learned", {"model": "mnist-cnn"}, "no option stem"),
    ("depth", 2, {"model": "mnist-cnn"}, "no option depth"),
    ("activation", "gelu", {"model": "mnist-cnn"}, "no option activation"),
    ("identity", True, {"model": "mnist-cnn"}, "no option identity"),
    ("logit_scale", 0.5, {"model": "mnist-cnn"}, "no option logit_scale"),
    ("small", True, {}, "no option small"),
    ("dropout", 0.5, {}, "no option dropout"),
    ("one_logit", True, {}, "one logistic output tells two classes"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Return a folder of data sets: colour pictures, some with a damaged one, in parts, in a table, and elsewhere."""
    root = tmp_path_factory.mktemp("data")
    places = ["photos", "damaged", "elsewhere/only-elsewhere", "parts/train", "parts/val", "parts/test"]
    for place in places:
        for number, name in enumerate(("cats", "dogs")):
            (root / place / name).mkdir(parents=True)
            for i in range(18):
                picture = Image.effect_noise((12, 12), 40 + 20 * i)
                tinted = Image.merge("RGB", [picture.point(lambda v, k=k: v // k) for k in (1 + number, 2, 1 + i % 3)])
                tinted.save(root / place / name / f"{i:02}.png")
    (root / "damaged" / "cats" / "bad.png").write_bytes(b"nothing")
    rows = [
        f"photos/{name}/{i:02}.png,photos/{name}/{17 - i:02}.png,{name},{i % 2},{parts[i % 6]},{i // 3}"
        for name in ("cats", "dogs")
        for i, parts in ((i, ("train", "train", "train", "train", "val", "test")) for i in range(18))
    ]
    (root / "table.csv").write_text("\n".join(["path,mirror,label,number,use,person", *rows]))
    spec = ImageSpec(channels=3, height=12, width=12, classes=("a", "b"), mean=(0.5,) * 3, std=(0.2,) * 3)
    network = Architecture(name="fast")
    save_model(root / "weights.safetensors", build(network, spec), ModelCard(architecture=network, spec=spec))
    (root / "fixes.csv").write_text("path,action,label,reason\ncats/03.png,relabel,dogs,\ndogs/04.png,exclude,,dark\n")
    return root


class Trials:
    """Runs with settings, and says in what they differ; the same settings are run once."""

    def __init__(self, data: Path, out: Path) -> None:
        self.data = data
        self.out = out
        self.outcome = cache(self._outcome)

    def of(self, settings: Mapping[str, Any]) -> Any:
        return self.outcome(tuple(sorted(settings.items())))

    def _outcome(self, items: tuple[tuple[str, Any], ...]) -> Any:
        given = {**QUICK, **dict(items)}
        name = given.pop("DATA", "digits")
        place = name if name.startswith("digits") or name == "only-elsewhere" else str(self.data / name)
        given = {key: value for key, value in given.items() if value is not None}
        given |= {key: str(self.data / given[key]) for key in ("data_dir", "fixes", "pretrained") if key in given}
        try:
            job = prepare(place, TrainSettings.parse(given), given=frozenset(given), out=self.out, name=None)
            losses = [result.train_loss for result in job.epochs()]
            job.finish()
        except StriateError as error:
            return type(error).__name__
        digest = hashlib.sha256()
        for tensor in job.model.state_dict().values():
            digest.update(tensor.detach().contiguous().numpy().tobytes())
        saved = sorted(path.name for path in job.run.checkpoints.iterdir())
        certainty = load_model(job.run.model_path).card.calibration
        return job.run.spec, job.plan.architecture, digest.hexdigest(), losses, saved, certainty


@pytest.fixture(scope="module")
def trials(data: Path, tmp_path_factory) -> Trials:
    return Trials(data, tmp_path_factory.mktemp("runs"))


def test_every_setting_is_entered_here() -> None:
    assert set(EFFECTS) == set(TrainSettings.model_fields)


@pytest.mark.parametrize("setting", EFFECTS)
def test_it_changes_something_besides_the_settings(trials: Trials, setting: str) -> None:
    value, base = EFFECTS[setting]
    assert trials.of({**base, setting: value}) != trials.of(base)


@pytest.mark.parametrize(("setting", "value", "base", "told"), REFUSED)
def test_where_nothing_would_read_it_it_is_refused_by_name(
    data: Path, tmp_path: Path, setting: str, value: Any, base: dict[str, Any], told: str
) -> None:
    given = {key: one for key, one in {**QUICK, **base, setting: value}.items() if one is not None}
    given |= {"pretrained": str(data / given["pretrained"])} if "pretrained" in given else {}
    name = given.pop("DATA", "digits")
    place = name if name == "digits" else str(data / name)
    with pytest.raises(SettingsError, match=told.replace("_", "[_-]")):  # as a setting, or as an option
        prepare(place, TrainSettings.parse(given), given=frozenset(given), out=tmp_path / "runs", name=None)
    assert not (tmp_path / "runs").exists()
