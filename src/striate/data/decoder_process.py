"""A process that decodes pictures for another one, so that a picture which hangs or kills the decoder kills it alone.

Started as `python -m striate.data.decoder_process DESCRIPTOR MAX_PIXELS SECONDS`; DESCRIPTOR is a stream socket. Both
ways go messages of many pictures: for small ones, talking costs more than decoding.

    to it      number of pictures, length of the ImageSpec (uint32 each), length of each picture (uint32), ImageSpec
               as JSON, pictures
    from it    length of what follows (uint32), then per picture: 1 and the pixels (uint8 H W C), or 0, the length of a
               JSON list (uint32) and that list: what is wrong, and the remedy

The first message from it is empty: it is ready. It ends when the socket is closed, and where a message takes longer
than SECONDS by a signal that no decoder can hold up.
"""

from __future__ import annotations

import json
import signal
import socket
import struct
import sys
from functools import lru_cache
from typing import BinaryIO

from striate.core.errors import DataError
from striate.core.spec import ImageSpec
from striate.data.decode import decode

HEAD = struct.Struct("<II")
LENGTH = struct.Struct("<I")
MEMORY = 4 * 2**30  # bytes of address space: a decoder that wants more fails, not the machine


def request(spec: bytes, pictures: list[bytes]) -> bytes:
    """Return the message that asks for pictures.

    Args:
        spec: `spec_bytes` of how they are wanted.
        pictures: Encoded.
    """
    lengths = struct.pack(f"<{len(pictures)}I", *map(len, pictures))
    return b"".join((HEAD.pack(len(pictures), len(spec)), lengths, spec, *pictures))


def spec_bytes(spec: ImageSpec) -> bytes:
    """Return what decoding reads of an ImageSpec, as JSON."""
    return spec.model_copy(update={"classes": ("any",)}).model_dump_json().encode()


def answer(message: memoryview, size: int) -> list[memoryview | tuple[str, str]]:
    """Return each picture's pixels, or what is wrong with it and the remedy, from a message without its length.

    Args:
        message: From the process.
        size: Bytes of one picture's pixels.
    """
    found: list[memoryview | tuple[str, str]] = []
    place = 0
    while place < len(message):
        usable, place = message[place], place + 1
        if usable:
            found.append(message[place : place + size])
            place += size
        else:
            (length,) = LENGTH.unpack_from(message, place)
            place += LENGTH.size
            what, fix = json.loads(bytes(message[place : place + length]))
            found.append((what, fix))
            place += length
    return found


def serve(connection: socket.socket, max_pixels: int, seconds: float) -> None:
    """Decode what comes over a socket until it is closed."""
    with connection, connection.makefile("rb") as stream:
        connection.sendall(LENGTH.pack(0))
        while head := _exactly(stream, HEAD.size):
            signal.setitimer(signal.ITIMER_REAL, seconds)
            count, spec_length = HEAD.unpack(head)
            lengths = struct.unpack(f"<{count}I", _exactly(stream, count * LENGTH.size))
            spec = _spec(_exactly(stream, spec_length))
            parts = [part for length in lengths for part in _decoded(_exactly(stream, length), spec, max_pixels)]
            connection.sendall(b"".join((LENGTH.pack(sum(map(len, parts))), *parts)))
            signal.setitimer(signal.ITIMER_REAL, 0)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    """Return so many bytes, or none where the stream has ended."""
    data = stream.read(count)
    return data if len(data) == count else b""


@lru_cache(4)
def _spec(data: bytes) -> ImageSpec:
    return ImageSpec.model_validate_json(data)


def _decoded(data: bytes, spec: ImageSpec, max_pixels: int) -> tuple[bytes, ...]:
    try:
        return b"\1", decode(data, spec, "picture", max_pixels).tobytes()
    except DataError as error:
        told = json.dumps([error.what, error.fix or ""]).encode()
        return b"\0", LENGTH.pack(len(told)), told


def main(descriptor: str, max_pixels: str, seconds: str) -> None:
    """Serve over the socket of a file descriptor, with little memory, and without heed of the terminal's Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):  # not on this system, or less is allowed already
        pass
    try:
        serve(socket.socket(fileno=int(descriptor)), int(max_pixels), float(seconds))
    except (BrokenPipeError, ConnectionResetError):
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
