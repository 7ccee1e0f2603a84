"""Every system of the documents is a recipe that says what it claims, is accepted, and trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import striate
from striate.cli.main import main
from striate.core.errors import SettingsError
from striate.core.settings import TrainSettings
from striate.core.spec import ImageSpec
from striate.data.sources import SOURCES
from striate.models import MODELS, Architecture, build
from striate.recipes import RECIPES, Recipe
from striate.training.plan import make_plan

# the rows of the documents' table, with what each says of held-out pictures
PUBLISHED = {
    "mnist-cnn": 0.9914, "smile-cnn": 0.8446, "mnist-convnet": 0.994, "cifar10-plain": 0.923,
    "cifar10-batchnorm": 0.967, "resnet34": None, "cifar10-cnn": 0.70, "fashion-cnn": 0.9025, "fashion-500": 0.76,
    "fashion-500-augmented": 0.7924, "fashion-resnet18": 0.9101, "bird-plane": 0.8765, "bird-plane-wide": None,
    "bird-plane-dropout": None, "bird-plane-batchnorm": 0.8805,
}  # fmt: skip
PARAMETERS = {
    "fashion-cnn": 167_114, "fashion-500": 167_114, "fashion-500-augmented": 167_114, "bird-plane": 18_090,
    "bird-plane-wide": 38_386, "bird-plane-dropout": 38_386,
}  # fmt: skip
every_recipe = pytest.mark.parametrize("recipe", [RECIPES[name] for name in RECIPES], ids=lambda recipe: recipe.name)


def on_digits(recipe: Recipe) -> str:
    return "digits:0,1" if recipe.settings.get("one_logit") or ":" in recipe.data else "digits"


def test_every_row_of_the_documents_is_there_with_its_figure() -> None:
    assert {name: RECIPES[name].published.get("test") for name in RECIPES} == PUBLISHED


@every_recipe
def test_a_recipe_is_accepted_and_says_what_it_claims_and_corrects(recipe: Recipe) -> None:
    settings = TrainSettings.parse(recipe.settings)
    TrainSettings.parse(recipe.ours)
    assert settings.model in MODELS
    assert settings.epochs is not None
    assert recipe.data.partition(":")[0] in SOURCES
    assert recipe.document in ("000", "001", "002", "003", "004")
    for figure in recipe.published.values():
        assert f"{figure:.4f}".rstrip("0") in recipe.claim
    if not recipe.published:
        assert "no figure" in recipe.claim.lower()


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_a_recipes_network_has_the_documents_parameters(name: str, parameters: int) -> None:
    grey = name.startswith("fashion")
    channels, side, classes = (1, 28, 10) if grey else (3, 32, 2)
    spec = ImageSpec(
        channels=1 if grey else 3, height=side, width=side, classes=tuple(map(str, range(classes))),
        mean=(0.0,) * channels, std=(1.0,) * channels,
    )  # fmt: skip
    settings = RECIPES[name].settings
    options = {key: settings[key] for key in ("norm", "dropout") if key in settings}
    network = build(Architecture(name=settings["model"], options=options), spec)
    assert sum(p.numel() for p in network.parameters()) == parameters


@every_recipe
def test_a_recipe_trains(recipe: Recipe, tmp_path: Path) -> None:
    changes = {"first": 40, "epochs": 1, "img_size": 28, "val_share": 0.1, "device": "cpu", "precision": "fp32"}
    if recipe.settings.get("crop"):
        changes["crop"] = 24
    colour = {"channels": 3} if recipe.settings.get("saturation") or recipe.settings.get("hue") else {}
    run = striate.train(on_digits(recipe), recipe=recipe.name, out=tmp_path, **changes, **colour)
    assert run.path.name == recipe.name
    kept = {key: value for key, value in recipe.settings.items() if key not in {**changes, "batch_size": 0}}
    settings = run.config.settings.model_dump()
    assert {key: settings[key] for key in kept} == kept
    assert run.is_finished


@every_recipe
def test_nothing_but_what_it_names_is_chosen_by_the_plan(recipe: Recipe) -> None:
    """What a document does not have, the plan must not add: all that trains is set."""
    from striate.data.sources import open_data

    settings = TrainSettings.parse({**recipe.settings, "first": None, "img_size": 64, "data_dir": None})
    plan = make_plan(settings, open_data(on_digits(recipe), settings, 0))
    assert not set(plan.reasons) - {"img_size", "channels", "val_share", "batch_size"}


def test_what_stands_in_is_used_only_where_the_published_data_are_not(
    picture_folder, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.delenv("STRIATE_DATA", raising=False)
    recipe = RECIPES["smile-cnn"]
    assert recipe.place(tmp_path)[0] == "celeba:Smiling", "whose error says which files to put where"
    root = picture_folder("smiles", smile=3, no=3).parent
    data, settings, ours = recipe.place(root)
    assert (data, settings["crop"], settings["first"], ours) == ("smiles", None, None, {})
    assert RECIPES["mnist-cnn"].place(root)[0] == "mnist"


def test_train_takes_a_recipe_and_options_win(tmp_path: Path, capsys) -> None:
    command = ["train", "digits", "--recipe", "mnist-cnn", "--first", "60", "--epochs", "2", "--device", "cpu"]
    assert main([*command, "--precision", "fp32", "--out", str(tmp_path), "--quiet"]) == 0
    config = json.loads((tmp_path / "mnist-cnn" / "config.json").read_text())
    assert (config["settings"]["epochs"], config["settings"]["optimizer"]) == (2, "adam")
    assert config["settings"]["normalize"] == "none"
    assert main(["train", "--recipe", "mnist-cn"]) == 2
    assert "mnist-cnn" in capsys.readouterr().err
    assert main(["train", "--resume", "--recipe", "mnist-cnn"]) == 2


def test_recipes_are_listed_and_shown(capsys) -> None:
    assert main(["recipes"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in PUBLISHED)
    assert main(["recipes", "cifar10-cnn"]) == 0
    assert "test loader wraps the training set" in capsys.readouterr().out
    assert main(["recipes", "--json"]) == 0
    assert {one["name"] for one in json.loads(capsys.readouterr().out)} == set(PUBLISHED)
    assert main(["recipes", "cifar"]) == 2


def test_one_logit_needs_two_classes(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="two classes"):
        striate.train("digits", one_logit=True, out=tmp_path)
