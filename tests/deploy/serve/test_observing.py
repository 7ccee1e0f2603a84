"""What can be seen of the server: /info, /metrics, the log, /openapi.json; S24, S25, S27 of the cases."""

from __future__ import annotations

import io
import json
import threading

import pytest

from striate.deploy.serve.logs import MOST_LINES, Log
from striate.deploy.serve.service import ROUTES

from .house import form, png, request


def test_s24_paths_of_all_kinds_make_no_new_figures(house):
    for target in ("/live", "/nope"):
        house.ask("GET", target)
    before = {line.rsplit(" ", 1)[0] for line in house.ask("GET", "/metrics").text.splitlines()}
    for number in range(50):
        house.ask("GET", f"/random-{number}")
        house.predict(png(), f"/predict?x={number}")
    text = house.ask("GET", "/metrics").text
    assert {line.rsplit(" ", 1)[0] for line in text.splitlines()} == before
    assert "random" not in text
    assert house.figure('striate_requests_total{route="other",status="4xx"}') >= 50


def test_metrics_are_what_prometheus_reads(house):
    parser = pytest.importorskip("prometheus_client.parser")
    answer = house.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name for family in parser.text_string_to_metric_families(answer.text)}
    assert {"striate_requests", "striate_request_seconds", "striate_pictures", "striate_batch_pictures",
            "striate_queue_pictures", "striate_decoders", "striate_decoders_replaced", "striate_ready",
            "striate_connections"} <= families  # fmt: skip


def test_s25_nothing_that_is_sent_can_break_a_line_of_the_log(house):
    evil = 'a"}\r\n{"event": "forged"}\x1b[31m\u2028'
    body, kind = form((evil.replace("\r\n", ""), png()))
    house.predict(body, content_type=kind)
    house.ask("GET", "/%0d%0a%7B%22event%22%3A%22forged%22%7D", headers={"user-agent": "x\x1b[0m\t}"})
    house.send(b'GET /"\\u0000%0a HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n')
    house.send(b"\x00\x1b{}\r\n\r\n")
    lines = house.logged()
    assert all(line["event"] != "forged" for line in lines)
    assert all(set(line) >= {"time", "level", "event"} for line in lines)


def test_every_request_is_logged_with_its_id_and_no_query(house):
    answer = house.predict(png(), "/predict?top=1&secret=7")
    line = next(line for line in house.logged() if line.get("request_id") == answer.headers["x-request-id"])
    assert (line["method"], line["path"], line["status"]) == ("POST", "/predict", 400)
    assert "secret" not in house.log.getvalue()
    assert line["ms"] >= 0


def test_a_log_that_nobody_reads_holds_up_nobody():
    gate, lost = threading.Event(), []

    class Stopped(io.StringIO):
        def write(self, text: str) -> int:
            gate.wait(20)
            return super().write(text)

    stream = Stopped()
    log = Log(stream, lost.append)
    for number in range(2 * MOST_LINES + 5000):
        log.event("x", number=number)
    assert lost
    gate.set()
    log.close(20)
    written = [json.loads(line)["number"] for line in stream.getvalue().splitlines()]
    assert written == sorted(written)
    assert len(written) + sum(lost) == 2 * MOST_LINES + 5000


def test_info_tells_what_is_served_and_nothing_of_the_machine(house, model_file):
    told = house.ask("GET", "/info").json()
    card = house.predictor.card
    assert told["classes"] == list(card.spec.classes)
    assert card.weights_sha256.startswith(told["model"])
    assert told["spec"]["height"] == 12
    assert told["limits"]["queue"] == 40
    assert told["engine"]["name"] == "torch"
    assert str(model_file().parent) not in json.dumps(told)


def test_s27_there_are_no_routes_but_those_told(house):
    paths = house.ask("GET", "/openapi.json").json()["paths"]
    assert {*paths, "/openapi.json"} == set(ROUTES)
    methods = {path: set(operations) for path, operations in paths.items()}
    assert methods.pop("/predict") == {"post"}
    assert all(one == {"get"} for one in methods.values())  # none of which changes anything
    told = house.ask("GET", "/openapi.json").json()["paths"]["/predict"]["post"]
    assert set(told["requestBody"]["content"]) == {"image/*", "application/octet-stream", "multipart/form-data"}
    assert {"200", "400", "401", "413", "415", "421", "422", "503", "504"} <= set(told["responses"])


def test_answers_are_as_openapi_tells(house):
    schemas = house.ask("GET", "/openapi.json").json()["components"]["schemas"]
    body, kind = form(("a", png()), ("b", b""))
    answer = house.predict(body, content_type=kind).json()
    assert set(answer) == set(schemas["Predictions"]["properties"])
    assert set(answer["predictions"][0]) == set(schemas["Answered"]["properties"])
    assert set(answer["predictions"][1]) == set(schemas["Unanswered"]["properties"])
    assert set(house.predict(b"").json()) == set(schemas["Refused"]["properties"])
    assert set(house.ask("GET", "/info").json()) == set(schemas["Information"]["properties"])


def test_refusals_of_the_protocol_are_counted_and_logged(house):
    before = house.figure("striate_refused_early_total")
    answer = house.send(request(content_length="x"), until_closed=True)
    assert house.figure("striate_refused_early_total") == before + 1
    assert any(line.get("request_id") == answer.headers["x-request-id"] for line in house.logged())
