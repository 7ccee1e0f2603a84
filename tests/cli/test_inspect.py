"""`striate inspect`, `data` and `doctor`: networks, runs, data and the machine shown."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from striate.cli.main import main


def test_inspect_shows_the_documents_table(capsys) -> None:
    assert main(["inspect", "fashion-cnn"]) == 0
    assert "167,114" in capsys.readouterr().out
    assert main(["inspect"]) == 0
    assert "resnet18" in capsys.readouterr().out.split()


def test_inspect_reads_a_run(run: Path, capsys) -> None:
    assert main(["inspect", str(run)]) == 0
    out = capsys.readouterr().out
    assert "dark, light" in out
    assert main(["inspect", str(run / "model.safetensors"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["card"]["spec"]["classes"] == ["dark", "light"]


def test_inspect_draws_a_network_and_does_not_write_over_a_file(run: Path, tmp_path: Path, capsys) -> None:
    for target, name in (("fashion-cnn", "known.png"), (str(run), "run.svg")):
        assert main(["inspect", target, "--figure", str(tmp_path / name)]) == 0
        assert name in capsys.readouterr().out
        assert main(["inspect", target, "--figure", str(tmp_path / name)]) == 2
    with Image.open(tmp_path / "known.png") as sheet:
        assert sheet.size[0] > 600
    assert "from picture to classes" in (tmp_path / "run.svg").read_text()


def test_data_list_show_and_doctor(photos: Path, tmp_path: Path, capsys) -> None:
    assert main(["data", "list"]) == 0
    assert "digits" in capsys.readouterr().out
    figure = tmp_path / "sheet.png"
    assert main(["data", "show", str(photos), "--figure", str(figure), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (
        sum(shown["parts"]["train"].values())
        + sum(shown["parts"]["test"].values())
        + sum(shown["parts"]["val"].values())
        == 60
    )
    with Image.open(figure) as sheet:
        assert sheet.size[0] > 200
    assert main(["data", "show", "digits"]) == 0
    assert main(["doctor", "--json"]) == 0
    assert "torch" in json.loads(capsys.readouterr().out.splitlines()[-1])
