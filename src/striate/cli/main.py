"""`striate`: finds the verb, runs it, and turns errors into messages and exit codes."""

from __future__ import annotations

import os
import sys
import traceback

from cyclopts import App, CycloptsError

from striate.core.errors import Interrupted, StriateError
from striate.version import __version__

app = App(
    name="striate",
    help="Train, explain and ship convolutional image classifiers. Start with: striate demo",
    version=__version__,
    help_format="plaintext",
)
# named by their import paths: a verb's own imports wait until it is used
app.command("striate.cli.train:command", name="train", help="Train on a data set or a folder of pictures.")
app.command("striate.cli.evaluate:command", name="evaluate", help="Measure a trained network on pictures with labels.")
app.command("striate.cli.predict:command", name="predict", help="Classify pictures.")
app.command("striate.cli.inspect:command", name="inspect", help="Show a network, layer by layer.")
app.command("striate.cli.data:app", name="data", help="List, show and fetch data sets.")
app.command("striate.cli.convolve:command", name="convolve", help="Draw how a kernel or pooling window slides.")
app.command("striate.cli.doctor:command", name="doctor", help="Say what this machine has and what is missing.")
app.command("striate.cli.demo:command", name="demo", help="Train on the embedded digits and use the result.")


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 ok, else by the kind of error (core/errors.py)."""
    sys.exit(main(sys.argv[1:] if arguments is None else arguments))


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    debug = "--debug" in arguments
    arguments = _spell_out_resume([argument for argument in arguments if argument != "--debug"])
    try:
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except CycloptsError as error:
        print(f"error: {error}\nfix: striate {' '.join(arguments[:1])} --help".rstrip(), file=sys.stderr)
        return 2
    except StriateError as error:
        if debug:
            traceback.print_exc()
        kind = "stopped" if isinstance(error, Interrupted) else "error"
        print(f"{kind}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped: nothing was being trained", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone; writing its last buffer would fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        print("error: out of memory\nfix: use a smaller --batch-size or --img-size", file=sys.stderr)
        return 6
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(
            f"error: our own mistake: {type(error).__name__}: {error}\nfix: report it with --debug",
            file=sys.stderr,
        )
        return 1


def _spell_out_resume(arguments: list[str]) -> list[str]:
    """Let `--resume` stand alone for the newest unfinished run."""
    spelled = []
    for place, argument in enumerate(arguments):
        spelled.append(argument)
        followed = place + 1 < len(arguments) and not arguments[place + 1].startswith("-")
        if argument == "--resume" and not followed:
            spelled.append("newest")
    return spelled


if __name__ == "__main__":
    run()
