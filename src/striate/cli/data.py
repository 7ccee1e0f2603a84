"""`striate data`: which data there are, what is in them, fetching them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from striate.cli.options import merge, with_settings

app = App(name="data", help="List, show, check and fetch data sets.", help_format="plaintext")
app.command(
    "striate.cli.check:command",
    name="check",
    help="Say what is wrong with pictures before training.",
)

DataDir = Annotated[Path | None, Parameter(help="Folder that holds data sets by name.")]
AsJson = Annotated[bool, Parameter(help="Write the result as JSON.", negative="")]


@app.command(name="list")
def list_(*, data_dir: DataDir = None, json: AsJson = False) -> None:
    """List the data sets by name and where they are on this machine."""
    from striate.cli.output import print_json, stdout, table
    from striate.data.sources import SOURCES

    found = {name: SOURCES[name].find(data_dir) for name in SOURCES}
    if json:
        print_json({name: {"summary": SOURCES[name].summary, "folder": _text(found[name])} for name in SOURCES})
        return
    rows = [
        [name, SOURCES[name].summary, str(found[name] or "not here: striate data fetch " + name)] for name in SOURCES
    ]
    rows.append(["FOLDER", "your pictures: FOLDER/CLASS/*.jpg or FOLDER/{train,val,test}/CLASS/*.jpg", ""])
    rows.append(["TABLE", "your pictures: a .csv, .tsv or .parquet of their paths and labels", ""])
    stdout().print(table("", ["name", "what", "where"], rows, left=(0, 1, 2)))


@app.command
@with_settings
def show(
    data: Annotated[str, Parameter(help="A folder of pictures, a table of them, or a data set by name.")],
    /,
    *,
    figure: Annotated[Path | None, Parameter(help="Draw a contact sheet into this file (.png, .pdf, .svg).")] = None,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"], help="YAML or JSON file of settings.")] = None,
    json: AsJson = False,
    **settings: Any,
) -> None:
    """Show parts, counts, size and statistics of a folder, a table or a data set, and a contact sheet of it."""
    parsed, _ = merge(config, settings)
    from striate.cli.apart import picture_folders
    from striate.cli.output import FIGURE_SUFFIXES, print_json, require_free, stderr, stdout, table
    from striate.cli.reading import reading_shown
    from striate.data.sources import open_data
    from striate.training.plan import make_plan
    from striate.training.transfer_plan import better_side, named_weights, sized

    if figure is not None:
        require_free(figure, FIGURE_SUFFIXES, picture_folders(data, parsed.data_dir))
    weights = named_weights(parsed)
    with reading_shown(stderr()):
        splits = open_data(data, sized(parsed, weights), parsed.seed)
    trained_at = better_side(parsed, splits, weights)
    mean, std = splits.train.mean_std()
    counts = {name: part.class_counts() for name, part in splits.parts().items()}
    if figure is not None:
        from striate.explain.drawing import save_figure
        from striate.explain.sheet import contact_sheet

        plan = make_plan(parsed, splits)
        save_figure(contact_sheet(splits, plan.settings, parsed.seed, plan.spec.crop), figure)
    if json:
        classes = {name: dict(zip(splits.classes, count, strict=True)) for name, count in counts.items()}
        shape = list(splits.train.input_shape)
        print_json(
            {
                "name": splits.name,
                "shape": shape,
                "trained_at": trained_at or min(shape[1:]),
                "mean": mean,
                "std": std,
                "multi_label": splits.multi_label,
                "pictures": {name: len(part) for name, part in splits.parts().items()},
                "parts": classes,
                "notes": list(splits.notes),
            }
        )
        return
    console = stdout()
    channels, height, width = splits.train.input_shape
    read = "" if trained_at is None else f"; training with these options reads them at {trained_at}×{trained_at}"
    console.print(f"{splits.name}: {height}×{width} {'grey' if channels == 1 else 'colour'}{read}", markup=False)
    console.print(f"mean {_numbers(mean)}, std {_numbers(std)} of the training part, pixels 0 … 1")
    for note in splits.notes:
        console.print(f"note: {note}", markup=False)
    rows = [[name, *(f"{counts[part][i]:,}" for part in counts)] for i, name in enumerate(splits.classes)]
    rows.append(["all", *(f"{len(part):,}" for part in splits.parts().values())])
    console.print(table("", ["class", *counts], rows))
    if figure is not None:
        console.print(f"figure     {figure}", markup=False)


@app.command
def fetch(name: Annotated[str, Parameter(help="A data set by name.")], /, *, data_dir: DataDir = None) -> None:
    """Download a data set, with its checksums, unless it is here already."""
    from striate.data.sources import SOURCES

    source = SOURCES[name]
    (source.fetch or source.load)(data_dir)
    print(f"{name}\t{source.find(data_dir)}")


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4f}" for value in values)
