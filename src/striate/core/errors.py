"""The tree of errors a user can meet, each with the exit code of the command line.

    StriateError
    ├── SettingsError    2    an option, a config file, a name
    ├── DataError        3    a data set, a picture
    ├── ModelFileError   4    a model file, a checkpoint
    ├── DivergedError    5    training left the finite numbers
    ├── ResourceError    6    disk, memory, a lock, the network
    └── Interrupted      130 or 143, after the state has been saved

Exit code 1 is left for our own mistakes: a user should never see it.
"""

from __future__ import annotations


class StriateError(Exception):
    """What is wrong, where, and the remedy.

    Args:
        what: One sentence (or several lines, one per offender) that names the rule that was broken.
        where: The file, option or value it concerns.
        fix: What to type or change so that it works.
    """

    exit_code = 1
    usual_fix: str | None = None

    def __init__(self, what: str, *, where: object = None, fix: str | None = None) -> None:
        fix = fix or self.usual_fix
        self.what = what
        self.where = None if where is None else str(where)
        self.fix = fix
        message = what
        if self.where:  # before several lines, after one
            message = f"{self.where}: {what}" if "\n" in what else f"{what}: {self.where}"
        super().__init__(f"{message}\nfix: {fix}" if fix else message)


class SettingsError(StriateError, ValueError):
    """A setting, a name or a combination of options that cannot be obeyed."""

    exit_code = 2


class DataError(StriateError, ValueError):
    """A data set or a picture that cannot be used as it is."""

    exit_code = 3


class ModelFileError(StriateError, ValueError):
    """A model file or checkpoint that is damaged, unsafe, or of another architecture."""

    exit_code = 4
    usual_fix = "take another copy of the file, or train again"


class DivergedError(StriateError, ArithmeticError):
    """The loss is no longer a finite number."""

    exit_code = 5


class ResourceError(StriateError, OSError):
    """The machine lacks something: disk, memory, permission, a free run folder, the network."""

    exit_code = 6

    # OSError's own __str__ shows errno fields; ours is the composed message.
    __str__ = Exception.__str__


class Interrupted(StriateError):  # noqa: N818 -- a request obeyed, not an error
    """Training stopped on a signal after saving its state.

    Args:
        signal_number: 2 for Ctrl-C, 15 for SIGTERM; the exit code is 128 plus this.
    """

    def __init__(self, signal_number: int, what: str, *, where: object = None, fix: str | None = None) -> None:
        super().__init__(what, where=where, fix=fix)
        self.exit_code = 128 + signal_number
