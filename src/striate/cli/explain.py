"""`striate explain`: what a trained network has learned, why it decided so, and where it fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from striate.cli.given import given_pictures
from striate.cli.imports import importing
from striate.core.errors import DataError, ResourceError, SettingsError, StriateError
from striate.core.paths import is_there, to_type, user_path

if TYPE_CHECKING:
    from striate.deploy.explaining import Opened
    from striate.explain.report.making import Made
    from striate.explain.subject import Subject


def command(
    run: Annotated[Path, Parameter(help="A run folder or a model file.")],
    images: Annotated[list[Path] | None, Parameter(help="Pictures to explain, or folders of pictures.")] = None,
    /,
    *,
    only: Annotated[
        list[str] | None, Parameter(help="The chapters to make [all]", consume_multiple=True, negative="")
    ] = None,
    part: Annotated[
        Literal["test", "val", "train"] | None,
        Parameter(help="Which part of the labelled pictures [test, else val, else all there is]"),
    ] = None,
    layer: Annotated[str | None, Parameter(help="The stage or module to look at [chosen by each chapter]")] = None,
    data: Annotated[
        str | None, Parameter(help="Labelled pictures, for a model file alone or in place of the run's own.")
    ] = None,
    data_dir: Annotated[Path | None, Parameter(help="Folder that holds data sets by name.")] = None,
    device: Annotated[str, Parameter(help="auto, cpu, cuda or mps.")] = "auto",
    out: Annotated[
        Path | None,
        Parameter(help="Folder of the figures and the report [the run, or a folder in it; MODEL-explained]"),
    ] = None,
    json: Annotated[bool, Parameter(help="Write the result as JSON.", negative="")] = False,
) -> int:
    """Write figures of what the network has learned, why it decided so and where it fails, and a report of them all.

    Figures go to figures/NAME.png, the report to report.html; chapters that were made before stay in it. Other
    pictures than the run's own (--data, --part, or some of yours) get a folder in the run: explained-NAME. What was
    found and what is to be minded is printed. A chapter or picture that was asked for and cannot be explained is
    named on stderr, and the exit code is that of its error.
    """
    with importing():
        from striate.cli.apart import picture_folders
        from striate.cli.output import print_json, stderr
        from striate.cli.reading import reading_shown
        from striate.data.sources.apart import require_apart
        from striate.deploy.explaining import open_subject
        from striate.explain.chapters import OF_PICTURES, chosen_names
        from striate.explain.report.making import make
        from striate.explain.report.page import NAME, Page, write_page
        from striate.explain.report.place import folder_for, replaces_report

    _require_names(run, only)
    names = chosen_names(only)
    path, console = user_path(run), stderr()
    apart = [*(one for one in images or [] if one.is_dir()), *picture_folders(data, data_dir, [path])]
    folder = path if out is None else user_path(out)
    if folder != path or not path.is_dir():
        require_apart(folder if out is not None else Path.cwd() / f"{path.stem}-explained", apart)
    refused: list[StriateError] = []
    ignored: list[tuple[str, str]] = []
    pictures = list(given_pictures(images, refused.append, ignored)) if images else None
    with reading_shown(console):
        opened = open_subject(
            path, pictures or None, data=data, part=part, data_dir=data_dir, layer=layer, device=device
        )
    refused += opened.refused
    _tell_notes(opened, ignored, refused)
    if images and opened.subject.given is None:
        return DataError.exit_code
    subject = opened.subject
    if images and not any(name in OF_PICTURES for name in names):
        subject = replace(subject, given=None)
        console.print(f"note: the pictures are not looked at: that do {', '.join(OF_PICTURES)}", markup=False)
    if out is None:
        folder = folder_for(subject, path, data, _other_part(subject, data, part))
    if replaces_report(folder, subject):
        console.print(
            f"note: the report in {folder}, of other pictures or an earlier version, is replaced", markup=False
        )
    _make_folder(folder / "figures")
    pictures_named = images if images and subject.given is not None else []
    options = {"--part": part, "--data": data, "--data-dir": data_dir, "--out": out}
    words = [word for option, value in options.items() if value is not None for word in (option, value)]
    page = Page(subject, asked=names, pictures=pictures_named, options=words)
    told: list[dict[str, Any]] = []
    for name in names:
        try:
            made = make(subject, name, "full")
        except StriateError as error:
            page.refused[name] = error
            told.append({"name": name, "error": str(error)})
            console.print(f"{'error' if only else 'note'}: {name}: {error}", markup=False)
            refused += [error] if only else []
            continue
        files = _write_figures(made, folder / "figures")
        page.sections[name] = made.section
        told.append(_values(made, files))
        if not json:
            _tell(made, files)
        write_page(page, folder / NAME, path)  # who ends it here has what was made so far
    write_page(page, folder / NAME, path)
    if json:
        print_json({"report": str(folder / NAME), "chapters": told})
    else:
        print(f"report        {folder / NAME}")
    if not page.sections:
        refused += page.refused.values()
    return refused[0].exit_code if refused else 0


def _require_names(run: Path, only: list[str] | None) -> None:
    """Refuse pictures that stand after --only, where they would be names of chapters."""
    from striate.explain.chapters import FILES

    names = [name for name in only or [] if name and name not in FILES]
    files = [name for name in names if Path(name).suffix or "/" in name or is_there(Path(name))]
    if files:
        rest = [name for name in only or [] if name not in files]
        command = to_type("striate", "explain", run, *files, *(["--only", *rest] if rest else []))
        raise SettingsError("no chapter", where=", ".join(files), fix=f"pictures come before --only: {command}")


def _other_part(subject: Subject, data: str | None, part: str | None) -> str | None:
    """Return the part that was asked for, None where it is the one that would be taken unasked."""
    from striate.deploy.labelled import BEST_FIRST

    unasked = next((name for name in BEST_FIRST if name in subject.parts), None)
    return None if data is None and part == unasked else part


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(
            f"folder cannot be made ({error.strerror})", where=folder, fix="use another --out"
        ) from None


def _tell_notes(opened: Opened, ignored: list[tuple[str, str]], refused: list[StriateError]) -> None:
    from striate.cli.output import stderr
    from striate.data.sources.scan import ignored_summary

    console = stderr()
    for note in [*opened.notes, *ignored_summary(ignored)]:
        console.print(f"note: {note}", markup=False)
    for error in refused:
        console.print(f"error: {error}", markup=False)


def _write_figures(made: Made, folder: Path) -> list[Path]:
    from striate.explain.report.images import png
    from striate.runs.atomic import replace_file

    files = []
    for plate in made.chapter.plates:
        file = folder / f"{plate.name}.png"
        replace_file(file, png(made.images[plate.name], plate.figure.dpi))
        files.append(file)
    for name, data in made.chapter.files.items():
        replace_file(folder / name, data)
        files.append(folder / name)
    return files


def _values(made: Made, files: list[Path]) -> dict[str, Any]:
    chapter = made.chapter
    return {
        "name": chapter.name,
        "title": chapter.title,
        "figures": [str(file) for file in files],
        "text": list(chapter.text),
        "values": dict(chapter.values),
        "warnings": list(chapter.warnings),
    }


def _tell(made: Made, files: list[Path]) -> None:
    from striate.cli.output import stderr, stdout

    chapter, console = made.chapter, stdout()
    number = f"{len(files)} figure{'' if len(files) == 1 else 's'}" if files else "no figure"
    console.print(f"{chapter.name:<14}{chapter.title}: {number}", markup=False)
    for line in chapter.text:
        console.print(f"              {line}", markup=False)
    for file in files:
        console.print(f"              {file}", markup=False)
    for warning in chapter.warnings:
        stderr().print(f"warning: {chapter.name}: {warning}", markup=False)
