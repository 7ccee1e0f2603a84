"""The client reads answers as they are, judges each, and counts what no answer came to."""

from __future__ import annotations

import asyncio
import json
import math
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.serving.__main__ import outcome_of
from benchmarks.serving.account import Account, Record, Verdict, percentile
from benchmarks.serving.client import Load, instants, run
from benchmarks.serving.processes import family, processor_seconds, resident_bytes
from benchmarks.serving.questions import Question, ask
from benchmarks.serving.replies import NotHTTPError, read_reply

RIGHT = {"label": "a", "probabilities": {"a": 0.75, "b": 0.25}}


def question(data: bytes = b"\xff\xd8picture") -> Question:
    return ask([data], [("a", {"a": 0.75, "b": 0.25})])[0]


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (RIGHT, True),
        ({"predictions": [RIGHT], "request_id": "x"}, True),
        ({"label": "a", "probabilities": {"a": 0.75009, "b": 0.24991}}, True),
        ({"label": "a", "probabilities": {"a": 0.75011, "b": 0.24989}}, False),
        ({"label": "b", "probabilities": {"a": 0.75, "b": 0.25}}, False),
        ({"label": "a", "probabilities": {"a": 0.75}}, False),
        ({"label": "a", "probabilities": {"a": math.nan, "b": 0.25}}, False),
        ({"label": "a", "probabilities": [0.75, 0.25]}, False),
        ({"predictions": []}, False),
        ({"predictions": [{"error": {}}]}, False),
        ([], False),
    ],
)
def test_an_answer_is_right_where_class_and_every_probability_are(answer: object, right: bool) -> None:
    assert question().is_answered_by(json.dumps(answer).encode()) is right


def test_what_is_no_json_is_no_right_answer() -> None:
    assert not question().is_answered_by(b"<html>")
    assert not question().is_answered_by(b"\xff")


def test_a_request_has_the_length_of_its_picture_and_its_id() -> None:
    head, _, body = question(b"\x89PNGpicture").request(b"id-1").partition(b"\r\n\r\n")
    assert body == b"\x89PNGpicture"
    assert head.split(b"\r\n")[0] == b"POST /predict HTTP/1.1"
    assert {b"Content-Length: 11", b"Content-Type: image/png", b"X-Request-Id: id-1"} < set(head.split(b"\r\n"))


@given(body=st.binary(max_size=200), rest=st.binary(max_size=20), cut=st.integers(0, 400), chunk=st.integers(1, 50))
def test_an_answer_is_whole_exactly_when_all_of_it_is_there(body: bytes, rest: bytes, cut: int, chunk: int) -> None:
    chunks = [body[place : place + chunk] for place in range(0, len(body), chunk)]
    chunked = b"".join(b"%X\r\n%b\r\n" % (len(one), one) for one in chunks) + b"0\r\n\r\n"
    for whole in (reply(body), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked):
        read = read_reply(whole + rest)
        assert read is not None
        assert (read.status, read.body, read.size) == (200, body, len(whole))
        assert read_reply(whole[: min(cut, len(whole) - 1)]) is None


@pytest.mark.parametrize("data", [b"SSH-2.0\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\0" * 10])
def test_what_is_no_answer_is_told(data: bytes) -> None:
    with pytest.raises(NotHTTPError):
        read_reply(data)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_numpys_inverted_cdf(values: list[float], share: float) -> None:
    assert percentile(values, share) == np.quantile(values, share, method="inverted_cdf")


def test_requests_become_due_evenly_or_as_a_poisson_process() -> None:
    even = list(instants(5.0, 100.0, 2.0, poisson=False, seed=0))
    np.testing.assert_allclose(even, 5 + np.arange(len(even)) / 100, atol=1e-9)
    assert len(even) in (200, 201)
    gaps = np.diff(list(instants(0.0, 1000.0, 20.0, poisson=True, seed=0)))
    assert gaps.mean() == pytest.approx(1e-3, rel=0.03)
    assert gaps.std() == pytest.approx(1e-3, rel=0.05), "of an exponential distribution, mean and deviation are equal"


Behaviour = Callable[[socket.socket, int], None]


@contextmanager
def serving(behave: Behaviour) -> Iterator[int]:
    """Give the port of a server of one thread that lets `behave` have each connection, with its number."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = False

    def accept() -> None:
        number = 0
        while not ended:
            connection, _ = listener.accept()
            with connection:
                if not ended:
                    with suppress(ConnectionError):
                        behave(connection, number)
            number += 1

    thread = Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended = True
        with socket.create_connection(listener.getsockname()):
            pass
        thread.join()
        listener.close()


def answering(*answers: bytes) -> Behaviour:
    """Return a behaviour: each request read gets the next answer, and then the connection is closed."""

    def behave(connection: socket.socket, number: int) -> None:
        for answer in answers:
            if not connection.recv(65536):
                return
            connection.sendall(answer)

    return behave


def counts(behave: Behaviour, seconds: float = 0.1, **options: object) -> dict[str, int]:
    with serving(behave) as port:
        account = run(Load(port, [question()], 1, seconds, patience=0.2, **options).run())  # type: ignore[arg-type]
    return dict(account.counts)


def test_each_kind_of_answer_is_counted_as_what_it_is() -> None:
    right, other = json.dumps(RIGHT).encode(), json.dumps({**RIGHT, "label": "b"}).encode()
    assert counts(answering(reply(right), reply(right, "200 OK", "Connection: close"))).keys() == {"right"}
    assert counts(answering(reply(other, "200 OK", "Connection: close"))).keys() == {"wrong"}
    assert counts(answering(reply(b"{}", "503 Busy", "Retry-After: 1", "Connection: close"))).keys() == {"refused"}
    assert counts(answering(reply(b"{}", "503 Busy", "Connection: close"))).keys() == {"error"}
    assert counts(answering(reply(b"{}", "500 Oh", "Connection: close"))).keys() == {"error"}
    assert counts(answering(b"nonsense\r\n\r\n")).keys() == {"error"}


def test_an_answer_to_another_request_is_wrong() -> None:
    assert counts(answering(reply(json.dumps(RIGHT).encode(), "200 OK", "Connection: close")), tagged=True).keys() == {
        "wrong"
    }


def read(connection: socket.socket, number: int) -> None:
    connection.recv(65536)


def leave_unread(connection: socket.socket, number: int) -> None:
    connection.recv(1, socket.MSG_PEEK)  # it is there


def reset(connection: socket.socket, number: int) -> None:
    connection.recv(1, socket.MSG_PEEK)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def be_silent(connection: socket.socket, number: int) -> None:
    connection.recv(65536)
    connection.recv(1)  # until the client gives up


def test_a_request_that_was_read_and_not_answered_is_dropped() -> None:
    assert counts(read).keys() == {"dropped"}
    assert counts(answering(reply(b"{}")[:-1])).keys() == {"dropped"}


def test_a_request_that_was_not_read_is_unread() -> None:
    assert counts(leave_unread).keys() == {"unread"}
    assert counts(reset).keys() == {"unread"}


def test_an_answer_that_does_not_come_is_late() -> None:
    assert counts(be_silent) == {"late": 1}


def test_in_an_open_loop_latency_counts_from_when_a_request_was_due() -> None:
    async def slow(port: list[int], ended: asyncio.Event) -> None:
        """Answer one request every 20 ms, whatever becomes due."""

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(65536):
                await asyncio.sleep(0.02)
                writer.write(reply(json.dumps(RIGHT).encode()))
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port.append(server.sockets[0].getsockname()[1])
        await ended.wait()
        server.close()

    async def both() -> Account:

        port: list[int] = []
        ended = asyncio.Event()
        serving = asyncio.create_task(slow(port, ended))
        while not port:
            await asyncio.sleep(0)
        account = await Load(port[0], [question()], 1, 0.3, rate=100.0, poisson=False).run()
        ended.set()
        await serving
        return account

    account = asyncio.run(both())
    assert account.counts["right"] + account.unsent in (30, 31)
    assert account.unsent == 0, "what was due is still sent"
    # 30 requests due in 0.3 s, one answered every 20 ms: the last one waited for 0.3 s
    assert account.percentile(1.0) >= 0.28
    assert max(record.done - record.sent for record in account.records) < account.percentile(1.0)


def test_the_figures_of_an_account() -> None:
    records = [Record(0.0, 0.0, 0.010 * (number + 1), 200, Verdict.RIGHT) for number in range(100)]
    account = Account([*records, Record(0, 0, 9, 503, Verdict.REFUSED), Record(0, 0, 9, 500, Verdict.ERROR)], 2.0, 0.5)
    assert account.server_errors == 1
    outcome = outcome_of(account, 3.0)
    assert (outcome.rate, outcome.p50_ms, outcome.p95_ms, outcome.p99_ms) == (50.0, 500.0, 950.0, 990.0)
    assert (outcome.client, outcome.server, outcome.requests) == (0.25, 1.5, 102)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's /proc")
def test_what_a_process_holds() -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        members = family(parent.pid)
        assert members[0] == parent.pid
        assert len(members) == 2
        assert parent.pid in family(os.getpid())
        assert resident_bytes(parent.pid) > resident_bytes(members[1]) > 2**20
        assert processor_seconds(parent.pid) > 0
        parent.communicate(b"\n")
    assert family(parent.pid) == []
