"""The device a run uses, and what is known of the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

import torch
from torch import Tensor

from striate.core.errors import SettingsError
from striate.version import __version__


def choose_device(name: str = "auto") -> torch.device:
    """Return the device; 'auto' prefers CUDA, then MPS, then the CPU.

    Raises:
        SettingsError: The device is unknown or not on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SettingsError("unknown device", where=name, fix="use auto, cpu, cuda, cuda:N or mps") from None
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if device.type not in present:
        raise SettingsError("unsupported device", where=name, fix="use auto, cpu, cuda, cuda:N or mps")
    if not present[device.type]:
        raise SettingsError("device is not available on this machine", where=name, fix="use --device cpu or auto")
    return device


def describe_machine(device: torch.device) -> dict[str, object]:
    """Return what a reader needs to judge a figure or repeat a run, as plain JSON values."""
    return {
        "striate": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": memory_gib(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name(),
    }


def processor_name() -> str:
    """Return the processor's name as the system gives it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def memory_gib() -> float | None:
    """Return the machine's memory in GiB, or None where the system does not tell."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def sum_type(device: torch.device) -> torch.dtype:
    """Return the widest floating type the device adds in: float64, but float32 on MPS."""
    return torch.float32 if device.type == "mps" else torch.float64


def constant(values: float | Sequence[float] | Sequence[Sequence[float]], device: torch.device) -> Tensor:
    """Return numbers as a tensor on a device: int64 where all are whole numbers, else float32.

    On CUDA it is copied while the processor goes on: from memory that is not pinned, a copy waits for all work before.
    """
    if device.type == "cuda":
        return torch.tensor(values, pin_memory=True).to(device, non_blocking=True)
    return torch.tensor(values, device=device)


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished, so that a clock read afterwards is true."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
