"""The program `striate serve`, from start to end: S18, S19 of the cases, reloading, and processes that end with it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from striate.cli.main import main

from .conftest import save
from .house import png

PATIENCE = 30.0


class Program:
    """`striate serve` as a process of its own."""

    def __init__(self, model: Path, folder: Path, *options: str) -> None:
        arguments = [sys.executable, "-m", "striate.cli.entry", "serve", str(model), "--port", "0"]
        self.errors = folder / "stderr.txt"
        with open(self.errors, "wb") as stderr:
            self.process = subprocess.Popen(
                [*arguments, "--engine", "torch", "--workers", "1", *options], stdout=subprocess.PIPE, stderr=stderr
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert line.startswith("serving on http://127.0.0.1:"), self.errors.read_text()
        self.port = int(line.rsplit(":", 1)[1])

    def ask(self, method: str = "POST", target: str = "/predict", body: bytes | None = None) -> tuple[int, dict]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request(method, target, body, {"content-type": "image/png"} if body else {})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text)

    def predict(self, seed: int = 0) -> tuple[int, dict]:
        return self.ask(body=png(seed))

    def events(self) -> list[dict]:
        return [json.loads(line) for line in self.errors.read_text().splitlines()]

    def until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not reached():
            assert time.monotonic() < deadline, self.errors.read_text()
            time.sleep(0.01)

    def wait_for(self, event: str) -> dict:
        self.until(lambda: any(line["event"] == event for line in self.events()))
        return next(line for line in self.events() if line["event"] == event)

    def decoders(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def program(tmp_path) -> Iterator[Callable[..., Program]]:
    started: list[Program] = []

    def start(model: Path, *options: str) -> Program:
        started.append(Program(model, tmp_path, *options))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
        one.process.stdout.close()


def test_s18_s19_it_answers_reloads_and_ends_with_0(program, tmp_path, untrained, model_file):
    file = tmp_path / "served.safetensors"
    shutil.copy(model_file(), file)
    server = program(file)
    status, first = server.predict()
    (wanted,) = untrained().predict(png())
    assert status == 200
    assert first["predictions"][0]["probabilities"] == pytest.approx(wanted.probabilities, abs=1e-6)
    assert server.ask("GET", "/ready")[0] == 200

    # a bad file leaves the old network in place
    file.write_bytes(b"nonsense")
    server.process.send_signal(signal.SIGHUP)
    assert "serv" in server.wait_for("reload_refused")["message"]
    assert server.predict()[1]["predictions"] == first["predictions"]
    assert server.ask("GET", "/ready")[0] == 200

    # a good one of another size and other classes takes its place
    save(file, seed=7, channels=3, side=16, classes=3)
    server.process.send_signal(signal.SIGHUP)
    told = server.wait_for("reloaded")
    status, second = server.predict()
    assert (status, second["model"]) == (200, told["model"])
    assert second["model"] != first["model"]
    assert list(second["predictions"][0]["probabilities"]) == ["class 0", "class 1", "class 2"]

    # two servers at one port: the second says so and ends
    taken = subprocess.run(
        [sys.executable, "-m", "striate.cli.entry", "serve", str(file), "--port", str(server.port)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert taken.returncode == 6
    assert f"port {server.port} is in use" in taken.stderr
    assert server.end() == 0
    assert [line["event"] for line in server.events() if line["event"] in ("draining", "ended")] == [
        "draining",
        "ended",
    ]


def test_s18_it_announces_its_end_and_a_second_signal_ends_it_at_once(program, model_file):
    server = program(model_file(), "--announce", "60")
    server.process.send_signal(signal.SIGTERM)
    server.wait_for("draining")
    status, told = server.ask("GET", "/ready")
    assert (status, told["error"]["message"]) == (503, "draining")
    assert server.predict()[0] == 200  # new connections are still taken
    assert server.end() == 128 + signal.SIGTERM


def test_its_decoders_end_with_it_whatever_ends_it(program, model_file):
    server = program(model_file())
    (decoder,) = server.decoders()
    server.process.kill()
    server.process.wait()
    server.until(lambda: not Path(f"/proc/{decoder}").exists() or "Z" in Path(f"/proc/{decoder}/stat").read_text())


def test_s19_what_cannot_be_served_is_told_before_anything_listens(model_file, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("STRIATE_TOKEN", raising=False)
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"nonsense")
    good = str(model_file())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, code, told in [
            (["/no/such/run", "--port", "0"], 4, "/no/such/run"),
            ([str(bad), "--port", "0"], 4, str(bad)),
            ([good, "--port", port], 6, f"port {port} is in use"),
            ([good, "--port", "70000"], 2, "port"),
            ([good, "--port", "-1"], 2, "port"),
            ([good, "--host", "0.0.0.0", "--port", "0"], 2, "--token-file"),
            ([good, "--host", "192.0.2.77", "--insecure", "--port", "0"], 2, "not an address of this machine"),
            ([good, "--host", "no.such.host.invalid", "--insecure", "--port", "0"], 2, "unknown address"),
            ([good, "--token-file", str(tmp_path / "none"), "--port", "0"], 2, "token file"),
            ([good, "--engine", "steam", "--port", "0"], 2, "steam"),
            ([good, "--device", "cuda:99", "--port", "0"], 2, "--device cpu"),
            ([good, "--queue", "0"], 2, "queue"),
            ([good, "--batch-wait", "nan"], 2, "batch_wait"),
            ([good, "--quue", "5"], 2, "--quue"),
            ([good, "--allowed-host", "http://x", "--port", "0"], 2, "--allowed-host http://x"),
        ]:
            assert main(["serve", *arguments]) == code, arguments
            out, err = capsys.readouterr()
            assert out == ""
            assert told in err
            assert "fix: " in err
            assert len(err.splitlines()) <= 5


def test_the_help_lists_every_setting(capsys):
    from striate.deploy.serve.settings import ServeSettings

    assert main(["serve", "--help"]) == 0
    out, _ = capsys.readouterr()
    assert all(f"--{name.replace('_', '-')}" in out for name in ServeSettings.model_fields)


def test_a_decoding_process_loads_no_torch():
    code = "import sys, striate.data.decoder_process; print('torch' in sys.modules or 'torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_token_is_kept_from_decoding_processes(program, model_file, monkeypatch):
    monkeypatch.setenv("STRIATE_TOKEN", "a-token-of-some-length")
    server = program(model_file())
    (decoder,) = server.decoders()
    assert b"a-token-of-some-length" not in Path(f"/proc/{decoder}/environ").read_bytes()
    assert server.predict()[0] == 401
    assert os.environ["STRIATE_TOKEN"] not in server.errors.read_text()


def test_the_limit_of_pixels_is_the_decoders():
    from striate.data import decode
    from striate.deploy.serve import settings

    assert decode.MAX_PIXELS == settings.MAX_PIXELS == settings.ServeSettings().max_pixels
