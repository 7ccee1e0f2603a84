"""What the check of a data set leaves behind: its findings, every file's fate, proposals, and sheets to look at."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from striate.core.errors import SettingsError
from striate.data.audit.pictures import Pictures
from striate.data.audit.proposals import proposed_fixes
from striate.data.audit.report import Report
from striate.data.fixes import fixes_text
from striate.data.sources.apart import require_apart
from striate.runs.atomic import naming_disk_errors, replace_file

MANIFEST, FINDINGS, FIXES = "manifest.csv", "findings.json", "fixes.csv"


def require_new_folder(out: Path, data: Path | None) -> None:
    """Refuse a folder that has something in it, or that lies among the pictures.

    Raises:
        SettingsError: One or the other.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingsError("there is something already", where=out, fix="name a new folder")
    require_apart(out, [data])


def write_check(report: Report, out: Path) -> list[Path]:
    """Write manifest.csv, findings.json, fixes.csv and a sheet of each kind with pictures; return the files.

    `fixes.csv` holds proposals: it changes nothing until somebody trains with `--fixes`.
    """
    with naming_disk_errors(out, 0):
        out.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["path", "part", "class", "status", "reason"])
    writer.writerows(report.files)
    content = {
        MANIFEST: text.getvalue().encode("utf-8", "surrogateescape"),
        FINDINGS: (json.dumps(report.as_json(), indent=1) + "\n").encode(),
        FIXES: fixes_text(proposed_fixes(report.findings, report.files)),
    }
    for name, data in content.items():
        replace_file(out / name, data)
    return [*(out / name for name in content), *_write_sheets(report, out)]


def _write_sheets(report: Report, out: Path) -> list[Path]:
    if report.splits is None:
        return []
    from striate.explain.drawing import save_figure
    from striate.explain.finding_sheet import finding_sheet

    pictures = Pictures(report.splits)
    numbers = {name: number for number, name in enumerate(pictures.names)}
    written = []
    for finding in report.findings:
        figure = finding_sheet(finding, pictures, numbers)
        if figure is not None:
            save_figure(figure, out / f"{finding.kind}.png")
            written.append(out / f"{finding.kind}.png")
    return written
