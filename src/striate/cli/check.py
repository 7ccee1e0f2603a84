"""`striate data check`: what is wrong with a data set, before training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from striate.cli.imports import importing
from striate.cli.options import merge, with_settings
from striate.core.settings import DataSettings

if TYPE_CHECKING:
    from striate.data.audit.finding import Finding
    from striate.data.audit.report import Report

EXAMPLES = 3  # cases of a finding that are shown
SHOWN = {"suspected-labels": 10}
# what decides which pictures there are and how they are read; the rest says how a network learns from them (--labels)
READ = {*DataSettings.model_fields, "model", "pretrained", "device", "seed"} - {
    "crop",
    "normalize",
    "views",
    "views_below",
}


@partial(with_settings, shown=READ)
def command(
    data: Annotated[str, Parameter(help="A folder of pictures, a table of them, or a data set by name.")],
    /,
    *,
    labels: Annotated[
        bool, Parameter(help="Look for wrong labels, too, by learning from the other pictures.", negative="")
    ] = False,
    strict: Annotated[
        bool, Parameter(help="Refuse what falsifies figures, too: copies across parts or classes.", negative="")
    ] = False,
    out: Annotated[
        Path | None, Parameter(help="New folder for manifest, findings, proposed fixes and contact sheets.")
    ] = None,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"], help="YAML or JSON file of settings.")] = None,
    json: Annotated[bool, Parameter(help="Write the result as JSON.", negative="")] = False,
    **settings: Any,
) -> None:
    """Check a data set before training: what cannot be read, is there twice, leaks from part to part, looks wrong.

    No picture is touched. Exit code 3 where training could not start, with --strict also where its figures would be
    false; else 0. The other options of striate train are accepted, too: they say how --labels learns.
    """
    parsed, _ = merge(config, settings)
    with importing():
        from striate.cli.output import print_json, stderr
        from striate.core.errors import DataError
        from striate.core.paths import to_type, user_path
        from striate.data.audit.report import check_data
        from striate.data.sources.apart import picture_folder
        from striate.training.transfer_plan import better_side, named_weights, sized

    written: list[Path] = []
    if out is not None:
        from striate.explain.check_folder import require_new_folder, write_check

        out = user_path(out)
        require_new_folder(out, picture_folder(data, parsed.data_dir))
    weights = named_weights(parsed)
    report = check_data(data, sized(parsed, weights), lambda splits: better_side(parsed, splits, weights))
    if labels and report.splits is not None:
        from striate.explain.suspects import find_suspects, suspects_finding

        suspects = find_suspects(report.splits, parsed, lambda line: stderr().print(line, markup=False))
        report = report.with_findings(suspects_finding(suspects, report.splits))
    if out is not None:
        written = write_check(report, out)
    if json:
        print_json(report.as_json())
    else:
        _show(report, written)
    refused = report.refused(strict)
    if refused:
        kinds = ", ".join(finding.kind for finding in refused)
        raise DataError(
            f"{'strictly, ' if strict else ''}training could not begin: {kinds}",
            where=data,
            fix="; ".join(dict.fromkeys(finding.remedy for finding in refused)),
        )
    if not labels and not json:
        more = to_type("striate", "data", "check", data, "--labels")
        stderr().print(f"wrong labels are looked for by  {more}", markup=False)


def _show(report: Report, written: Sequence[Path]) -> None:
    """Write how many pictures there are and what becomes of them, a row per finding, and what has been written."""
    from striate.cli.output import stdout, table

    console = stdout()
    if report.splits is not None:
        parts = {name: len(part) for name, part in report.splits.parts().items()}
        total, counts = sum(parts.values()), ", ".join(f"{name} {count:,}" for name, count in parts.items())
        console.print(
            f"{report.name}: {total:,} pictures of {len(report.splits.classes)} classes ({counts})", markup=False
        )
        fates = ", ".join(f"{count:,} {status}" for status, count in report.counts().items())
        console.print(f"files      {fates}", markup=False)
    for note in report.notes:
        console.print(f"note: {note}", markup=False)
    if report.findings:
        rows = [[finding.level, finding.kind, "\n".join(_told(finding))] for finding in report.findings]
        console.print()
        console.print(table("", ["", "finding", "what, where, and what to do"], rows, left=(0, 1, 2)))
    else:
        console.print("nothing found")
    for path in written:
        console.print(f"written    {path}", markup=False)


def _told(finding: Finding) -> Iterator[str]:
    """Yield the lines on a finding: all cases where it is in the way of training, else the first."""
    yield finding.summary
    wanted = len(finding.cases) if finding.level == "error" else SHOWN.get(finding.kind, EXAMPLES)
    for case in finding.cases[:wanted]:
        yield f"  {case.text}"
    if wanted < len(finding.cases):
        yield f"  and {len(finding.cases) - wanted:,} more"
    yield f"→ {finding.remedy}"
