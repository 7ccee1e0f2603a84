"""config.json: what a run was asked for, and everything that was chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from striate.core.errors import ModelFileError
from striate.core.settings import READ_IN_STEPS, TrainSettings
from striate.core.spec import ImageSpec
from striate.models import Architecture
from striate.runs.costs import Costs
from striate.runs.estimate import Estimate

NAME = "config.json"
MAY_CHANGE = frozenset({"device", "data_dir", "checkpoint_every"})  # settings without effect on the result


class RunConfig(BaseModel):
    """The content of config.json: what was asked for, and everything that was chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    striate: str
    data: str
    fingerprint: str
    settings: TrainSettings
    given: Mapping[str, JsonValue] = Field(default_factory=dict)
    architecture: Architecture
    spec: ImageSpec
    reasons: Mapping[str, str] = Field(default_factory=dict)
    precision_race: Mapping[str, JsonValue] = Field(default_factory=dict)
    costs: Costs | None = None
    estimate: Estimate | None = None
    fixes_sha256: str | None = None

    @field_validator("settings")
    @classmethod
    def _complete(cls, settings: TrainSettings) -> TrainSettings:
        length = "epochs" if settings.time_budget is None else "time_budget"
        needed = ("model",) if settings.only_head else (length, "batch_size", "lr", "model")
        missing = [key for key in needed if getattr(settings, key) is None]
        if missing:
            raise ValueError(f"{', '.join(missing)} not set")
        return settings

    @field_serializer("settings")
    def _what_was_read(self, settings: TrainSettings) -> dict[str, Any]:
        """Leave out what a run that only fits a head does not read; on reading it gets its usual value again."""
        return settings.model_dump(mode="json", exclude=set(READ_IN_STEPS) if settings.only_head else None)

    @model_validator(mode="after")
    def _planned(self) -> RunConfig:
        if self.settings.time_budget is not None and self.costs is None:
            raise ValueError("costs: a time budget was planned by them")
        return self

    def was_given(self, key: str, value: object) -> bool:
        """Return whether the run was begun with this value of a setting, whatever the plan made of it."""
        return key in self.given and self.given[key] == (str(value) if isinstance(value, Path) else value)

    def digest(self) -> str:
        """Return the SHA-256 of everything that decides the result: settings, network, pictures."""
        text = self.settings.model_dump_json(exclude=set(MAY_CHANGE))
        rest = self.model_dump_json(include={"architecture", "spec", "fingerprint"})
        return hashlib.sha256((text + rest).encode()).hexdigest()


def read_config(folder: Path) -> RunConfig:
    """Return the config of a run folder; ModelFileError where it is damaged, or of another version."""
    try:
        return RunConfig.model_validate_json((folder / NAME).read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        reason = f"{place}: {problem['msg']}" if place else problem["msg"]
        raise ModelFileError(
            f"config.json is damaged or of another version ({reason})", where=folder, fix="start a new run"
        ) from None
