"""The documents' programs: their networks and settings are those of Striate's recipes, and they stop at the target."""

from __future__ import annotations

import json
import sys
from importlib import import_module

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from benchmarks.documents.__main__ import CONTESTS
from benchmarks.documents.program import Program, few
from benchmarks.ladder import RUNGS
from benchmarks.peers.__main__ import WORK
from striate.core.settings import TrainSettings
from striate.models import Architecture, build
from striate.models.summary import parameter_count
from striate.recipes import RECIPES

SHAPES = {
    "mnist-cnn": (1, 28, 10),
    "fashion-cnn": (1, 28, 10),
    "fashion-resnet18": (1, 28, 10),
    "cifar10-cnn": (3, 32, 10),
    "bird-plane": (3, 32, 2),
    "smile-cnn": (3, 64, 2),
}
RULES = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def program_of(name: str) -> Program:
    program: Program = import_module(f"benchmarks.documents.{name.replace('-', '_')}").PROGRAM
    return program


def test_every_contest_has_its_program() -> None:
    assert set(CONTESTS) == set(SHAPES)
    assert set(WORK) <= set(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_network_is_that_of_the_recipe(name: str, make_spec) -> None:
    channels, side, classes = SHAPES[name]
    settings = RECIPES[name].settings
    options = {"small": settings["small"]} if "small" in settings else {}
    architecture = Architecture(name=settings["model"], options=options, one_logit=settings.get("one_logit", False))
    ours = build(architecture, make_spec(channels, side, classes)).eval()
    program = program_of(name)
    theirs = program.network().eval()
    assert parameter_count(ours) == sum(parameter.numel() for parameter in theirs.parameters())
    with torch.no_grad():
        for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
            its.copy_(mine)
        pictures = torch.rand(4, channels, side, side)
        labels = torch.arange(4) % classes
        logits, outputs = ours(pictures), theirs(pictures)
        torch.testing.assert_close(program.loss(outputs, labels), nn.functional.cross_entropy(logits, labels))
        assert program.decide(outputs).tolist() == logits.argmax(1).tolist()


@pytest.mark.parametrize("name", SHAPES)
def test_training_is_that_of_the_recipe(name: str) -> None:
    program, settings = program_of(name), RECIPES[name].settings
    assert (program.batch_size, program.epochs) == (settings["batch_size"], settings["epochs"])
    assert program.rule is RULES[settings["optimizer"]]
    assert program.rates["lr"] == settings["lr"]
    assert program.rates.get("momentum", 0.0) == settings.get("momentum", 0.0)


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "smile-cnn"])
def test_target_is_the_published_figure(name: str) -> None:
    assert CONTESTS[name].target == RECIPES[name].published["test"]


def test_settings_of_ours_exist() -> None:
    for settings in [one.settings for one in [*CONTESTS.values(), *WORK.values(), *RUNGS.values()]]:
        TrainSettings.parse(settings)


def separable() -> Program:
    """Return a program whose two classes differ in the sign of every pixel."""
    signs = torch.arange(64) % 2
    pictures = TensorDataset((2.0 * signs[:, None] - 1) * torch.ones(64, 4), signs)
    return Program(lambda: nn.Linear(4, 2), lambda folder: (pictures, pictures), torch.optim.SGD, {"lr": 1.0}, 8, 5)


@pytest.mark.parametrize(("target", "epochs", "reached"), [(0.99, 1, True), (1.1, 5, False)])
def test_a_program_stops_at_the_target_or_at_its_last_epoch(target, epochs, reached, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["program", "folder", "--target", str(target)])
    separable().main("A program.")
    said = json.loads(capsys.readouterr().out)
    assert said["reached"] is reached
    assert said["test_accuracy"] == [1.0] * epochs
    assert len(said["seconds"]) == len(said["training_s"]) == epochs
    assert sum(said["training_s"]) <= said["seconds"][-1] + 0.01, "measuring is left out"


def test_few_pictures_are_spread_evenly() -> None:
    pictures = TensorDataset(torch.arange(10), torch.zeros(10))
    assert [int(image) for image, _ in (few(pictures, 4)[place] for place in range(4))] == [0, 2, 5, 7]
    assert few(pictures, None) is pictures
    assert len(few(pictures, 11)) == 10
