"""What a command cannot obey is told in a few lines with its exit code, and no file is written over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from striate.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["train"], 2, "striate train digits"),
        (["train", "digits", "--lr", "-1"], 2, "lr"),
        (["train", "digits", "--lr", "nan"], 2, "lr"),
        (["train", "digits", "--epochs", "many"], 2, "--epochs"),
        (["train", "digits", "--bath-size", "3"], 2, "--batch-size"),
        (["train", "digits", "--model", "resnet81"], 2, "resnet18"),
        (["train", "digits", "--model", "fashion-cnn"], 2, "--img-size 18"),
        (["train", "digits", "--device", "cuda:99"], 2, "--device cpu"),
        (["train", "digits", "--device", "banana"], 2, "auto, cpu"),
        (["train", "digits", "--hue", "0.1"], 2, "grey"),
        (["train", "digits", "--batch-size", "1"], 2, "2 or more"),
        (["train", "digits", "--name", "a/b"], 2, "name"),
        (["train", "digits", "--name", 300 * "x"], 2, "200 at most"),
        (["train", "digits", "--dropout", "0.3"], 2, "mnist-cnn"),
        (["train", "digits", "--data-dir", "/no/such/place"], 3, "/no/such/place"),
        (["train", "digits", "--model", "googlenet", "--no-small"], 2, "--img-size 16"),
        (["train", "digits", "-c", "."], 2, "Is a directory"),
        (["train", "digits:1"], 2, "two different classes"),
        (["train", "digits:1,eleven"], 2, "eleven"),
        (["train", "fasion-mnist"], 3, "fashion-mnist"),
        (["train", "/no/such/folder"], 3, "/no/such/folder"),
        (["train", "digits", "-c", "/no/such.yaml"], 2, "/no/such.yaml"),
        (["train", "--resume", "/no/such/run"], 2, "/no/such/run"),
        (["train", "digits", "--resume"], 2, "leave DATA"),
        (["train", "digits", "--out", "/proc/x"], 6, "/proc"),
        (["train", "digits", "--out", "~no-such-user/x"], 2, "no-such-user"),
        (["train", "~no-such-user/photos"], 3, "no-such-user"),
        (["train", "x/" + 300 * "y"], 3, "no such folder"),
        (["train", "--resume", "x" * 5000], 2, "not a run folder"),
        (["inspect", "fast", "--img-size", "100000"], 2, "--img-size"),
        (["inspect", "fast", "--classes", "2000000000"], 2, "--classes"),
        (["evaluate", "/no/such/run"], 4, "/no/such/run"),
        (["predict", "/no/such/run", "x.png"], 4, "/no/such/run"),
        (["inspect", "no-such-model"], 2, "unknown model"),
        (["data", "fetch", "no-such-data"], 2, "unknown data set"),
        (["no-such-verb"], 2, "no-such-verb"),
    ],
)
def test_what_cannot_be_obeyed_is_told_in_a_few_lines_with_its_exit_code(
    arguments: list[str], code: int, told: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert told in err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 6
    assert out == ""
    assert not list(tmp_path.rglob("*.safetensors"))


def test_no_file_of_the_users_is_written_over(run: Path, tmp_path: Path, capsys) -> None:
    mine = tmp_path / "mine.png"
    mine.write_bytes(b"mine")
    assert main(["data", "show", "digits", "--figure", str(mine)]) == 2
    assert main(["evaluate", str(run), "--predictions", str(mine)]) == 2
    assert main(["evaluate", str(run), "--predictions", str(tmp_path / "no" / "x.csv")]) == 2
    assert main(["data", "show", "digits", "--figure", str(tmp_path / "x.xyz")]) == 2
    assert mine.read_bytes() == b"mine"
    assert main(["evaluate", str(run), "--predictions", str(tmp_path / "x.csv")]) == 0
    assert (tmp_path / "x.csv").read_text().startswith("path,part,index")


def test_a_pickle_offered_as_a_model_is_refused(tmp_path: Path, capsys) -> None:
    import torch

    torch.save({"w": torch.zeros(1)}, tmp_path / "model.pt")
    assert main(["predict", str(tmp_path / "model.pt"), "x.png"]) == 4
    assert "refused" in capsys.readouterr().err


def test_a_folder_that_may_not_be_read_is_the_machines_matter(run: Path, tmp_path: Path, capsys) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may read everything")
    (tmp_path / "closed").mkdir(mode=0)
    assert main(["train", str(tmp_path / "closed" / "photos")]) in (3, 6)
    assert "our own mistake" not in capsys.readouterr().err
