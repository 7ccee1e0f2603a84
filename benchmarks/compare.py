"""Which ratios fell? What was measured now beside what is committed.

    python -m benchmarks.compare --share 0.2

Compares every file in benchmarks/results with the one of that name in a commit, ratio by ratio: seconds depend on
the machine and on what else it does, ratios measured side by side far less. Exit status 1 where one fell by more than
the share.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.contest import RESULTS, contests_in, print_header, print_row

MACHINE = ("processor", "cores", "device_name", "torch")  # where one differs, ratios may


@dataclass(frozen=True)
class Change:
    """One ratio, as it was kept and as it is now; None where there is none."""

    contest: str
    ratio: str
    kept: float | None
    now: float | None

    def fell(self, share: float) -> bool:
        """Return whether it is less than (1 − share) times what it was; what is missing on a side did not fall."""
        return self.kept is not None and self.now is not None and self.now < (1 - share) * self.kept


def changes(kept: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Return every ratio that differs between two results, contests by name, in the newer one's order."""
    found = []
    for contest in [*now, *(name for name in kept if name not in now)]:
        before, after = (results.get(contest, {}).get("ratios", {}) for results in (kept, now))
        names = [*after, *(name for name in before if name not in after)]
        found += [Change(contest, name, before.get(name), after.get(name)) for name in names]
    return [change for change in found if change.kept != change.now]


def other_machine(kept: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a line for each contest that was measured on another machine than before."""
    lines = []
    for contest in [name for name in now if name in kept]:
        before, after = kept[contest]["machine"], now[contest]["machine"]
        told = [f"{key} {before.get(key)} → {after.get(key)}" for key in MACHINE if before.get(key) != after.get(key)]
        lines += [f"{contest}: another machine ({', '.join(told)})"] if told else []
    return lines


def committed(name: str, revision: str) -> dict[str, dict[str, Any]]:
    """Return the contests in a file of results as it is in a commit; none where it is not there."""
    place = f"{revision}:./{name}"
    shown = subprocess.run(["git", "show", place], cwd=RESULTS, capture_output=True, text=True)
    return contests_in(shown.stdout) if shown.returncode == 0 else {}


def main() -> int:
    """Write every changed ratio; return 1 where one fell too far."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.2, help="by which a ratio may fall [0.2]")
    parser.add_argument("--against", default="HEAD", metavar="REVISION", help="the commit to compare with [HEAD]")
    options = parser.parse_args()
    print_header("results", "contest", "ratio", "kept", "now", "")
    fell = 0
    notes = []
    for file in sorted(RESULTS.glob("*.json")):
        kept, now = committed(file.name, options.against), contests_in(file.read_text())
        notes += [f"{file.stem}: {line}" for line in other_machine(kept, now)]
        for change in changes(kept, now):
            bad = change.fell(options.share)
            fell += bad
            values = ("–" if value is None else f"{value:g}" for value in (change.kept, change.now))
            print_row(file.stem, change.contest, change.ratio, *values, "fell" if bad else "")
    print("\n".join(["", *notes, f"{fell} ratios fell by more than {100 * options.share:g} %"]))
    return int(fell > 0)


if __name__ == "__main__":
    sys.exit(main())
