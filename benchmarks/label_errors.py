"""Wrong labels and copies planted in photographs: how many of them `striate data check --labels` finds.

    python -m benchmarks.label_errors --rounds 3

A temporary folder of links to cifar10-jpeg's training pictures, nine tenths of them as a training and one tenth as a
test part. 8 % of the labels are turned at random to another class; pictures of the training part are linked into the
test part once more, and as many saved there again as JPEG of quality 60. All is drawn from the round's seed.

The labels: the share of turned ones among the most suspected, as many as were turned (precision); the share of the
turned ones that are suspected at all (recall); how many are suspected. The set has wrong labels and copies of its own,
which count as false here. The copies: how many of the planted ones are told, and how many pairs are told in all.

Writes results/label_errors.json. --quick is one round of 2,000 pictures instead of 10,000.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean

import numpy as np
from PIL import Image

from benchmarks.contest import data_folder, in_turn, is_here, keep, print_header, print_row, read_options, say
from striate.core.settings import TrainSettings
from striate.data.audit.finding import Finding
from striate.data.audit.report import check_data
from striate.explain.suspects import find_suspects, suspects_finding

DATA = "cifar10-jpeg"
TURNED, COPIES = 0.08, 0.01  # shares of the pictures
QUALITY = 60
PICTURES = {"full": 10_000, "quick": 2_000, "rehearsal": 200}


@dataclass(frozen=True)
class Planted:
    """What was done to the folder: pictures of turned labels, and copies with what they are copies of."""

    turned: set[str]
    equal: set[frozenset[str]]
    saved_again: set[frozenset[str]]


@dataclass(frozen=True)
class Outcome:
    """What was found of it.

    Args:
        precision: Share of turned labels among the most suspected, as many as were turned.
        recall: Share of the turned labels that are suspected.
        suspected: Labels.
        equal, saved_again: Shares of the planted copies that are told.
        other_pairs: Pairs of copies told that were not planted.
        check_s, labels_s: Seconds of the check, and of looking for wrong labels.
        judge: What the labels were judged by.
    """

    pictures: int
    turned: int
    precision: float
    recall: float
    suspected: int
    equal: float
    saved_again: float
    other_pairs: int
    check_s: float
    labels_s: float
    judge: str


def plant(source: Path, folder: Path, pictures: int, seed: int) -> Planted:
    """Fill a folder with links to pictures, some under a wrong class and some twice; return which."""
    rng = np.random.default_rng(seed)
    classes = sorted(path.name for path in source.iterdir() if path.is_dir())
    chosen: list[tuple[str, Path]] = []
    for name in classes:
        files = sorted((source / name).iterdir())
        few = rng.choice(len(files), pictures // len(classes), replace=False)
        chosen += [(name, files[number]) for number in few]
    order = rng.permutation(len(chosen))
    wrong = set(order[: round(TURNED * len(chosen))].tolist())
    held_out = set(rng.permutation(len(chosen))[: len(chosen) // 10].tolist())
    places: list[Path] = []
    for number, (name, file) in enumerate(chosen):
        if number in wrong:
            name = str(rng.choice([other for other in classes if other != name]))
        place = folder / ("test" if number in held_out else "train") / name / f"{number:05}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file)
        places.append(place)
    rightly = [number for number in order.tolist() if number not in wrong and number not in held_out]
    count = max(1, round(COPIES * len(chosen)))
    equal: set[frozenset[str]] = set()
    saved_again: set[frozenset[str]] = set()
    for number in rightly[: 2 * count]:
        again = folder / "test" / places[number].parent.name / f"copy-{places[number].name}"
        again.parent.mkdir(parents=True, exist_ok=True)
        pair = frozenset(str(path.relative_to(folder)) for path in (places[number], again))
        if len(equal) < count:
            again.symlink_to(chosen[number][1])
            equal.add(pair)
        else:
            with Image.open(chosen[number][1]) as picture:
                picture.save(again, quality=QUALITY)
            saved_again.add(pair)
    return Planted({str(places[number].relative_to(folder)) for number in wrong}, equal, saved_again)


def pairs_told(findings: Sequence[Finding]) -> set[frozenset[str]]:
    """Return all pairs of pictures that are told as copies of each other."""
    copies = [case.names for finding in findings if "duplicates" in finding.kind for case in finding.cases]
    return {frozenset(pair) for names in copies for pair in combinations(names, 2)}


def measure(source: Path, pictures: int, seed: int) -> Outcome:
    """Plant and look for it once."""
    settings = TrainSettings(seed=seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "pictures")
        planted = plant(source, folder, pictures, seed)
        started = time.perf_counter()
        report = check_data(str(folder), settings)
        checked = time.perf_counter()
        assert report.splits is not None
        suspects = find_suspects(report.splits, settings, say)
        ended = time.perf_counter()
        findings = suspects_finding(suspects, report.splits)
    ranked = [case.names[0] for finding in findings for case in finding.cases]
    first = ranked[: len(planted.turned)]
    told = pairs_told(report.findings)
    return Outcome(
        pictures=sum(len(part) for part in report.splits.parts().values()),
        turned=len(planted.turned),
        precision=len(planted.turned.intersection(first)) / len(planted.turned),
        recall=len(planted.turned.intersection(ranked)) / len(planted.turned),
        suspected=len(ranked),
        equal=len(told & planted.equal) / len(planted.equal),
        saved_again=len(told & planted.saved_again) / len(planted.saved_again),
        other_pairs=len(told - planted.equal - planted.saved_again),
        check_s=round(checked - started, 2),
        labels_s=round(ended - checked, 2),
        judge=suspects.judge,
    )


def main() -> None:
    """Measure every round, a row for the means."""
    options = read_options(__doc__, [DATA], quick=[DATA])
    if not is_here(DATA):
        return
    folder = data_folder(DATA)
    assert folder is not None
    pictures = PICTURES[options.size]
    runs = in_turn({DATA: lambda seed: measure(folder / "train", pictures, seed)}, options.rounds)[DATA]
    print_header("pictures", "turned", "precision", "recall", "suspected", "copies", "saved again", "check", "labels")
    print_row(
        f"{runs[0].pictures:,}",
        f"{runs[0].turned:,}",
        *(f"{mean(values):.3f}" for values in ([r.precision for r in runs], [r.recall for r in runs])),
        f"{mean(run.suspected for run in runs):,.0f}",
        *(f"{mean(values):.3f}" for values in ([r.equal for r in runs], [r.saved_again for r in runs])),
        *(f"{mean(values):.1f} s" for values in ([r.check_s for r in runs], [r.labels_s for r in runs])),
    )
    keep("label_errors", options.size, DATA, {}, runs=[asdict(run) for run in runs])


if __name__ == "__main__":
    main()
