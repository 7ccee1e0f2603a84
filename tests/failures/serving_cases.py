"""Requests that no good client sends: mutations of good ones, by kind, the same for the same seed and number."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from benchmarks.serving.questions import Question

from .mutated_pictures import mutate, seeds

END = b"\r\n"
ODD = (
    "",
    " ",
    "\0",
    "\t",
    "a\r\nX-Injected: 1",
    "é",
    "../../etc/passwd",
    "%00",
    "A" * 9000,
    "\x7f",
    "$(id)",
    "{}",
    "-1",
)
NUMBERS = (
    "-1",
    "+5",
    "0x10",
    "1e3",
    "",
    " ",
    "00000000000000000010",
    "9" * 30,
    "18446744073709551616",
    "1,1",
    "½",
    "1 1",
)


@dataclass(frozen=True)
class Case:
    """What is sent on one connection.

    Args:
        pieces: Sent one after the other.
        right: The questions that must all be answered rightly, in order, and nothing else; None where anything goes
            but an error of the server.
        refused: Whether no answer may be a 200, as who reads it differently can smuggle a request past another.
    """

    kind: str
    pieces: tuple[bytes, ...]
    right: tuple[Question, ...] | None = field(default=None)
    refused: bool = False


def _request(
    body: bytes, *headers: str, line: str = "POST /predict HTTP/1.1", length: str | None = None, kind: str = "image/png"
) -> bytes:
    """Return a request with a right length, and a host and type unless headers bring them."""
    given = {header.split(":")[0].lower() for header in headers}
    head = [line, *headers]
    head += [] if "host" in given else ["Host: 127.0.0.1"]
    head += [] if "content-type" in given else [f"Content-Type: {kind}"]
    if length is not None or not given & {"content-length", "transfer-encoding"}:
        head.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*head, "", ""]).encode("utf-8", "surrogateescape") + body


def _bytes(rng: random.Random, good: Question) -> Case:
    whole = good.request()
    head = mutate(whole[: len(good.head) + 2], whole, rng)
    return Case("bytes", (head + good.body,))


def _cut(rng: random.Random, good: Question) -> Case:
    whole = good.request()
    return Case("cut", (whole[: rng.randrange(len(whole))],))


def _pieces(rng: random.Random, good: Question) -> Case:
    whole = good.request()
    places = sorted({0, len(whole), *(rng.randrange(len(whole)) for _ in range(rng.choice([1, 3, 20])))})
    pieces = tuple(whole[start:end] for start, end in pairwise(places))
    return Case("pieces", pieces, (good,))


def _garbage(rng: random.Random, good: Question) -> Case:
    starts = (b"", b"\x16\x03\x01\x02\x00\x01\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x05\x01\x00", b"\r\n" * 50)
    return Case("garbage", (rng.choice(starts) + rng.randbytes(rng.choice([1, 20, 500, 70_000])),))


def _line(rng: random.Random, good: Question) -> Case:
    methods = ("GET", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "post", "POST", "BREW", "P" * 5000, "")
    targets = (
        "/", "//", "/predict/", "/predict//", "/%70redict", "/predict%00", "/..;/predict", "/%2e%2e/etc/passwd", "*",
        "http://127.0.0.1/predict", "http://example.org/predict", "predict", "/predict#x", "/" + "a" * 65_536, "/info",
        "/live", "/ready", "/metrics", "/openapi.json", "/docs", "/models", "/v2/repository/index", "/\x80",
    )  # fmt: skip
    versions = ("HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "http/1.1", "HTTP/1.1 ", "HTTP/1.10", "")
    line = f"{rng.choice(methods)} {rng.choice(targets)} {rng.choice(versions)}"
    return Case("line", (_request(rng.choice([b"", good.body]), line=line),))


def _query(rng: random.Random, good: Question) -> Case:
    values = (*NUMBERS, *ODD[3:], "0", "1", "3", "1000000000", "abc", "nan", "inf", "1.5", "true")
    names = ("top", "top", "top", "topp", "threshold", "url", "", "top[]", "__proto__")
    pairs = [f"{rng.choice(names)}={rng.choice(values)}" for _ in range(rng.choice([1, 1, 2, 500]))]
    query = "&".join(pairs).replace("\r\n", "%0d%0a").replace(" ", "%20")
    return Case("query", (_request(good.body, line=f"POST /predict?{query} HTTP/1.1"),))


def _headers(rng: random.Random, good: Question) -> Case:
    names = (
        "Host", "X-Request-Id", "Authorization", "Range", "Expect", "Upgrade", "Connection", "Content-Encoding",
        "Accept", "Content-Type", "User-Agent", "X-Forwarded-For", "Origin", "Cookie", "Trailer", "TE", "", "Bad Name",
        "X\0Y", "é",
    )  # fmt: skip
    values = (
        *ODD, "100-continue", "h2c", "websocket", "close", "keep-alive, close", "gzip", "br", "identity", "bytes=0-1",
        "bytes=" + ",".join(f"{n}-{n + 1}" for n in range(2000)), "Bearer " + "x" * 3000, "Bearer", "text/html",
        "multipart/form-data", "multipart/form-data; boundary=", "application/json", "image/png; charset=\xff", "null",
    )  # fmt: skip
    headers = [f"{rng.choice(names)}: {rng.choice(values)}" for _ in range(rng.choice([1, 1, 2, 5]))]
    extra = rng.choice([0, 0, 0, 1000, 20_000])
    headers += [f"X-{number}: {number}" for number in range(extra)]
    return Case("headers", (_request(good.body, *headers),))


def _length(rng: random.Random, good: Question) -> Case:
    size = len(good.body)
    lies = (
        *NUMBERS,
        str(size + 1),
        str(size - 1),
        str(10 * size),
        "0",
        f" {size} ",
        f"{size}\0",
        str(2**31),
        str(2**63),
    )
    length = rng.choice(lies)
    more = rng.choice([(), (f"Content-Length: {size}",), (f"Content-Length: {length}",)])
    return Case("length", (_request(good.body, *more, length=length),))


def _chunks(body: bytes, rng: random.Random) -> list[bytes]:
    places = sorted({0, len(body), *(rng.randrange(1, len(body)) for _ in range(rng.choice([0, 1, 10])))})
    parts = [body[start:end] for start, end in pairwise(places)]
    return [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]


def _chunked(rng: random.Random, good: Question) -> Case:
    head = _request(b"", "Transfer-Encoding: chunked")
    chunks = _chunks(good.body, rng)
    if rng.random() < 0.3:
        return Case("chunked, good", (head, *chunks, b"0\r\n\r\n"), (good,))
    bad = (
        b"zz\r\nabc\r\n", b"-1\r\nabc\r\n", b"ffffffffffffffff\r\nabc\r\n", b"0x5\r\nabcde\r\n", b"5\r\nabc\r\n",
        b"3;" + b"x" * 100_000 + b"\r\nabc\r\n", b"3\nabc\n", b"3\r\nabcd\r\n", b"\r\n\r\n", b"3 \r\nabc\r\n", b"",
        b"1\r\na\r\n" * 20_000, b"0\r\n" + b"X-Trailer: 1\r\n" * 5000 + b"\r\n",
    )  # fmt: skip
    chunks.insert(rng.randrange(len(chunks) + 1), rng.choice(bad))
    return Case("chunked", (head, b"".join(chunks), rng.choice([b"0\r\n\r\n", b"0\r\nX: 1\r\n\r\n", b"", b"0\r\n"])))


def _smuggled(rng: random.Random, good: Question) -> Case:
    inner = b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    encodings = (
        "chunked", "chunked, identity", "identity, chunked", "xchunked", " chunked", "chunked\t", "Chunked",
        "\x0bchunked", "chunked, chunked", "gzip, chunked", '"chunked"', "chunked\r\nTransfer-Encoding: identity",
    )  # fmt: skip
    chosen = rng.randrange(3)
    if chosen == 0:
        body = b"0\r\n\r\n" + inner
        lines = [f"Transfer-Encoding: {rng.choice(encodings)}", f"Content-Length: {rng.choice([0, 5, len(body)])}"]
        rng.shuffle(lines)
        return Case("smuggled", (_request(body, *lines),), refused=True)
    if chosen == 1:
        lengths = ["Content-Length: 0", f"Content-Length: {len(inner)}"]
        rng.shuffle(lengths)
        return Case("smuggled", (_request(inner, *lengths),), refused=True)
    names = ("Content-Length ", " Content-Length", "Content-Length\t", "Content_Length", "Transfer-Encoding ")
    name = rng.choice(names)
    line = f"{name}: {'chunked' if 'Transfer' in name else len(inner)}"
    return Case("smuggled", (_request(inner, line, length="0").replace(b"\r\n", rng.choice([b"\r\n", b"\n", b"\r"])),))


def _pipelined(rng: random.Random, good: Question) -> Case:
    many = rng.choice([2, 5, 12])
    whole = good.request() * many
    if rng.random() < 0.5:
        return Case("pipelined, good", (whole,), (good,) * many)
    return Case("pipelined", (whole + rng.choice([b"\0", b"GARBAGE\r\n\r\n", rng.randbytes(100), whole[:50]]),))


def _part(name: str, file: str | None, body: bytes, kind: str = "image/png") -> bytes:
    shown = "" if file is None else f'; filename="{file}"'
    head = f'Content-Disposition: form-data; name="{name}"{shown}\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode("utf-8", "replace") + body + END


def _form(parts: Sequence[bytes], boundary: str = "b0undary", end: bytes = b"--") -> bytes:
    mark = b"--" + boundary.encode("utf-8", "replace")
    return b"".join(mark + END + part for part in parts) + mark + end + END


def _multipart(rng: random.Random, good: Question) -> Case:
    part = _part("file", "a.png", good.body)
    kind = "multipart/form-data; boundary=b0undary"
    form = _form([part] * rng.choice([1, 2, 8]))
    odd_name = rng.choice(ODD)
    made: tuple[tuple[bytes, str], ...] = (
        (mutate(form, good.body, rng), kind),
        (mutate(form, good.body, rng), kind),
        (form, "multipart/form-data"),
        (form, "multipart/form-data; boundary=other"),
        (form, "multipart/mixed; boundary=b0undary"),
        (form, f"multipart/form-data; boundary={'b' * 70_000}"),
        (form, 'multipart/form-data; boundary="b0undary'),
        (form, "multipart/form-data; boundary=b0undary; charset=nonsense"),
        (_form([part], end=b""), kind),
        (_form([]), kind),
        (_form([b""] * 3), kind),
        (_form([_part("x", None, b"1")] * rng.choice([1, 2000])), kind),
        (_form([_part("file", "a.png", b"")] * rng.choice([1, 2000])), kind),
        (_form([_part(odd_name, odd_name, good.body)]), kind),
        (_form([_part("file", "a.png", form, kind)]), kind),
        (_form([b"X: " + b"y" * 1_000_000 + END + part]), kind),
        (b"preamble" * 50_000 + END + form, kind),
        (form + b"epilogue" * 50_000, kind),
        (_form([part.replace(b"form-data", b"attachment")]), kind),
        (_form([part.replace(b"image/png", b"image/png\r\nContent-Transfer-Encoding: base64")]), kind),
        (form.replace(END, b"\n"), kind),
    )
    body, kind = rng.choice(made)
    return Case("multipart", (_request(body, kind=kind),))


def _form_of_pictures(rng: random.Random, good: Question) -> Case:
    whole = seeds_once()
    pictures = [mutate(whole[name], good.body, rng) for name in rng.choices(list(whole), k=rng.choice([1, 4]))]
    form = _form([_part("file", f"{number}.png", one) for number, one in enumerate([*pictures, good.body])])
    return Case("multipart of damaged pictures", (_request(form, kind="multipart/form-data; boundary=b0undary"),))


def _picture(rng: random.Random, good: Question) -> Case:
    whole = seeds_once()
    names = list(whole)
    damaged = mutate(whole[rng.choice(names)], whole[rng.choice(names)], rng)
    kind = rng.choice(["image/png", "image/jpeg", "application/octet-stream", "image/x-unheard-of"])
    return Case("damaged picture", (_request(damaged, kind=kind),))


def _other_body(rng: random.Random, good: Question) -> Case:
    made = (
        (b'{"url": "http://169.254.169.254/"}', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"a": NaN}', "application/json"),
        (b"url=file%3A%2F%2F%2Fetc%2Fpasswd&" * 1000, "application/x-www-form-urlencoded"),
        (b"http://127.0.0.1/", "text/plain"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (b"", "image/png"),
        (b"", "application/json"),
        (good.body, rng.choice(ODD[3:]).replace("\r\n", "")),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
    )
    body, kind = rng.choice(made)
    if rng.random() < 0.2:
        encoding = rng.choice(["gzip", "br", "deflate", "zstd", "gzip, gzip", "x"])
        return Case("encoded body", (_request(gzip.compress(b"\0" * 1_000_000), f"Content-Encoding: {encoding}"),))
    return Case("other body", (_request(body, kind=kind),))


def _good(rng: random.Random, good: Question) -> Case:
    return Case("good", (good.request(rng.choice([None, b"a.b-C_1", b"x" * 64])),), (good,))


KINDS: tuple[Callable[[random.Random, Question], Case], ...] = (
    _bytes, _bytes, _bytes, _cut, _pieces, _garbage, _line, _query, _headers, _headers, _length, _chunked, _chunked,
    _smuggled, _pipelined, _multipart, _multipart, _form_of_pictures, _picture, _picture, _picture, _other_body, _good,
)  # fmt: skip
_seeds: dict[str, bytes] = {}


def seeds_once() -> dict[str, bytes]:
    """Return whole pictures of every format that is read."""
    if not _seeds:
        _seeds.update(seeds())
    return _seeds


def case(seed: int, number: int, questions: Sequence[Question]) -> Case:
    """Return a case: the same for the same seed, number and questions."""
    rng = random.Random(f"{seed} {number}")
    return rng.choice(KINDS)(rng, rng.choice(questions))
