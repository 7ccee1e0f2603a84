"""What a request brings: its body, received within limits, and the pictures in it."""

from __future__ import annotations

from starlette.types import Receive

from striate.deploy.serve.admission import Admission
from striate.deploy.serve.answers import Refusal
from striate.deploy.serve.multipart import files

DISCARDED = 64 * 1024  # bytes of a refused body that are read rather than the connection be closed
_SEND = "URLs are never fetched: send the picture's bytes"
_HOW = "curl -H 'Content-Type: application/octet-stream' --data-binary @picture.png, or curl -F file=@picture.png"


def check_head(headers: dict[bytes, bytes], max_bytes: int) -> str:
    """Return the content type ('' where there is none) of a body that may be received.

    Raises:
        Refusal: 415, of a kind that is not taken; 413, too long.
    """
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    close = is_long(headers)
    if encoding not in (b"identity", b""):
        raise Refusal(415, "encoded_body", "Content-Encoding is not taken", "send the bytes as they are", close=close)
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    kind = content_type.partition(";")[0].strip().lower()
    if kind and not (kind.startswith("image/") or kind in ("application/octet-stream", "multipart/form-data")):
        message = f"a body of this Content-Type is not taken. {_SEND}"
        raise Refusal(415, "unsupported_media_type", message, _HOW, close=close)
    if _length(headers) > max_bytes:
        raise too_long(max_bytes, close)
    return content_type


def is_long(headers: dict[bytes, bytes]) -> bool:
    """Return whether a body is too long, or of a length too uncertain, to be read only to be thrown away."""
    return b"transfer-encoding" in headers or _length(headers) > DISCARDED


def _length(headers: dict[bytes, bytes]) -> int:
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 18:
        raise Refusal(400, "wrong_length", "Content-Length is not a number of bytes", "send the right one", close=True)
    return int(length)


def too_long(max_bytes: int, close: bool = True) -> Refusal:
    """Return the refusal of a body that is longer than the limit."""
    return Refusal(413, "body_too_large", f"a body of more than {max_bytes:,} bytes", "send less", close=close)


async def receive_body(receive: Receive, max_bytes: int, admission: Admission) -> bytes:
    """Return the whole body; its bytes are held in `admission` until they are let go.

    Raises:
        Refusal: 413, longer than the limit; 503, too many bytes at a time.
        ConnectionError: The client has gone.
    """
    parts: list[bytes] = []
    size = 0
    try:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ConnectionError("the client has gone")
            part: bytes = message.get("body", b"")
            if size + len(part) > max_bytes:
                raise too_long(max_bytes)
            admission.hold(len(part))
            size += len(part)
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)
    except BaseException:
        admission.let_go(size)
        raise


def pictures_in(body: bytes, content_type: str, most: int) -> list[tuple[str, bytes]]:
    """Return name and bytes of the pictures in a body: Refusal 400, 413."""
    if content_type.lower().startswith("multipart/form-data"):
        return files(body, content_type, most)
    if not body:
        raise Refusal(400, "empty_body", "the body is empty: it should be a picture's bytes", _HOW)
    return [("picture 0", body)]
