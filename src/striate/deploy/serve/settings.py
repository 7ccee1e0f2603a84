"""Every setting of the server, declared once: `striate serve` derives its options from it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from striate.core.settings import Duration, Settings

MIB = 2**20
MAX_PIXELS = 64_000_000  # data/decode's, which would load NumPy and Pillow to say so


class ServeSettings(Settings):
    """Where the server listens, who may ask, how it computes, and what it refuses."""

    verb: ClassVar[str] = "serve"

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen at")
    port: int = Field(8000, ge=0, le=65_535, description="Port; 0: any that is free")
    token_file: Path | None = Field(None, description="File with the token that requests must bear; or STRIATE_TOKEN")
    insecure: bool = Field(False, description="Listen beyond this machine without a token")
    allowed_host: tuple[str, ...] = Field(
        (), description="Name of the server in the Host header, beside its own addresses; '*': any. May be repeated"
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps")
    engine: str = Field("auto", description="auto: the fastest here with the same answers; torch, folded, onnx or bf16")
    batch_size: int | None = Field(
        None, ge=1, le=4096, description="Pictures computed at once, at most; off: 32, of a heavy network on a CPU 8"
    )
    batch_wait: float = Field(
        2.0, ge=0, le=1000, description="Milliseconds to wait for pictures that are being decoded"
    )
    queue: int = Field(256, ge=1, le=100_000, description="Pictures accepted at a time; more are refused with 503")
    workers: int = Field(max(2, (os.cpu_count() or 2) // 2), ge=1, le=256, description="Processes that decode pictures")
    max_bytes: int = Field(16 * MIB, ge=1, le=256 * MIB, description="Bytes of one request's body")
    max_pixels: int = Field(MAX_PIXELS, ge=1, le=MAX_PIXELS, description="Pixels of one picture")
    receive_timeout: Duration = Field(
        10.0, gt=0, le=3600, description="Seconds for a request's head to arrive, and as many for its body"
    )
    answer_timeout: Duration = Field(10.0, gt=0, le=3600, description="Seconds for an answer, from then on")
    announce: Duration = Field(
        0.0, ge=0, le=3600, description="Seconds between /ready saying no and the end of new connections"
    )
    grace: Duration = Field(30.0, gt=0, le=3600, description="Seconds for the last answers when the server ends")

    @property
    def decode_timeout(self) -> float:
        """Seconds after which a decoder that is still at the same message is killed."""
        return self.answer_timeout / 2
