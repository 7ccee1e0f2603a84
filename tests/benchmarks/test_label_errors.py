"""What the benchmark of label errors plants is there, and what it counts is what was found of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import label_errors
from benchmarks.label_errors import measure, pairs_told, plant
from striate.data.audit.finding import Case, Finding
from striate.explain.suspects import Suspects


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two classes of 30 pictures of somewhat blurred noise, which JPEG keeps as it keeps photographs."""
    rng = np.random.default_rng(2)
    for name in ("ants", "bees"):
        (tmp_path / "source" / name).mkdir(parents=True)
        for number in range(30):
            noise = Image.fromarray(rng.integers(0, 256, (20, 20), dtype=np.uint8))
            picture = noise.resize((32, 32), Image.Resampling.BICUBIC).convert("RGB")
            picture.save(tmp_path / "source" / name / f"{number}.jpg", quality=95)
    return tmp_path / "source"


def test_labels_are_turned_and_copies_planted_without_touching_the_pictures(source: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in source.rglob("*.jpg")}
    planted = plant(source, tmp_path / "made", 50, seed=1)
    links = {str(p.relative_to(tmp_path / "made")): p for p in (tmp_path / "made").rglob("*.jpg")}
    own = {name: path for name, path in links.items() if "copy" not in name}
    assert len(own) == 50
    wrong = {name for name, path in own.items() if path.resolve().parent.name != path.parent.name}
    assert wrong == planted.turned
    assert len(wrong) == 4
    for pair in planted.equal | planted.saved_again:
        first, again = (links[name] for name in sorted(pair, key=lambda name: "copy" in name))
        assert (first.parts[-3], again.parts[-3]) == ("train", "test")
        assert (first.read_bytes() == again.read_bytes()) == (pair in planted.equal)
    assert {path: path.read_bytes() for path in source.rglob("*.jpg")} == before
    assert plant(source, tmp_path / "again", 50, seed=1) == planted


def test_pairs_are_those_of_all_findings_of_copies() -> None:
    findings = [
        Finding("duplicates", "note", "", "", [Case(("a", "b", "c"))]),
        Finding("near-duplicates-across-parts", "falsifies", "", "", [Case(("d", "e"))]),
        Finding("blank", "warning", "", "", [Case(("f",))]),
    ]
    assert pairs_told(findings) == {frozenset(pair) for pair in ("ab", "ac", "bc", "de")}


def test_the_figures_are_the_shares_of_what_was_planted(source: Path, monkeypatch) -> None:
    trained: list[int] = []

    def guess(splits, settings, told):  # suspects every picture of the training part, in order
        trained.append(len(splits.train))
        labels = torch.cat([part.labels for part in splits.parts().values()])
        probabilities = torch.nn.functional.one_hot(1 - labels, 2).float()
        return Suspects(torch.arange(len(splits.train)), labels, probabilities, splits.classes, "nobody")

    monkeypatch.setattr(label_errors, "find_suspects", guess)
    outcome = measure(source, 50, seed=1)
    assert outcome.turned == 4
    assert [outcome.suspected] == trained
    assert 0 <= outcome.precision <= outcome.recall <= 1
    assert outcome.equal == 1.0
    assert outcome.saved_again == 1.0
    assert outcome.pictures == 52
