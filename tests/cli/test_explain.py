"""`striate explain`: figures as files, what was found on stdout, a report that grows, errors by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import striate
from striate.cli.main import main
from striate.explain.chapters import FILES

from ..explain.page_reader import check_page
from .quick_run import QUICK, tree

OWN = ["summary", "confusion"]


@pytest.fixture
def own_run(run: Path, tmp_path: Path) -> Path:
    """Return a copy of the run, which may be written into."""
    return shutil.copytree(run, tmp_path / "my run")


def explain(*arguments: object) -> int:
    return main(["explain", *map(str, arguments), "--device", "cpu"])


def test_figures_are_written_and_what_was_found_is_printed(own_run, capsys):
    before = (own_run / "model.safetensors").read_bytes()
    assert explain(own_run, "--only", "summary", "confusion", "plan") == 0
    out, err = capsys.readouterr()
    assert err.startswith("warning: summary: 6 pictures of the test part say little")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["summary", "plan", "confusion", "report"]
    for name in ("summary-answers", "confusion-matrix"):
        file = own_run / "figures" / f"{name}.png"
        assert f"              {file}" in lines
        with Image.open(file) as image:
            assert min(image.size) > 200
    reader = check_page((own_run / "report.html").read_text())
    assert {"summary", "plan", "confusion"} <= set(reader.ids)
    assert "settings" not in reader.ids
    assert (own_run / "model.safetensors").read_bytes() == before
    assert not list(own_run.rglob("*.tmp-*"))


def test_chapters_made_before_stay_in_the_report(own_run, capsys):
    assert explain(own_run, "--only", "summary") == 0
    assert explain(own_run, "--only", "settings") == 0
    assert {"summary", "settings"} <= set(check_page((own_run / "report.html").read_text()).ids)


def test_json_is_one_value(own_run, capsys):
    assert explain(own_run, "--only", *OWN, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert Path(told["report"]) == own_run / "report.html"
    summary, confusion = told["chapters"]
    measured = json.loads((own_run / "evaluation.json").read_text())["test"]
    assert summary["values"]["accuracy"] == measured["accuracy"]
    assert summary["values"]["interval_95"] == measured["interval_95"]
    assert confusion["values"]["mistakes"] == measured["count"] - measured["correct"]
    assert all(Path(file).is_file() for chapter in told["chapters"] for file in chapter["figures"])


def test_an_unknown_chapter_gets_the_nearest_before_anything_is_read(tmp_path, capsys):
    assert explain(tmp_path / "nothing", "--only", "confusoin") == 2
    err = capsys.readouterr().err
    assert "unknown chapter: confusoin" in err
    assert "did you mean 'confusion'?" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--part", "val", "--data", "nosuch"], 3, "no such data set or folder"),
        (["--layer", "stage9"], 2, "no such layer"),
        (["--device", "warp"], 2, "unknown device"),
    ],
)
def test_what_cannot_be_opened_is_named(own_run, capsys, arguments, code, told):
    assert main(["explain", str(own_run), *arguments]) == code
    assert told in capsys.readouterr().err
    assert not (own_run / "report.html").exists()


def test_a_model_file_alone_needs_pictures_and_writes_beside_nothing(run, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = shutil.copy(run / "model.safetensors", tmp_path / "lone.safetensors")
    assert explain("lone.safetensors") == 2
    assert "--data FOLDER" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["lone.safetensors"]
    assert explain(model, "--data", photos, "--only", *OWN) == 0
    reader = check_page((tmp_path / "lone-explained" / "report.html").read_text())
    assert "lone.safetensors" in reader.text
    assert (tmp_path / "lone-explained" / "figures" / "confusion-matrix.png").is_file()


def test_of_all_chapters_what_a_model_file_cannot_tell_is_a_note_but_an_error_where_it_was_asked_for(
    run, photos, tmp_path, capsys
):
    model = shutil.copy(run / "model.safetensors", tmp_path / "lone.safetensors")
    assert explain(model, "--data", photos, "--only", "plan", "summary", "--out", tmp_path / "out") == 2
    assert "error: plan: a model file alone does not say how it was trained" in capsys.readouterr().err
    reader = check_page((tmp_path / "out" / "report.html").read_text())
    assert "summary" in reader.ids
    assert "a model file alone does not say how it was trained" in reader.text


def test_pictures_are_files_and_folders_and_what_cannot_be_used_is_named(own_run, photos, tmp_path, capsys):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    assert explain(own_run, photos / "dark" / "00.png", bad, tmp_path / "gone.png", "--only", "summary") == 3
    err = capsys.readouterr().err
    assert "bad.png" in err
    assert "gone.png" in err
    assert (own_run / "report.html").is_file(), "the others are explained"
    (own_run / "report.html").unlink()
    assert explain(own_run, bad, "--only", "summary") == 3
    assert not (own_run / "report.html").exists()


def test_a_run_whose_pictures_are_gone_is_told_what_to_type(own_run, photos, tmp_path, monkeypatch, capsys):
    config = json.loads((own_run / "config.json").read_text())
    config["data"] = str(tmp_path / "moved")
    (own_run / "config.json").write_text(json.dumps(config))
    assert explain(own_run) == 3
    assert "--data FOLDER" in capsys.readouterr().err
    assert explain(own_run, "--data", photos, "--only", "summary", "settings") == 0
    assert (own_run / f"explained-{photos.name}" / "report.html").is_file()


@pytest.mark.parametrize(
    ("others", "place"),
    [
        (lambda photos: ["--part", "train"], "explained-train"),
        (lambda photos: ["--data", photos], "explained-{photos}"),
        (lambda photos: [photos / "dark" / "00.png"], "explained-pictures"),
    ],
)
def test_other_pictures_leave_the_runs_report_as_it_is(own_run, photos, capsys, others, place):
    assert explain(own_run, "--only", "summary", "feature-maps") == 0
    before = tree(own_run)
    given = others(photos)
    pictures = [one for one in given[:1] if isinstance(one, Path)]
    assert explain(own_run, *pictures, "--only", "feature-maps", *given[len(pictures) :]) == 0
    folder = own_run / place.format(photos=photos.name)
    assert str(folder / "report.html") in capsys.readouterr().out
    now = tree(own_run)
    assert {name: now[name] for name in before} == before
    assert list((folder / "figures").iterdir())
    text = check_page((folder / "report.html").read_text()).text
    assert "it was not asked for" in text
    words = " ".join(map(str, given))
    assert words in text


def test_the_part_that_would_be_taken_unasked_is_the_runs_own(own_run):
    assert explain(own_run, "--only", "summary") == 0
    assert explain(own_run, "--only", "settings", "--part", "test") == 0
    assert {"summary", "settings"} <= set(check_page((own_run / "report.html").read_text()).ids)


def test_other_given_pictures_get_another_folder(own_run, photos):
    for name in ("00.png", "01.png", "00.png"):
        assert explain(own_run, photos / "dark" / name, "--only", "feature-maps") == 0
    assert sorted(path.name for path in own_run.glob("explained*")) == ["explained-pictures", "explained-pictures-2"]


def test_model_files_of_two_networks_never_share_a_folder(run, photos, tmp_path, monkeypatch, capsys):
    import torch

    from striate.runs.model_file import load_model, save_model

    monkeypatch.chdir(tmp_path)
    loaded = load_model(run)
    for name in ("a", "b", "x/a"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        save_model(folder / "model.safetensors", loaded.model, loaded.card, loaded.detector)
        assert explain(folder / "model.safetensors", "--data", photos, "--only", "summary") == 0
        with torch.no_grad():
            next(loaded.model.parameters()).mul_(0.5)
    assert sorted(path.name for path in tmp_path.glob("*-explained*")) == [
        "a-explained",
        "a-explained-2",
        "b-explained",
    ]
    capsys.readouterr()
    words = ["--data", photos, "--only", "summary", "--out", tmp_path / "a-explained"]
    assert explain(tmp_path / "b" / "model.safetensors", *words) == 2
    assert "report of another network" in capsys.readouterr().err
    assert explain(tmp_path / "a" / "model.safetensors", *words) == 0


def test_pictures_that_no_chapter_looks_at_are_told(own_run, photos, capsys):
    assert explain(own_run, photos / "dark" / "00.png", "--only", "summary") == 0
    assert "note: the pictures are not looked at: that do saliency" in capsys.readouterr().err
    assert not list(own_run.glob("explained*"))


@pytest.mark.parametrize(
    ("only", "told"),
    [
        ([], "no chapter is named"),
        ([""], "an empty name: --only"),
        (["saliency", "pics/digit.png"], "explain RUN pics/digit.png --only saliency"),
    ],
)
def test_only_wants_names_of_chapters(tmp_path, capsys, only, told):
    assert main(["explain", "RUN", "--only", *only]) == 2
    assert told in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_named(own_run, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert explain(own_run, "--only", "summary", "--out", tmp_path / "file" / "x") == 6
    assert "folder cannot be made" in capsys.readouterr().err


def test_training_reports_unless_told_not_to(reports, photos, tmp_path, capsys):
    arguments = ["train", str(photos), *QUICK, "--out", str(tmp_path), "--name"]
    assert main([*arguments, "with"]) == 0
    out = capsys.readouterr().out
    page = tmp_path / "with" / "report.html"
    assert out.splitlines()[-1] == f"report     {page}"
    assert "summary" in check_page(page.read_text()).ids
    assert main([*arguments, "without", "--no-report", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["report"] is None
    assert not (tmp_path / "without" / "report.html").exists()
    assert main([*arguments, "third", "--json", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)["report"] == str(tmp_path / "third" / "report.html")
    assert (tmp_path / "with" / "model.safetensors").read_bytes() == (
        tmp_path / "without" / "model.safetensors"
    ).read_bytes()


def test_python_returns_chapters(own_run, photos):
    before = tree(own_run)
    made = striate.chapters(own_run, photos / "dark" / "00.png", ["confusion", "summary"], device="cpu")
    assert [chapter.name for chapter in made] == ["summary", "confusion"]
    assert made[0].plates[0].figure.axes
    assert tree(own_run) == before, "Python writes nothing"
    with pytest.raises(striate.api.SettingsError, match="unknown chapter"):
        striate.chapters(own_run, only=["summry"])
    with pytest.raises(striate.api.SettingsError, match="no chapter is named"):
        striate.chapters(own_run, only=[])
    with pytest.raises(striate.api.SettingsError, match="named in a list"):
        striate.chapters(own_run, only="summary")


def test_python_tells_what_cannot_be_made_of_a_model_file(run, photos, tmp_path):
    model = shutil.copy(run / "model.safetensors", tmp_path / "lone.safetensors")
    made = striate.chapters(model, data=str(photos), device="cpu", effort="quick")
    assert [chapter.name for chapter in made] == list(FILES)
    (plan,) = (chapter for chapter in made if chapter.name == "plan")
    assert "a model file alone" in plan.warnings[0]
    with pytest.raises(striate.api.SettingsError, match="a model file alone"):
        striate.chapters(model, only=["plan"], data=str(photos), device="cpu")
