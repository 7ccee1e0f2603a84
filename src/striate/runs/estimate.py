"""Estimate: what a run was thought to take on the machine it began on, told before training; part of config.json."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Estimate(BaseModel):
    """Time, memory and disk of a whole run.

    Args:
        seconds: From the first step to the finished run folder; None: too few to be worth measuring.
        memory: Bytes that the process will hold at most; on a GPU the bytes there.
        on_gpu: Whether it is the GPU's memory.
        disk: Bytes that the run folder will take at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seconds: float | None = Field(None, ge=0)
    memory: int = Field(ge=0)
    on_gpu: bool = False
    disk: int = Field(ge=0)

    def of_runs(self, count: int) -> str:
        """Return what so many such runs take one after the other, for people: 'about 15 min, 200 MiB disk'."""
        time = f"under {count} minutes" if self.seconds is None else f"about {_rounded(count * self.seconds)}"
        return f"{time}, {size_text(count * self.disk)} disk"

    def __str__(self) -> str:
        """Return it for people: 'about 3 min, 1.2 GiB memory, 40 MiB disk'."""
        time = "under a minute" if self.seconds is None else f"about {_rounded(self.seconds)}"
        return f"{time}, {size_text(self.memory)} {'GPU ' * self.on_gpu}memory, {size_text(self.disk)} disk"


def _rounded(seconds: float) -> str:
    for unit, name in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * unit:
            return f"{seconds / unit:.0f} {name}" if seconds >= 9.5 * unit else f"{seconds / unit:.2g} {name}"
    return f"{max(seconds, 1):.0f} s"


def size_text(count: int) -> str:
    """Return a number of bytes for people: '40 MiB', '1.2 GiB'."""
    return f"{count / 2**30:.1f} GiB" if count >= 1000 * 2**20 else f"{max(1, round(count / 2**20))} MiB"
