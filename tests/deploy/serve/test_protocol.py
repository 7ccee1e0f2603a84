"""HTTP itself, over sockets: S09 to S14 of the cases."""

from __future__ import annotations

import asyncio
import json
import socket
import struct

import pytest

from .house import form, png, read_answer, request


def good(house) -> bool:
    return house.send(request(png())).status == 200


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/predict", 405),
        ("PUT", "/predict", 405),
        ("POST", "/live", 405),
        ("HEAD", "/predict", 405),
        ("OPTIONS", "/predict", 405),
        ("GET", "/", 404),
        ("GET", "/docs", 404),
        ("GET", "//", 404),
        ("GET", "//predict", 404),
        ("GET", "/live/", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/..;/live", 404),
        ("GET", "/live%00", 404),
        ("GET", "/%ff%fe", 404),
        ("GET", "/" + "x" * 8000, 404),
        ("GET", "/" + "x" * 9000, 414),
        ("GET", "/" + "x" * 64_000, 414),
        ("GET", "http://127.0.0.1/live", 400),
        ("GET", "http://evil.example/live", 400),
        ("GET", "live", 400),
        ("OPTIONS", "*", 400),
        ("CONNECT", "127.0.0.1:80", 400),
        ("FROB", "/live", 400),
        ("GET", "/a\0b", 400),
        ("GET", "/a\x80b", 400),
        ("POST", "/admin", 404),
        ("POST", "/reload", 404),
        ("POST", "/models/load", 404),
        ("DELETE", "/model", 404),
    ],
)
def test_s09_s27_only_the_routes_there_are_answer(house, method, target, status):
    answer = house.send(request(method=method, target=target))
    assert answer.status == status
    if method != "HEAD":
        told = json.loads(answer.body)
        assert told["error"]["fix"]
        assert told["request_id"] == answer.headers["x-request-id"]
    if status == 405:
        assert answer.headers["allow"] in ("POST", "GET")


@pytest.mark.parametrize("target", ["/live", "/ready", "/info"])
def test_a_head_is_that_of_get_without_its_body(house, target):
    asked, told = (house.send(request(method=method, target=target)) for method in ("HEAD", "GET"))
    assert (asked.status, asked.body) == (told.status, b"") == (200, b"")
    assert asked.headers["content-length"] == str(len(told.body))
    two = request(method="HEAD", target=target) + request(method="GET", target="/live")
    assert b"live" in house.run(_second(house, two))


async def _second(house, requests: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    try:
        writer.write(requests)
        await read_answer(reader, without_body=True)
        return (await read_answer(reader)).body
    finally:
        writer.close()


def test_s09_the_host_decides_nothing_but_whether_it_is_ours(house):
    for host in ("evil.example", "127.0.0.1/predict?x=", "127.0.0.1.nip.io", "", "127.0.0.1@evil.example", "a b"):
        answer = house.send(request(method="GET", target="/live", host=host))
        assert answer.status in (400, 421), host
    for host in ("localhost", "LOCALHOST:80", "127.0.0.1:8000", "[::1]:99"):
        assert house.send(request(method="GET", target="/live", host=host)).status == 200
    twice = b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n"
    assert house.send(twice, until_closed=True).status == 400


def test_s10_ranges_are_not_read(house):
    ranges = "bytes=" + ",".join(f"{number}-" for number in range(5000))
    answer = house.send(request(method="GET", target="/live", range=ranges[:30_000]))
    assert (answer.status, answer.headers.get("content-range")) == (200, None)


@pytest.mark.parametrize(
    "head",
    [
        "x: " + "h" * 100_000,
        "x" * 100_000 + ": y",
        "".join(f"x-{number}: y\r\n" for number in range(1000)),
        "".join(f"x-{number}: {'y' * 500}\r\n" for number in range(90)),
    ],
    ids=["value", "name", "many", "sum"],
)
def test_s11_long_heads_are_refused(house, head):
    answer = house.send(b"GET /live HTTP/1.1\r\nhost: 127.0.0.1\r\n" + head.encode() + b"\r\n\r\n", until_closed=True)
    assert (answer.status, answer.code, answer.closed) == (431, "head_too_long", True)
    assert good(house)


def test_s11_a_header_without_an_end_is_refused_before_it_fills_the_memory(house):
    begun = b"GET /live HTTP/1.1\r\nx: " + b"h" * 200_000
    assert house.send(begun, until_closed=True).status == 431


@pytest.mark.parametrize("given", ["a\x0bb", "x" * 65, "id with spaces", "<script>", "é", '"quoted"'])
def test_s11_request_ids_that_could_break_a_log_are_not_taken_over(house, given):
    answer = house.send(request(method="GET", target="/live", x_request_id=given))
    assert answer.headers.get("x-request-id", "") != given
    house.logged()


def test_a_request_id_that_is_sane_is_taken_over(house):
    answer = house.send(request(method="GET", target="/live", x_request_id="mine-1.2_3"))
    assert answer.headers["x-request-id"] == "mine-1.2_3"
    assert any(line.get("request_id") == "mine-1.2_3" for line in house.logged())


BODY = png()
LENGTH = b"content-length: %d\r\n" % len(BODY)
POST = b"POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\n"
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize(
    "sent",
    [
        POST + LENGTH + b"transfer-encoding: chunked\r\n\r\n" + CHUNKED,
        POST + b"transfer-encoding: chunked\r\n" + LENGTH + b"\r\n" + CHUNKED,
        POST + b"transfer-encoding: xchunked\r\n\r\n" + CHUNKED,
        POST + b"transfer-encoding : chunked\r\n\r\n" + CHUNKED,
        POST + b"transfer-encoding: chunked, identity\r\n\r\n" + CHUNKED,
        POST + b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n" + CHUNKED,
        POST.replace(b"\r\n", b"\n") + LENGTH.replace(b"\r\n", b"\n") + b"\n" + BODY,
        POST + b"x: a\nb: c\r\n" + LENGTH + b"\r\n" + BODY,
        POST + b"x: a\rb: c\r\n" + LENGTH + b"\r\n" + BODY,
        POST + b"x: a\0b\r\n" + LENGTH + b"\r\n" + BODY,
        POST + b"x\r\n" + LENGTH + b"\r\n" + BODY,
        POST + b" folded: x\r\n" + LENGTH + b"\r\n" + BODY,
        POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n" + BODY,
        POST + b"transfer-encoding: chunked\r\n\r\n-5\r\n" + BODY,
        POST + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + BODY,
        POST + b"transfer-encoding: chunked\r\n\r\n5;a\nb\r\nabcde\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n0\r\n\r\n",
        b"POST /predict HTTP/9.9\r\nhost: 127.0.0.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"GET /live\r\n\r\n",
    ],
    ids=range(21),
)
def test_s14_what_could_be_read_in_two_ways_is_refused_and_the_connection_ended(house, sent):
    answer = house.send(sent, until_closed=True)
    assert (answer.status, answer.closed) == (400, True)
    assert good(house)


def test_s14_requests_sent_ahead_are_answered_in_order_up_to_a_limit(house):
    async def ahead(count: int) -> list[int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(request(png()) + request(b"", "GET", "/live") * (count - 1))
        try:
            return [(await read_answer(reader)).status for _ in range(count)]
        finally:
            writer.close()

    assert house.run(ahead(10)) == [200] * 10
    with pytest.raises(asyncio.IncompleteReadError):  # the first is answered, then the connection ends
        house.run(ahead(100))
    assert good(house)


def test_a_bad_request_behind_a_good_one_does_not_cost_its_answer(house):
    answer = house.send(request(png()) + b"nonsense\r\n\r\n", until_closed=True)
    assert (answer.status, answer.closed) == (200, True)


def test_expect_continue_is_obeyed(house):
    async def ask() -> tuple[bytes, int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        whole = request(png(), expect="100-continue")
        writer.write(whole[: -len(png())])
        interim = await reader.readuntil(b"\r\n\r\n")
        writer.write(png())
        status = (await read_answer(reader)).status
        writer.close()
        return interim, status

    assert house.run(ask()) == (b"HTTP/1.1 100 Continue\r\n\r\n", 200)


def test_an_upgrade_is_not_made(house):
    asked = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2_settings": "AAMAAABk"}
    answer = house.send(request(png(), **asked), until_closed=True)
    assert (answer.status, answer.code) == (400, "upgrade")
    assert house.send(request(b"", "GET", "/live", **asked)).status == 200


def test_http_1_0_is_answered_and_closed(house):
    answer = house.send(request(png()).replace(b"HTTP/1.1", b"HTTP/1.0"), until_closed=True)
    assert (answer.status, answer.closed) == (200, True)


def open_now(house) -> int:
    return len(house.listener.connections)


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET /live HT", b"GET /live HTTP/1.1\r\nhost: 127.0.0.1\r\nx: "])
def test_s12_slow_heads_are_closed_by_the_deadline(house, sent):
    async def trickle() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(sent)
        got = asyncio.create_task(reader.read())
        while not (await asyncio.wait({got}, timeout=0.1))[0] and not writer.is_closing():
            writer.write(b"\n" if sent == b"\r\n" else b"x" if sent else b"")  # a byte now and then does not help
        writer.close()
        return await got

    told = house.run(trickle())
    assert told == b"" if not sent else told.startswith((b"HTTP/1.1 408", b"HTTP/1.1 400"))
    assert house.run(house.until(lambda: open_now(house) == 0)) is None


def test_s12_slow_bodies_are_closed_by_the_deadline_and_others_are_answered_meanwhile(house):
    async def slow() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(request(png())[:-20])
        got = await reader.read()
        writer.close()
        return got

    async def both() -> tuple[list[bytes], list[int]]:
        slow_ones = [asyncio.create_task(slow()) for _ in range(100)]
        good_ones = [(await house.exchange(request(png()))).status for _ in range(20)]
        return await asyncio.gather(*slow_ones), good_ones

    told, good_ones = house.run(both())
    assert all(one.startswith(b"HTTP/1.1 408") for one in told)
    assert good_ones == [200] * 20
    assert house.service.admission.held == house.service.admission.pictures == 0


def test_s12_who_does_not_read_answers_is_cut_off(house):
    with socket.create_connection(("127.0.0.1", house.port)) as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.setblocking(False)

        async def ask_without_reading() -> None:
            loop = asyncio.get_running_loop()
            try:
                while True:
                    await loop.sock_sendall(reader, request(b"", "GET", "/openapi.json", x="x" * 20_000))
            except ConnectionError:
                return

        house.run(ask_without_reading())
    house.run(house.until(lambda: open_now(house) == 0))
    assert good(house)


def test_s13_idle_connections_are_closed_and_many_of_them_hold_up_nobody(house):
    async def idle() -> int:
        opened = [await asyncio.open_connection("127.0.0.1", house.port) for _ in range(300)]
        for _, writer in opened[::2]:
            writer.write(request(b"", "GET", "/live"))
        for reader, _ in opened[::2]:
            assert (await read_answer(reader)).status == 200
        status = (await house.exchange(request(png()))).status
        ends = await asyncio.gather(*(reader.read() for reader, _ in opened))
        assert set(ends) == {b""}
        for _, writer in opened:
            writer.close()
        await house.until(lambda: open_now(house) == 0)
        return status

    assert house.run(idle()) == 200


def test_s13_a_client_that_leaves_while_sending_or_waiting_costs_nothing(house):
    async def leave(sent: bytes) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(sent)
        await writer.drain()
        await asyncio.sleep(0)
        linger = struct.pack("ii", 1, 0)  # closed by RST
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async def all_leave() -> None:
        whole = request(png())
        await asyncio.gather(*(leave(whole[: len(whole) * part // 8]) for part in range(1, 9) for _ in range(5)))
        await house.until(lambda: open_now(house) == 0)
        service = house.service
        await house.until(lambda: service.admission.pictures == service.decoders.coming == service.batcher.held == 0)

    house.run(all_leave())
    assert house.service.admission.held == 0
    assert good(house)


def test_too_many_connections_are_refused(house, monkeypatch):
    monkeypatch.setattr(house.listener, "_most", 3)

    async def fourth() -> int:
        opened = [await asyncio.open_connection("127.0.0.1", house.port) for _ in range(3)]
        await house.until(lambda: open_now(house) == 3)
        answer = await house.exchange(b"")
        for _, writer in opened:
            writer.close()
        await house.until(lambda: open_now(house) == 0)
        return answer.status

    assert house.run(fourth()) == 503
    assert good(house)


def test_every_answer_says_that_it_is_what_it_says_and_not_to_be_kept(house):
    body, kind = form(("x", b""))
    for answer in (
        house.send(request(png())),
        house.send(request(b"", "GET", "/nope")),
        house.send(request(body, content_type=kind)),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"
        assert "server" not in answer.headers
        assert not any(name.startswith("access-control-") for name in answer.headers)
