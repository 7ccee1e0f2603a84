"""Finds the verb, runs it, and turns errors into messages and exit codes; `entry.py` is where the program begins."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from itertools import pairwise

from cyclopts import App, CycloptsError

from striate.core.errors import Interrupted, ResourceError, SettingsError, StriateError
from striate.core.names import in_a_message
from striate.core.paths import STDIN, to_type
from striate.version import __version__

app = App(
    name="striate",
    help="Train, explain and ship convolutional image classifiers. Start with: striate demo",
    help_epilogue="--debug, anywhere on the line, adds the Python traceback to an error's message.",
    version=__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
# named by their import paths: a verb's own imports wait until it is used
app.command("striate.cli.train:command", name="train", help="Train on a data set, or a folder or table of pictures.")
app.command("striate.cli.evaluate:command", name="evaluate", help="Measure a trained network on pictures with labels.")
app.command("striate.cli.predict:command", name="predict", help="Classify pictures.")
app.command("striate.cli.export:command", name="export", help="Write a network as one file for other programs.")
app.command("striate.cli.serve:command", name="serve", help="Serve a trained network over HTTP.")
app.command(
    "striate.cli.explain:command",
    name="explain",
    help="Show what a network has learned, why it decides so, where it fails.",
)
app.command("striate.cli.compare:command", name="compare", help="Say what differs between runs, and which is better.")
app.command("striate.cli.curves:command", name="curves", help="Compare how runs learned, in a table and a figure.")
app.command("striate.cli.inspect:command", name="inspect", help="Show a network, layer by layer.")
app.command("striate.cli.data:app", name="data", help="List, show, check and fetch data sets.")
app.command("striate.cli.recipes:recipes", name="recipes", help="List the documents' systems.")
app.command("striate.cli.recipes:reproduce", name="reproduce", help="Run the documents' systems beside ours.")
app.command("striate.cli.convolve:command", name="convolve", help="Draw how a kernel or pooling window slides.")
app.command("striate.cli.style:command", name="style", help="Paint one picture in the style of another.")
app.command("striate.cli.doctor:command", name="doctor", help="Say what this machine has and what is missing.")
app.command("striate.cli.demo:command", name="demo", help="Train on the embedded digits, and say what to do next.")


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    _prepare_streams()
    debug = "--debug" in arguments
    arguments = _spell_out_resume([argument for argument in arguments if argument != "--debug"])
    try:
        _require_values(arguments)
        arguments = _spell_out_stdin(arguments)
        result = app(
            arguments,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        _write_out()
        return result if isinstance(result, int) else 0
    except CycloptsError as error:
        verb = to_type("striate", *(error.command_chain or ()), "--help")
        print(f"error: {error}\nfix: {verb}", file=sys.stderr)
        return 2
    except StriateError as error:
        if debug:
            traceback.print_exc()
        told = in_a_message(str(error))
        print(told if isinstance(error, Interrupted) else f"error: {told}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        _abandon_stdout()
        return 0
    except OSError as error:  # what the system refuses is the machine's matter, wherever it comes up
        if debug:
            traceback.print_exc()
        where = "" if error.filename is None else f": {in_a_message(str(error.filename))}"
        _abandon_stdout()
        print(
            f"error: {error.strerror or error}{where}\nfix: check the path, its permissions and the free space",
            file=sys.stderr,
        )
        return ResourceError.exit_code
    except MemoryError:
        print("error: out of memory\nfix: use smaller pictures or batches, or end other programs", file=sys.stderr)
        return ResourceError.exit_code
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(
            f"error: our own mistake: {type(error).__name__}: {error}\nfix: report it with --debug",
            file=sys.stderr,
        )
        return 1


def _prepare_streams() -> None:
    """Make sure that names can be written which the streams' encoding lacks, and that nobody writes but us."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of odd metadata, without a file's name
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _write_out() -> None:
    """Write what is left in stdout's buffer; of an error it says where."""
    try:
        sys.stdout.flush()
    except OSError as error:
        error.filename = "standard output"
        raise


def _abandon_stdout() -> None:
    """Let what is left in stdout's buffer go: writing it at exit would fail a second time."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _require_values(arguments: list[str]) -> None:
    """Refuse an empty name, which would be the current folder's; for a table's column it says that there is none."""
    for before, argument in pairwise(["", *arguments]):
        option, equals, value = argument.partition("=")
        if not option.startswith("--"):
            option, equals, value = before, "", argument
        if not value and (equals or not argument) and not option.endswith("-column"):
            where = f"{option} ''" if option.startswith("-") else "''"
            raise SettingsError("an empty name", where=where, fix="give a name; that of the current folder is .")


def _spell_out_stdin(arguments: list[str]) -> list[str]:
    """Let `-` stand for standard input where it is read, once by `predict`; elsewhere it is a SettingsError."""
    count, predicts = arguments.count("-"), arguments[:1] == ["predict"]
    if "--out=-" in arguments or ("--out", "-") in pairwise(arguments):
        fix = "leave --out away for standard output" if predicts else "name a file"
        raise SettingsError("not a file's name", where="--out -", fix=fix)
    if count > predicts:
        raise SettingsError(
            "standard input is read once" if predicts else "nothing is read from standard input",
            where="-",
            fix="give '-' once"
            if predicts
            else "name files or folders; striate predict RUN - reads names or a picture",
        )
    return [STDIN if argument == "-" else argument for argument in arguments]


def _spell_out_resume(arguments: list[str]) -> list[str]:
    """Let `--resume` stand alone for the newest unfinished run."""
    spelled = []
    for place, argument in enumerate(arguments):
        spelled.append(argument)
        followed = place + 1 < len(arguments) and not arguments[place + 1].startswith("-")
        if argument == "--resume" and not followed:
            spelled.append("newest")
    return spelled
