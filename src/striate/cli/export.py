"""`striate export`: a trained network as one file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from striate.cli.imports import importing

if TYPE_CHECKING:
    from striate.deploy.export.exporting import Exported


def command(
    run: Annotated[Path, Parameter(help="A run folder or a model file.")],
    /,
    *,
    format: Annotated[str, Parameter(help="onnx, torchscript or pt2.")] = "onnx",
    out: Annotated[Path | None, Parameter(help="The file [beside the model file, named like it]")] = None,
    data: Annotated[
        str | None,
        Parameter(help="Other pictures to prove it on than the run's own: a name, a folder or a table."),
    ] = None,
    part: Annotated[
        Literal["test", "val", "train"] | None, Parameter(help="Which part of them [test, else val, else all there is]")
    ] = None,
    data_dir: Annotated[Path | None, Parameter(help="Folder that holds data sets by name.")] = None,
    any_size: Annotated[
        bool, Parameter(help="Take pictures of any size; they are resized in the file.", negative="")
    ] = False,
    int8: Annotated[
        bool, Parameter(help="Compute in 8 bits; refused where that costs more than 0.3 points.", negative="")
    ] = False,
    json: Annotated[bool, Parameter(help="Write the result as JSON.", negative="")] = False,
) -> None:
    """Write a network as one file that other programs run, from pixels to probabilities.

    Crop, normalisation, views, temperature, the rules of rejection and the class names are inside. Before the file is
    kept it is read back and run on up to 1,000 pictures; where a probability differs from the network's by more than
    0.0001, nothing is written and the exit code is 4. Beside it lie the proof (.proof.json) and five pictures with the
    answers to them, for readers in other languages (.vectors.json).
    """
    with importing():
        from striate.cli.apart import picture_folders
        from striate.cli.output import print_json, stderr
        from striate.cli.reading import reading_shown
        from striate.cli.stopping import stopping
        from striate.core.paths import user_path
        from striate.data.sources.apart import require_apart
        from striate.deploy.export.exporting import default_place, export
        from striate.deploy.export.formats import FORMATS

    source = user_path(run, "a run folder or a model file")
    FORMATS.require(format, "--format")
    place = default_place(source, FORMATS[format].suffix, int8) if out is None else user_path(out)
    if out is not None:
        require_apart(out, picture_folders(data, data_dir, [run]))
    with stopping(place), reading_shown(stderr()):
        made = export(run, format, out=out, data=data, part=part, data_dir=data_dir, any_size=any_size, int8=int8)
    for note in made.notes:
        stderr().print(f"note: {note}", markup=False)
    if json:
        print_json({**made.summary(), "path": str(made.path)})
    else:
        _show(made, run)


def _show(made: Exported, run: Path) -> None:
    from striate.cli.output import stdout
    from striate.core.paths import to_type
    from striate.deploy.export.files import proof_place, vectors_place

    size = _mib(made.size) + (f", {_mib(made.float_size)} in float" if made.float_size else "")
    lines = [("export", f"{made.path}  {size}")]
    if made.int8 is not None:
        after, before = 100 * made.int8.after, 100 * made.int8.before
        lines.append(("int8", f"{after:.2f} % right of {made.int8.pictures:,} pictures, {before:.2f} % in float"))
    lines += [
        ("proof", _proof_line(made)),
        ("speed", _speed_line(made)),
        ("files", f"{proof_place(made.path)}"),
        ("", f"{vectors_place(made.path)}"),
        ("next", f"{to_type('striate', 'predict', run)} PICTURE… gives the network's own answers"),
    ]
    for name, line in lines:
        stdout().print(f"{name:<10} {line}", markup=False)


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _proof_line(made: Exported) -> str:
    from striate.data.audit.finding import of

    proof, total = made.proof, made.proof.pictures
    classes = "all classes the same" if proof.same_classes == total else f"{proof.same_classes:,} classes the same"
    flags = {"accepted": proof.same_accepted, "unknown": proof.same_unknown}
    others = "".join(
        f", '{name}' differs for {total - same:,}" for name, same in flags.items() if same is not None and same < total
    )
    differ = f"probabilities differ by {proof.max_probability_difference:.1g} at most"
    sizes = f", {proof.other_sizes:,} of them at other sizes" if proof.other_sizes else ""
    return f"{of(total, 'picture')} ({proof.part}){sizes}: {differ}, {classes}{others}"


def _speed_line(made: Exported) -> str:
    told = []
    for size, seconds in made.seconds.items():
        beside = [f"{1000 * made.torch_seconds[size]:.3g} in torch"]
        if made.float_seconds:
            beside.insert(0, f"{1000 * made.float_seconds[size]:.3g} in float")
        how = "alone" if size == 1 else f"in batches of {size}"
        told.append(f"{1000 * seconds:.3g} ms a picture {how} ({', '.join(beside)})")
    return ", ".join(told)
