"""`striate recipes` and `striate reproduce`: the documents' systems, listed and run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from striate.core.errors import Interrupted, SettingsError
from striate.core.paths import user_path

if TYPE_CHECKING:
    from striate.recipes.result import Row

AsJson = Annotated[bool, Parameter(help="Write the result as JSON.", negative="")]
DataDir = Annotated[Path | None, Parameter(help="Folder that holds data sets by name.")]


def recipes(
    name: Annotated[str | None, Parameter(help="A recipe; all are listed without.")] = None,
    /,
    *,
    json: AsJson = False,
) -> None:
    """List the recipes, or show one: what was claimed, what was corrected, its settings."""
    from dataclasses import asdict

    from striate.cli.output import print_json, stdout, table
    from striate.recipes import RECIPES
    from striate.recipes.result import measured

    chosen = [RECIPES[one] for one in ([name] if name else RECIPES)]
    rows, machine = measured()
    if json:
        keys = ("name", "document", "data", "published", "claim", "settings", "ours", "seeds")
        print_json([{**{key: getattr(one, key) for key in keys}, "measured": asdict(rows[one.name])} for one in chosen])
        return
    if name:
        (one,) = chosen
        given = " ".join(f"{key}={value}" for key, value in one.settings.items())
        row = rows[name]
        print(f"{one.name} (document {one.document})\n\n{one.claim}\n\ndata: {one.data}\nsettings: {given}\n")
        settings = " ".join(f"{key}={value}" for key, value in one.ours.items()) or "no option but the data's name"
        print(f"measured on {row.data}, {machine}, times without start and final measuring:")
        print(f"  as above  {row.document}\n  ours      {row.ours}, by {settings}")
        return
    lines = [
        [one.name, one.document, one.data, f"{one.published['test']:.4f}" if "test" in one.published else "none"]
        + [f"{outcome.accuracy:.4f}" for outcome in (rows[one.name].document, rows[one.name].ours)]
        for one in chosen
    ]
    head = ["recipe", "document", "data", "published", "measured", "ours"]
    stdout().print(table("", head, lines, left=(0, 1, 2)))
    print(f"measured: the document's system on {machine}")


def reproduce(
    names: Annotated[list[str] | None, Parameter(help="Recipes; all of them by default.")] = None,
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder of the runs, the table and the figure.")] = Path("reproduction"),
    quick: Annotated[bool, Parameter(help="One epoch on 2,000 pictures: does everything run?", negative="")] = False,
    data_dir: DataDir = None,
    device: Annotated[str, Parameter(help="auto, cpu, cuda or mps.")] = "auto",
    json: AsJson = False,
) -> None:
    """Run the documents' systems and ours for the same data; table and figure are written after each recipe.

    What the folder holds already is not run again, and what was stopped there goes on.
    """
    from striate.cli.output import print_json, stderr
    from striate.core.device import choose_device, describe_machine
    from striate.explain.drawing import save_figure
    from striate.recipes import RECIPES
    from striate.recipes.figure import reproduction_figure
    from striate.recipes.reproduce import reproduce as run_all
    from striate.recipes.result import as_json, table, together
    from striate.runs.atomic import replace_file

    chosen = names or list(RECIPES)
    twice = sorted({name for name in chosen if chosen.count(name) > 1})
    if twice:
        raise SettingsError(f"named twice: {', '.join(twice)}", where="NAMES", fix="name each recipe once")
    out = user_path(out)
    machine = describe_machine(choose_device(device))
    kept = _kept(out / "reproduction.json", quick)
    rows: list[Row] = []
    for name in chosen:
        stderr().print(f"{len(rows) + 1}/{len(chosen)}  {name} …")
        try:
            (row,) = run_all([name], out, quick=quick, data_dir=data_dir, device=device)
        except Interrupted as stopped:
            number = stopped.exit_code - 128
            raise Interrupted(number, stopped.what, fix="the same command again goes on from there") from None
        rows.append(row)
        stderr().print(f"     {row.document.accuracy:.4f} as the document means it, {row.ours.accuracy:.4f} ours")
        everything = together(kept, rows)
        replace_file(out / "reproduction.json", _encoded(as_json(everything, machine)))
        replace_file(out / "reproduction.md", (table(everything) + "\n").encode())
        save_figure(reproduction_figure(everything), out / "reproduction.png")
    if json:
        print_json(as_json(rows, machine))
    else:
        print(table(rows))
        print(f"\n{out / 'reproduction.md'}, {out / 'reproduction.json'}, {out / 'reproduction.png'}")


def _kept(path: Path, quick: bool) -> list[Row]:
    """Return the rows of an earlier reproduction of the same kind in the same folder."""
    from json import loads

    from striate.recipes.result import from_json

    if not path.is_file():
        return []
    try:
        return [row for row in from_json(loads(path.read_bytes())) if row.quick == quick]
    except (ValueError, KeyError, TypeError):
        raise SettingsError(
            "not a table of reproductions, or damaged", where=path, fix="remove it: the runs beside it are kept"
        ) from None


def _encoded(value: object) -> bytes:
    from json import dumps

    return (dumps(value, indent=1) + "\n").encode()
