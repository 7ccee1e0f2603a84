"""The other half of HTTP/1.1: where an answer ends and what its head says."""

from __future__ import annotations

from typing import NamedTuple


class Reply(NamedTuple):
    """A whole answer.

    Args:
        status: Of the first line.
        head: First line and headers, in lower case.
        size: Bytes of head and body together, of those given.
    """

    status: int
    head: bytes
    body: bytes
    size: int

    @property
    def closes(self) -> bool:
        """Whether the server closes the connection after it."""
        return b"\r\nconnection: close" in self.head

    @property
    def is_refusal(self) -> bool:
        """Whether it is a 503 that says when to come again."""
        return self.status == 503 and b"\r\nretry-after: " in self.head


class NotHTTPError(ValueError):
    """What came is no answer in HTTP/1.1 with a length."""


def read_reply(data: bytes) -> Reply | None:
    """Return the answer that the data begin with, None while it is not whole; NotHTTPError.

    The lengths that servers here use are read: Content-Length, chunks, and none at all for 1xx, 204 and 304.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if data[:5] != b"HTTP/"[: len(data)] or len(data) > 65536:
            raise NotHTTPError(f"no head of an answer: {data[:80]!r}")
        return None
    head = data[:end].lower()
    if head[:9] not in (b"http/1.1 ", b"http/1.0 ") or not head[9:12].isdigit():
        raise NotHTTPError(f"no head of an answer: {data[:80]!r}")
    status, start = int(head[9:12]), end + 4
    place = head.find(b"\r\ncontent-length:")
    if place >= 0:
        length = int(head[place + 17 :].split(b"\r\n", 1)[0])
        if len(data) < start + length:
            return None
        return Reply(status, head, data[start : start + length], start + length)
    if b"\r\ntransfer-encoding: chunked" in head:
        return _read_chunks(data, start, status, head)
    if status < 200 or status in (204, 304):
        return Reply(status, head, b"", start)
    raise NotHTTPError(f"an answer without a length: {data[:200]!r}")


def _read_chunks(data: bytes, place: int, status: int, head: bytes) -> Reply | None:
    body = b""
    while (line := data.find(b"\r\n", place)) >= 0:
        length = int(data[place:line].split(b";")[0], 16)
        place = line + 2 + length + 2
        if len(data) < place:
            return None
        if length == 0:
            return Reply(status, head, body, place)
        body += data[line + 2 : place - 2]
    return None
