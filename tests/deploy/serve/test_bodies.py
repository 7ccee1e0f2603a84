"""What a request may bring: S01 to S07 of the cases."""

from __future__ import annotations

import gzip
import json
import socket
import zlib

import pytest

from .house import form, png, request

MEBI = 2**20


def good(house) -> bool:
    return house.predict(png()).status_code == 200


def error(answer) -> str:
    told = answer.json()
    assert set(told) == {"error", "request_id"}
    assert set(told["error"]) == {"code", "message", "fix"}
    assert told["error"]["fix"]
    assert told["request_id"] == answer.headers["x-request-id"]
    return told["error"]["code"]


def test_s01_an_empty_body_a_form_without_a_file_and_one_with_a_text_field_are_refused_by_name(house):
    answer = house.predict(b"")
    assert (answer.status_code, error(answer)) == (400, "empty_body")
    body, kind = form()
    answer = house.predict(body, content_type=kind)
    assert (answer.status_code, error(answer)) == (400, "no_picture")
    answer = house.ask("POST", "/predict", files={"note": (None, b"text")})
    assert (answer.status_code, error(answer)) == (400, "not_a_file")
    assert "'note'" in answer.json()["error"]["message"]
    assert good(house)


def test_s01_several_files_of_any_field_name_are_answered_in_order(house):
    files = [("a", ("1.png", png(1))), ("b", ("2.png", png(2))), ("a", ("3.png", png(3)))]
    answer = house.ask("POST", "/predict", files=files)
    assert answer.status_code == 200
    assert [told["name"] for told in answer.json()["predictions"]] == ["1.png", "2.png", "3.png"]


def padded(size: int) -> bytes:
    """Return a PNG followed by bytes that decoders leave alone."""
    return png() + bytes(size - len(png()))


def test_s02_the_limit_itself_is_taken_and_one_byte_more_is_not(house):
    limit = house.settings.max_bytes
    assert house.send(request(padded(limit))).status == 200
    answer = house.send(request(padded(limit + 1)), until_closed=True)
    assert (answer.status, answer.code, answer.closed) == (413, "body_too_large", True)
    assert answer.headers["connection"] == "close"
    assert good(house)


def test_s02_a_body_without_a_length_is_counted_as_it_comes(house):
    limit = house.settings.max_bytes

    def chunked(size: int) -> bytes:
        head = request(b"", content_length="", transfer_encoding="chunked")
        body = padded(size)
        pieces = [body[at : at + 5000] for at in range(0, size, 5000)]
        return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"

    assert house.send(chunked(limit)).status == 200
    answer = house.send(chunked(limit + 1), until_closed=True)
    assert (answer.status, answer.closed) == (413, True)
    # without an end in sight, nothing is waited for
    endless = chunked(2 * limit)[:-5]
    assert house.send(endless, until_closed=True).status == 413
    assert house.service.admission.held == 0


def test_s02_a_body_that_is_announced_too_long_is_refused_before_it_is_sent(house):
    answer = house.send(request(content_length=str(10 * MEBI), expect="100-continue"), until_closed=True)
    assert (answer.status, answer.closed) == (413, True)  # and no '100 Continue' before


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "ten", "99999999999999999999999", "10, 10", "+5"])
def test_s02_lengths_that_are_no_lengths_are_refused(house, length):
    answer = house.send(request(png(), content_length=length), until_closed=True)
    assert (answer.status, answer.closed) == (400, True)
    assert good(house)


def test_s02_two_lengths_are_refused(house):
    body = png()
    twice = b"POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\ncontent-length: 5\r\n\r\n" % len(body)
    assert house.send(twice + body, until_closed=True).status == 400
    assert good(house)


def test_s02_a_length_that_is_too_large_ends_by_the_deadline_and_one_too_small_cuts_the_picture(house):
    answer = house.send(request(png(), content_length=str(len(png()) + 100)), until_closed=True)
    assert (answer.status, answer.code, answer.closed) == (408, "too_slow", True)
    answer = house.send(request(png(), content_length="40"))
    assert (answer.status, answer.code) == (422, "unusable_picture")
    assert house.service.admission.held == house.service.admission.pictures == 0


def test_s03_compressed_bodies_are_not_inflated(house):
    for encoding, body in (("gzip", gzip.compress(bytes(10 * MEBI))), ("deflate", zlib.compress(png())), ("br", b"x")):
        answer = house.predict(body, content_encoding=encoding)
        assert (answer.status_code, error(answer)) == (415, "encoded_body")
    assert house.predict(png(), content_encoding="identity").status_code == 200


HEAD = b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n'
KIND = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", form(("x", png()))[0]),
        ("multipart/form-data; boundary=", form(("x", png()))[0]),
        (f"multipart/form-data; boundary={'b' * 20_000}", form(("x", png()))[0]),
        (KIND, b"no boundary at all"),
        (KIND, b"preamble " * 1000 + form(("x", png()))[0]),
        (KIND, form(("x", png()))[0][:-8]),
        (KIND, HEAD + b"X: " + b"h" * 50_000 + b"\r\n\r\ndata\r\n--b--\r\n"),
        (KIND, HEAD + b"no colon\r\n\r\ndata\r\n--b--\r\n"),
        (KIND, b"--b\r\nContent-Type: image/png\r\n\r\ndata\r\n--b--\r\n"),
        (KIND, b"--b\r\n\r\n\r\n--b--\r\n"),
        (KIND, b"--b--\r\n"),
        (KIND, HEAD + b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n"),
        ("multipart/mixed; boundary=b", form(("x", png()))[0]),
    ],
    ids=range(13),
)
def test_s04_forms_that_are_none_are_refused(house, kind, body):
    answer = house.predict(body, content_type=kind)
    assert answer.status_code in (400, 415)
    assert error(answer) in ("malformed_multipart", "unsupported_media_type", "no_picture")


def test_s04_ten_thousand_parts_are_refused_at_once(open_house, untrained):
    house = open_house(untrained(), port=False)
    body, kind = form(*[("x", b"")] * 10_000)
    answer = house.predict(body, content_type=kind)
    assert (answer.status_code, error(answer)) == (413, "too_many_pictures")
    assert answer.elapsed.total_seconds() < 1


def test_s04_names_are_shown_escaped_and_short_and_never_used_as_paths(house, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["../../x.png", "/etc/passwd", "a\\tb\x01", "é" * 3_000, "<img src=x onerror=alert(1)>", "nul\0.png"]
    body, kind = form(*[(name, png()) for name in names])
    answer = house.predict(body, content_type=kind)
    assert answer.status_code == 200
    told = [prediction["name"] for prediction in answer.json()["predictions"]]
    assert all(len(name) <= 101 and name.isprintable() for name in told)
    assert told[4] == names[4]
    assert list(tmp_path.iterdir()) == []


def test_s04_a_form_within_a_form_is_a_picture_that_cannot_be_used(house):
    inner, _ = form(("x", png()), boundary="inner")
    body, kind = form(("outer", inner))
    answer = house.predict(body, content_type=kind)
    assert (answer.status_code, error(answer)) == (422, "unusable_picture")


def test_s05_s06_bodies_of_other_kinds_are_refused_unread(house):
    for kind, body in [
        ("application/x-www-form-urlencoded", b"a=" + b"x" * 50_000),
        ("application/json", b"[" * 100_000),
        ("application/json", b'{"image": "AAAA"}'),
        ("text/plain", b"hello"),
        ("audio/wav", b"RIFF"),
    ]:
        answer = house.predict(body, content_type=kind)
        assert (answer.status_code, error(answer)) == (415, "unsupported_media_type")
    assert good(house)


def test_s07_urls_are_never_fetched(house, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise AssertionError("a name was looked up")

    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        url = f"http://127.0.0.1:{canary.getsockname()[1]}/x.png"
        answer = house.predict(json.dumps({"url": url}).encode(), content_type="application/json")
        assert answer.status_code == 415
        assert "URLs are never fetched" in answer.json()["error"]["message"]
        for address in (url, "file:///etc/passwd", "data:image/png;base64,AAAA"):
            assert house.predict(address.encode()).status_code == 422
        with pytest.raises(BlockingIOError):
            canary.accept()
