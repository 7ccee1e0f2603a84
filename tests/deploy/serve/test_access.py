"""Who may ask: S21, S22 of the cases, and pages of other sites."""

from __future__ import annotations

from pathlib import Path

import pytest

from striate.core.errors import SettingsError
from striate.deploy.serve.access import Access, is_loopback
from striate.deploy.serve.answers import Refusal
from striate.deploy.serve.listening import VARIABLE, read_token, require_names
from striate.deploy.serve.settings import ServeSettings

from .house import png

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_s21_listening_beyond_this_machine_takes_a_token(host, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(SettingsError, match="--token-file") as refused:
        read_token(ServeSettings(host=host))
    assert refused.value.exit_code == 2
    assert read_token(ServeSettings(host=host, insecure=True)) is None
    monkeypatch.setenv(VARIABLE, TOKEN)
    assert read_token(ServeSettings(host=host)) == TOKEN


@pytest.mark.parametrize("name", ["http://x", "a b", "model.example.org:80", "x/y", ""])
def test_names_that_no_host_header_can_have_are_refused(name):
    with pytest.raises(SettingsError, match="a name alone"):
        require_names(("*", "localhost", "[::1]", "model.example.org", name))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_s21_this_machine_alone_takes_none(host, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert is_loopback(host)
    assert read_token(ServeSettings(host=host)) is None
    assert ServeSettings().host == "127.0.0.1"


@pytest.mark.parametrize("text", ["", "short", "with spaces in it, many", "ünïcode-token-of-some-length", "\0" * 20])
def test_tokens_that_are_none_are_refused(text, tmp_path: Path):
    (tmp_path / "token").write_text(text)
    with pytest.raises(SettingsError, match="16 or more"):
        read_token(ServeSettings(token_file=tmp_path / "token"))


def test_a_token_file_that_cannot_be_read_is_told(tmp_path: Path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(SettingsError, match="token file cannot be read"):
            read_token(ServeSettings(token_file=path))
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert read_token(ServeSettings(token_file=tmp_path / "token")) == TOKEN


def test_s22_without_the_token_nothing_is_answered_but_whether_it_lives(open_house, untrained):
    house = open_house(untrained(), token=TOKEN, port=False)
    wrong = ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN,
             f"Bearer  {TOKEN}", "Bearer " + "x" * 1_000_000, "Bearer tökén-of-some-length"]  # fmt: skip
    for given in wrong:
        answer = house.ask("POST", "/predict", content=png(), headers={"authorization": given.encode()})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "token"), given[:30]
        assert answer.headers["www-authenticate"] == "Bearer"
    for target in ("/info", "/metrics", "/openapi.json", "/nope", f"/info?token={TOKEN}"):
        assert house.ask("GET", target).status_code == 401
    assert house.ask("GET", "/live").status_code == house.ask("GET", "/ready").status_code == 200
    right = {"authorization": f"Bearer {TOKEN}"}
    assert house.ask("POST", "/predict", content=png(), headers=right).status_code == 200
    # in the query it would stand in logs: it is of no use there
    assert house.ask("POST", f"/predict?token={TOKEN}", content=png()).status_code == 401
    assert house.ask("POST", f"/predict?token={TOKEN}", content=png(), headers=right).status_code == 400
    house.logged()
    assert TOKEN[:-1] not in house.log.getvalue()


def refused(access: Access, **headers: str) -> int:
    try:
        access.check("/predict", {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()})
    except Refusal as refusal:
        return refusal.status
    return 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("127.0.0.1", 200),
        ("[::1]:8000", 200),
        ("model.example", 200),
        ("MODEL.example:443", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("127.0.0.1.nip.io", 421),
        ("localhost.evil.example", 421),
        ("[::ffff:127.0.0.1]", 421),
        ("192.0.2.1", 421),
        ("127.0.0.1:port", 421),
        ("localhost:8000:1", 421),
        ("", 421),
    ],
)
def test_the_server_answers_to_its_own_names_alone(host, status):
    assert refused(Access("127.0.0.1", ("model.example",), None), host=host) == status


def test_beyond_this_machine_any_address_is_its_own_and_names_are_not():
    access = Access("0.0.0.0", (), "x" * 20)
    assert refused(access, host="192.0.2.1:80") == 401  # the host is taken, and the token asked for
    assert refused(access, host="[2001:db8::1]") == 401
    assert refused(access, host="evil.example") == 421
    assert refused(Access("0.0.0.0", ("*",), None), host="whatever.example") == 200


@pytest.mark.parametrize(
    ("origin", "site", "status"),
    [
        (None, None, 200),
        ("http://localhost:8000", "same-origin", 200),
        ("https://localhost:8000", None, 200),
        (None, "none", 200),
        ("null", None, 403),
        ("http://evil.example", "cross-site", 403),
        ("http://localhost:9000", "same-site", 403),
        ("file://", None, 403),
        (None, "cross-site", 403),
        (None, "same-site", 403),
    ],
)
def test_pages_of_other_sites_may_not_ask(origin, site, status):
    given = {"origin": origin, "sec_fetch_site": site}
    headers = {name: value for name, value in given.items() if value}
    assert refused(Access("127.0.0.1", (), None), host="localhost:8000", **headers) == status
