"""The files of a multipart/form-data body (RFC 7578), split where its boundary stands, in time linear in its length."""

from __future__ import annotations

from python_multipart.multipart import parse_options_header

from striate.deploy.serve.answers import Refusal, shown

LONGEST_BOUNDARY = 70  # RFC 2046
LONGEST_HEAD = 8 * 1024  # bytes of one part's headers
MOST_PREAMBLE = 1024
FIX = "send each picture as a file field: curl -F file=@picture.png"


def files(body: bytes, content_type: str, most: int) -> list[tuple[str, bytes]]:
    """Return name and content of every file in a body; names are for showing alone.

    Args:
        body: The whole of it.
        content_type: The request's, with the boundary.
        most: Parts it may have.

    Raises:
        Refusal: 400, not of this form, or with a field that is no file; 413, too many parts.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 0 < len(boundary) <= LONGEST_BOUNDARY:
        raise _malformed(f"a boundary of {len(boundary)} bytes; 1 to {LONGEST_BOUNDARY} are allowed")
    mark = b"\r\n--" + boundary
    whole = b"\r\n" + body
    if whole.count(mark) > most + 1:
        fix = "send fewer at a time: the server's --queue is the limit"
        raise Refusal(413, "too_many_pictures", f"more than {most} pictures", fix)
    preamble, *parts = whole.split(mark)
    if not parts or len(preamble) > MOST_PREAMBLE:
        raise _malformed("the boundary does not stand where the parts begin")
    *parts, end = parts
    if not end.startswith(b"--"):
        raise _malformed("the last boundary is missing: the body was cut off")
    if not parts:
        raise Refusal(400, "no_picture", "no file field in the form", FIX)
    return [_file(part) for part in parts]


def _file(part: bytes) -> tuple[str, bytes]:
    end = part.find(b"\r\n\r\n", 0, LONGEST_HEAD)
    if end < 0 or part[: part.find(b"\r\n")].strip(b" \t"):
        raise _malformed(f"a part without an end of its headers in its first {LONGEST_HEAD:,} bytes")
    headers: dict[bytes, bytes] = {}
    for line in part[:end].split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if not colon:
            raise _malformed("a part with a header line without a colon")
        headers[name.strip().lower()] = value.strip()
    kind, options = parse_options_header(headers.get(b"content-disposition"))
    if kind != b"form-data":
        raise _malformed("a part without 'Content-Disposition: form-data'")
    if b"filename" not in options:
        field = shown(options.get(b"name", b"").decode("utf-8", "replace"))
        raise Refusal(400, "not_a_file", f"field '{field}' is not a file; only pictures are taken", FIX)
    if headers.get(b"content-transfer-encoding", b"binary").lower() not in (b"binary", b"8bit", b"7bit"):
        raise _malformed("a part that is encoded for the transfer")
    return shown(options[b"filename"].decode("utf-8", "replace")), part[end + 4 :]


def _malformed(what: str) -> Refusal:
    return Refusal(400, "malformed_multipart", f"not multipart/form-data: {what}", FIX)
