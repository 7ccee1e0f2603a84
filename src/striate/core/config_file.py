"""Config files: YAML or JSON mappings of the settings' names."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from striate.core.errors import SettingsError

MAX_BYTES = 1_000_000


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, which also refuses duplicate keys and anchors (a bomb of references)."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("anchors and aliases are not supported")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        _refuse_duplicates(keys)
        return super().construct_mapping(node, deep)


def _refuse_duplicates(keys: list[Any]) -> None:
    counts = Counter(str(key).replace("-", "_") for key in keys)  # one setting in either spelling
    duplicates = sorted(key for key, count in counts.items() if count > 1)
    if duplicates:
        raise ValueError(f"key given twice: {', '.join(duplicates)}")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _refuse_duplicates([key for key, _ in pairs])
    return dict(pairs)


def read_config(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML or JSON file; of a run's config.json, its settings.

    Raises:
        SettingsError: The file is missing, too large, not text, not YAML/JSON, or not a mapping.
    """
    example = "write a mapping such as  epochs: 5"
    try:
        with open(path, "rb") as file:  # which may be a pipe
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SettingsError("config file not found", where=path, fix="check the path given with -c/--config") from None
    except OSError as error:
        reason = f"config file cannot be read ({error.strerror})"
        raise SettingsError(reason, where=path, fix="check the path given with -c/--config") from None
    if len(data) > MAX_BYTES:
        raise SettingsError("config file is larger than 1 MB", where=path, fix=example)
    try:
        text = data.decode("utf-8")
        if path.suffix.lower() == ".json":
            values = json.loads(text, object_pairs_hook=_pairs)
        else:
            values = yaml.load(text, Loader=_StrictLoader)  # a SafeLoader: builds plain values only
    except UnicodeDecodeError:
        raise SettingsError("config file is not UTF-8 text", where=path, fix=example) from None
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"config file cannot be read ({reason})", where=path, fix=example) from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise SettingsError("config file is not a mapping of names to values", where=path, fix=example)
    if isinstance(values.get("settings"), dict) and "architecture" in values:  # a run's own config.json
        return {key: value for key, value in values["settings"].items() if value is not None}
    return values
