"""The command line as a user meets it: what it writes where, and how it exits."""

from __future__ import annotations

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from striate.cli.main import main

QUICK = ["--epochs", "2", "--precision", "fp32", "--device", "cpu"]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Two classes that can be told apart: dark and light pictures."""
    folder = tmp_path_factory.mktemp("photos")
    for name, level in (("dark", 40), ("light", 200)):
        for i in range(30):
            (folder / name).mkdir(exist_ok=True)
            Image.effect_noise((20, 16), 30).point(lambda v, d=level - 128: v + d).convert("RGB").save(
                folder / name / f"{i:02}.png"
            )
    return folder


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    assert main(["train", str(photos), *QUICK, "--out", str(out), "--name", "photos", "--quiet"]) == 0
    return out / "photos"


def test_a_run_folder_is_complete_and_the_data_are_untouched(photos: Path, tmp_path: Path, capsys) -> None:
    before = tree(photos)
    assert main(["train", str(photos), *QUICK, "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    folder = tmp_path / photos.name
    for name in (
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "files.csv",
        "model.safetensors",
        "evaluation.json",
    ):
        assert (folder / name).stat().st_size > 0, name
    assert "epoch 1/2" in err, "progress goes to stderr"
    assert "test" in out, "the result goes to stdout"
    assert f"striate predict {folder}" in out, "what to type next"
    assert "epoch" not in out
    assert "\x1b" not in err + out, "no control codes without a terminal"
    assert tree(photos) == before
    rows = list(csv.DictReader((folder / "files.csv").read_text().splitlines()))
    assert {row["status"] for row in rows} == {"used"}
    assert len(rows) == 60


def test_json_is_one_value_on_stdout(photos: Path, tmp_path: Path, capsys) -> None:
    assert main(["train", str(photos), *QUICK, "--out", str(tmp_path), "--json", "--quiet"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert err == ""
    assert result["test"]["count"] == 6
    assert Path(result["model"]).is_file()


def test_evaluate_repeats_what_training_measured(run: Path, capsys) -> None:
    assert main(["evaluate", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((run / "evaluation.json").read_text())["test"]
    assert main(["evaluate", str(run)]) == 0
    assert "confusion" in capsys.readouterr().out


def test_predict_prints_evaluations_row_for_each_picture(run: Path, photos: Path, capsys) -> None:
    rows = list(csv.DictReader((run / "predictions.csv").read_text().splitlines()))
    assert rows
    pictures = [str(photos / row["path"]) for row in rows]
    assert main(["predict", str(run), *pictures, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line, row, path in zip(lines, rows, pictures, strict=True):
        assert (line["path"], line["class"]) == (path, row["prediction"])
        for name, probability in line["probabilities"].items():
            assert probability == pytest.approx(float(row[f"p({name})"]), abs=2e-6)
    assert main(["predict", str(run), pictures[0]]) == 0
    path, name, probability = capsys.readouterr().out.rstrip().split("\t")
    assert (path, name) == (pictures[0], rows[0]["prediction"])
    assert float(probability) == pytest.approx(float(rows[0][f"p({name})"]), abs=6e-5)


def test_predict_names_bad_pictures_goes_on_and_exits_3(run: Path, photos: Path, tmp_path: Path, capsys) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("<html>")
    good = str(photos / "dark" / "00.png")
    assert main(["predict", str(run), good, str(bad), str(tmp_path / "absent.png"), good]) == 3
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert str(bad) in err
    assert "absent.png" in err


def test_predict_takes_folders(run: Path, photos: Path, capsys) -> None:
    assert main(["predict", str(run), str(photos / "dark"), "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 30
    assert all(len(line.split("\t")) == 5 for line in lines)


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


def test_a_config_file_is_obeyed_and_options_win(photos: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("epochs: 9\nbatch-size: 7\nprecision: fp32\nlr: 0.01\n")
    arguments = ["train", str(photos), "-c", str(config), "--epochs", "1", "--out", str(tmp_path), "--name", "r"]
    assert main([*arguments, "--quiet"]) == 0
    settings = json.loads((tmp_path / "r" / "config.json").read_text())["settings"]
    assert (settings["epochs"], settings["batch_size"], settings["lr"]) == (1, 7, 0.01)


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


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("learing_rate: 1", "learing_rate"),
        ("lr: fast", "lr"),
        ("epochs: 0", "epochs"),
        ("epochs: [1", "config file"),
        ("ephocs: 3", "epochs"),
    ],
)
def test_a_wrong_config_file_is_named_with_its_key(text: str, told: str, tmp_path: Path, capsys) -> None:
    config = tmp_path / "s.yaml"
    config.write_text(text)
    assert main(["train", "digits", "-c", str(config), "--out", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert str(config) in err


def test_bad_pictures_are_all_named_before_the_first_step_and_skip_bad_records_them(
    picture_folder, tmp_path: Path, capsys
) -> None:
    folder = picture_folder(cats=12, dogs=12)
    whole = (folder / "cats" / "000.png").read_bytes()
    (folder / "cats" / "a.png").write_bytes(b"")
    (folder / "cats" / "b.png").write_bytes(whole[: len(whole) // 2])
    (folder / "dogs" / "c.jpg").write_text("<html>not a picture</html>")
    before = tree(folder)
    arguments = ["train", str(folder), *QUICK, "--out", str(tmp_path / "runs"), "--name", "r", "--quiet"]
    assert main(arguments) == 3
    err = capsys.readouterr().err
    for name in ("a.png", "b.png", "c.jpg", "--skip-bad"):
        assert name in err
    assert not (tmp_path / "runs").exists()
    assert main([*arguments, "--skip-bad"]) == 0
    rows = list(csv.DictReader((tmp_path / "runs" / "r" / "files.csv").read_text().splitlines()))
    skipped = {row["path"]: row["reason"] for row in rows if row["status"] == "skipped"}
    assert set(skipped) == {"cats/a.png", "cats/b.png", "dogs/c.jpg"}
    assert all(skipped.values())
    assert tree(folder) == before


def test_a_run_folder_is_never_overwritten(run: Path, photos: Path, capsys) -> None:
    before = tree(run)
    assert main(["train", str(photos), *QUICK, "--out", str(run.parent), "--name", run.name]) == 2
    assert "run folder exists" in capsys.readouterr().err
    assert tree(run) == before


def test_a_pickle_offered_as_a_model_is_refused(tmp_path: Path, capsys) -> None:
    import torch

    torch.save({"w": torch.zeros(1)}, tmp_path / "model.pt")
    assert main(["predict", str(tmp_path / "model.pt"), "x.png"]) == 4
    assert "refused" in capsys.readouterr().err


def test_a_diverging_run_exits_5_and_names_step_and_pictures(tmp_path: Path, capsys) -> None:
    options = ["--lr", "1000", "--schedule", "constant", "--model", "mnist-cnn", "--label-smoothing", "0"]
    assert main(["train", "digits", *QUICK, *options, "--out", str(tmp_path)]) == 5
    err = capsys.readouterr().err
    assert "step" in err
    assert "digits/" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_finishes_the_step_saves_and_the_printed_command_goes_on(
    tmp_path: Path, number: int, code: int
) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "striate.cli.entry", "train", "digits", "--epochs", "200", "--precision", "fp32"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch"):
            process.send_signal(number)
            break
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert out == ""
    assert f"striate train --resume {tmp_path / 'digits'}" in err
    assert len(list((tmp_path / "digits" / "checkpoints").glob("step-*"))) == 1
    done = subprocess.run(
        [sys.executable, "-m", "striate.cli.entry", "train", "--resume", str(tmp_path / "digits"), "--epochs", "300"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "epochs: 200 in the run, 300 given" in done.stderr


def test_resume_alone_takes_the_newest_unfinished_run(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    from striate.core.errors import Interrupted
    from striate.training import loop

    original = loop.TrainingState.after_step

    def stop(self, loss, logits, labels) -> None:
        original(self, loss, logits, labels)
        if self.step == 3:
            raise Interrupted(2, "stop here")

    monkeypatch.setattr(loop.TrainingState, "after_step", stop)
    assert main(["train", "digits", *QUICK, "--quiet"]) == 130
    monkeypatch.setattr(loop.TrainingState, "after_step", original)
    assert main(["train", "--resume", "--quiet"]) == 0
    assert (tmp_path / "runs" / "digits" / "model.safetensors").is_file()


def test_the_reader_of_our_output_may_go_away(run: Path, photos: Path) -> None:
    command = f"{sys.executable} -m striate.cli.entry predict {run} {photos}/dark | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert len(done.stdout.splitlines()) == 1


def striate(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "striate.cli.entry", *map(str, arguments)]
    return subprocess.run(command, text=True, **{"capture_output": True, **options})  # type: ignore[call-overload]


def test_results_that_cannot_be_written_are_the_machines_matter() -> None:
    with open("/dev/full", "w") as full:
        done = striate("data", "list", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 6
    assert "No space left" in done.stderr
    assert "Exception ignored" not in done.stderr
    closed = subprocess.run(["bash", "-c", f"{sys.executable} -m striate.cli.entry data list >&- 2>&-"])
    assert closed.returncode == 0


def test_names_beyond_the_terminals_alphabet_are_spelt_out(picture_folder) -> None:
    folder = picture_folder(кошки=3, 犬=3)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = striate("data", "show", folder, env=environment)
    assert done.returncode == 0, done.stderr
    assert r"\u043a" in done.stdout


def test_a_folder_that_may_not_be_read_is_the_machines_matter(run: Path, tmp_path: Path, capsys) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may read everything")
    (tmp_path / "closed").mkdir(mode=0)
    assert main(["train", str(tmp_path / "closed" / "photos")]) in (3, 6)
    assert "our own mistake" not in capsys.readouterr().err


def test_a_runs_own_config_is_a_config_file(run: Path, photos: Path, tmp_path: Path) -> None:
    arguments = ["train", str(photos), "-c", str(run / "config.json"), "--out", str(tmp_path), "--name", "again"]
    assert main([*arguments, "--quiet"]) == 0
    first, again = ((folder / "model.safetensors").read_bytes() for folder in (run, tmp_path / "again"))
    assert first == again


def test_printed_commands_can_be_pasted_into_a_shell(photos: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "my runs; rm -rf x"
    assert main(["train", str(photos), *QUICK, "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (told,) = (line for line in lines if "striate evaluate" in line)
    assert shlex.split(told)[-1] == str(out / photos.name)


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


def test_a_class_subset_of_a_folder_is_all_that_is_read_measured_and_recorded(picture_folder, tmp_path, capsys) -> None:
    folder = picture_folder(cats=20, dogs=20, owls=20)
    out = tmp_path / "runs"
    assert main(["train", f"{folder}:dogs,cats", *QUICK, "--out", str(out), "--name", "two", "--quiet"]) == 0
    rows = list(csv.DictReader((out / "two" / "files.csv").read_text().splitlines()))
    assert {(row["class"], row["status"]) for row in rows if row["path"].startswith("owls")} == {("", "ignored")}
    assert {row["part"] for row in rows if row["status"] == "used"} == {"train", "val", "test"}
    folder.rename(tmp_path / "moved")
    capsys.readouterr()
    assert main(["evaluate", str(out / "two")]) == 3
    assert "FOLDER --part test" in capsys.readouterr().err
    assert main(["evaluate", str(out / "two"), str(tmp_path / "moved"), "--part", "test", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured == json.loads((out / "two" / "evaluation.json").read_text())["test"]
    assert main(["evaluate", str(out / "two"), f"{tmp_path / 'moved'}:cats", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["count"] == 20


def test_files_beyond_the_number_asked_for_are_recorded_so(picture_folder, tmp_path: Path) -> None:
    folder = picture_folder(cats=20, dogs=20)
    assert main(["train", str(folder), *QUICK, "--first", "8", "--out", str(tmp_path), "--name", "f", "--quiet"]) == 0
    rows = list(csv.DictReader((tmp_path / "f" / "files.csv").read_text().splitlines()))
    used = [row for row in rows if row["status"] == "used"]
    assert sum(row["part"] == "train" for row in used) == 8
    assert {row["reason"] for row in rows if row["status"] == "skipped"} == {"beyond the number asked for (--first)"}


def test_every_setting_chosen_from_the_data_is_in_the_config_with_its_reason(run: Path) -> None:
    from striate.core.settings import TrainSettings

    config = json.loads((run / "config.json").read_text())
    extras = {name: field.json_schema_extra or {} for name, field in TrainSettings.model_fields.items()}
    for name in (name for name, extra in extras.items() if extra.get("chosen")):
        assert config["settings"][name] is not None, name
        assert name in config["given"] or config["reasons"][name], name


def test_a_run_may_lie_among_the_pictures(picture_folder, monkeypatch, capsys) -> None:
    monkeypatch.chdir(picture_folder(cats=12, dogs=12))
    for _ in range(2):
        assert main(["train", ".", *QUICK, "--out", ".", "--quiet"]) == 0
    assert json.loads(Path("photos-2/config.json").read_text())["spec"]["classes"] == ["cats", "dogs"]


def test_a_relative_data_folder_is_found_again_from_elsewhere(real_data, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(real_data("mnist").parent)
    monkeypatch.delenv("STRIATE_DATA")
    options = ["--first", "200", "--data-dir", ".", "--out", str(tmp_path), "--name", "m", "--quiet"]
    assert main(["train", "mnist", *QUICK, *options]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", str(tmp_path / "m")]) == 0


def test_predict_says_what_it_left_aside_in_a_folder(run: Path, tmp_path: Path, capsys) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "b.heic").write_bytes(b"x")
    (tmp_path / ".hidden.png").write_bytes(b"x")
    (tmp_path / "c.png").symlink_to("nowhere.png")
    assert main(["predict", str(run), str(tmp_path)]) == 0
    err = capsys.readouterr().err
    for reason in ("(.heic)", "hidden", "dangling"):
        assert reason in err


@pytest.mark.parametrize("command", ["data list", "doctor", "evaluate {run}", "train digits --epochs 1 --out {out}"])
def test_a_reader_that_leaves_at_once_is_no_error(command: str, run: Path, tmp_path: Path) -> None:
    line = command.format(run=run, out=tmp_path)
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m striate.cli.entry {line} | true"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_messages_that_cannot_be_written_stop_nothing(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = striate("train", "nosuch", capture_output=False, stderr=full, stdout=subprocess.DEVNULL)
        assert done.returncode == 3
        options = ["--epochs", "1", "--out", tmp_path]
        done = striate("train", "digits", *options, capture_output=False, stderr=full, stdout=subprocess.DEVNULL)
        assert done.returncode == 0
        assert striate("--version", capture_output=False, stdout=full, stderr=full).returncode == 6
    assert (tmp_path / "digits" / "model.safetensors").is_file()


def test_paths_are_printed_as_they_are(tmp_path: Path, capsys) -> None:
    out = tmp_path / "x:cat:y" / ("long " * 30)
    assert main(["train", "digits", *QUICK, "--first", "100", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"model      {out / 'digits' / 'model.safetensors'}\n" in printed


def test_json_is_json_in_every_encoding(run: Path, tmp_path: Path) -> None:
    picture = tmp_path / "é😀.png"
    Image.new("RGB", (9, 9)).save(picture)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = striate("predict", run, picture, "--json", env=environment)
    assert json.loads(done.stdout)["path"] == str(picture)


def test_a_config_may_come_through_a_pipe(tmp_path: Path) -> None:
    line = f"{sys.executable} -m striate.cli.entry train digits -c <(echo 'epochs: 1') --out {tmp_path} --first 100"
    assert subprocess.run(["bash", "-c", line], capture_output=True).returncode == 0
