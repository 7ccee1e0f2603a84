"""The options of `striate train` and `striate style`, derived from their settings: each is declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from annotated_types import Ge, Gt, Le, Lt
from cyclopts import Group, Parameter
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from striate.cli.whole_number import is_whole, whole_number
from striate.core.config_file import read_config
from striate.core.paths import user_path
from striate.core.settings import GROUPS, Settings, TrainSettings, override

SHORT = {"batch_size": "-b"}


def setting_parameters(
    kind: type[Settings] = TrainSettings, shown: Collection[str] | None = None
) -> list[inspect.Parameter]:
    """Return one keyword parameter per setting, None where it is not given, grouped and with help.

    Args:
        kind: Whose settings.
        shown: Those that `--help` lists; all by default.
    """
    parameters = []
    rest = "Run" if kind is TrainSettings else "Settings"
    for name, field in kind.model_fields.items():
        titles = (title for title, part in GROUPS.items() if issubclass(kind, part) and name in part.model_fields)
        group = next(titles, rest)
        flag = f"--{name.replace('_', '-')}"
        parameter = Parameter(
            name=[flag, SHORT[name]] if name in SHORT else [flag],
            help=_help(field),
            group=Group(group, sort_key=list(GROUPS).index(group) if group in GROUPS else -1),
            show_default=False,
            show=shown is None or name in shown,
            converter=whole_number if is_whole(field.annotation) else None,
        )
        annotation = _optional(str if _is_written(field.annotation) else field.annotation, parameter)
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
    return parameters


def with_settings(
    function: Callable[..., Any], kind: type[Settings] = TrainSettings, *, shown: Collection[str] | None = None
) -> Callable[..., Any]:
    """Give a command every setting of a kind as an option; it receives those that were given as **settings.

    Args:
        function: The command.
        kind: Whose settings.
        shown: The settings that `--help` lists; all by default. The others are accepted, as a config file's are.
    """
    signature = inspect.signature(function, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    parameters = [*own, *setting_parameters(kind, shown)]
    names = {p.name for p in own}

    def command(*args: Any, **kwargs: Any) -> Any:
        settings = {key: value for key, value in kwargs.items() if key not in names and value is not None}
        return function(*args, **{key: value for key, value in kwargs.items() if key in names}, **settings)

    command.__doc__ = function.__doc__
    command.__name__ = function.__name__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def merge(
    config: Path | None, given: Mapping[str, Any], base: Mapping[str, Any] | None = None
) -> tuple[TrainSettings, frozenset[str]]:
    """Return the settings of a config file and the options (which win), and the names of those given.

    Args:
        base: Settings that both win over: a recipe's.

    Raises:
        SettingsError: The file or a value is not acceptable; every offender is named.
    """
    read = read_config(user_path(config)) if config else {}
    from_file = {key.replace("-", "_"): value for key, value in read.items()}
    # the file alone first, so that the message says where a wrong value stands
    TrainSettings.parse(from_file, where=str(config) if config else None)
    values = override(base or {}, {**from_file, **given})
    return TrainSettings.parse(values), frozenset(values)


def _is_written(kind: Any) -> bool:
    """Return whether the settings themselves read this kind of value from text."""
    return any(isinstance(rule, BeforeValidator) for part in get_args(kind) for rule in get_args(part)[1:])


def _optional(kind: Any, parameter: Parameter) -> Any:
    return Annotated[kind | None, parameter]


def _help(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and extra.get("chosen"):
        default = "chosen from the data"
    elif field.default is None:
        default = "off"
    elif isinstance(field.default, bool):
        default = "on" if field.default else "off"
    else:
        default = f"{field.default}"
    return f"{field.description} [{default}{_range(field)}]"


def _range(field: FieldInfo) -> str:
    low = high = ""
    for rule in field.metadata:
        if isinstance(rule, Ge):
            low = f"{rule.ge} ≤ "
        elif isinstance(rule, Gt):
            low = f"{rule.gt} < "
        elif isinstance(rule, Le):
            high = f" ≤ {rule.le}"
        elif isinstance(rule, Lt):
            high = f" < {rule.lt}"
    return f"; {low}x{high}" if low or high else ""
