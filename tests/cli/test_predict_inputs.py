"""What `striate predict` is given: patterns, lists, standard input; each picture answered, each failure named."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.cli.main import main


@pytest.fixture
def model(make_spec, save_untrained, tmp_path: Path, monkeypatch) -> Path:
    """Return a model file; its folder is the current one."""
    monkeypatch.chdir(tmp_path)
    return save_untrained(make_spec(side=16, classes=3))


def draw(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        level = sum(map(ord, path)) % 200
        Image.fromarray(np.full((16, 16), level + np.arange(16) * 3, np.uint8)).save(path, "PNG")


def predict(capsys, *arguments: object) -> tuple[int, list[str], str]:
    """Return the exit code, the names of the pictures answered, and what is said on stderr."""
    code = main(["predict", *map(str, arguments), "--device", "cpu"])
    out, err = capsys.readouterr()
    return code, [line.split("\t")[0] for line in out.splitlines()], err


def piped(monkeypatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a/*.png", ["a/1.png", "a/2.png"]),
        ("a/**/*.png", ["a/1.png", "a/2.png", "a/b/3.png", "a/b/c/4.png"]),
        ("**/[34].png", ["a/b/3.png", "a/b/c/4.png"]),
        ("a/b/**", ["a/b/3.png", "a/b/c/4.png"]),
        ("?/1.png", ["a/1.png"]),
        ("a/*", ["a/1.png", "a/2.png", "a/b/3.png", "a/b/c/4.png"]),
    ],
)
def test_a_pattern_stands_for_the_pictures_it_matches_each_once(
    model: Path, capsys, pattern: str, found: list[str]
) -> None:
    draw("a/1.png", "a/2.png", "a/b/3.png", "a/b/c/4.png", "a/.hidden.png")
    Path("a/notes.txt").write_text("x")
    code, names, err = predict(capsys, model, pattern)
    assert code == 0
    assert names == found
    assert "error" not in err
    _, absolute, _ = predict(capsys, model, Path.cwd() / pattern)
    assert absolute == [str(Path.cwd() / name) for name in found]


def test_a_pattern_does_not_follow_a_loop_of_links(model: Path, capsys) -> None:
    draw("a/b/1.png")
    Path("a/b/loop").symlink_to("..", target_is_directory=True)
    assert predict(capsys, model, "a/**/*.png")[:2] == (0, ["a/b/1.png"])


def test_a_pattern_without_a_match_is_named_and_a_file_called_like_one_is_a_file(model: Path, capsys) -> None:
    draw("a[1].png", "a1.png")
    assert predict(capsys, model, "a[1].png")[:2] == (0, ["a[1].png"])
    code, names, err = predict(capsys, model, "*.jpg", "a1.png", "a**b")
    assert (code, names) == (3, ["a1.png"])
    assert "no picture matches this pattern: *.jpg" in err
    assert "a**b" in err


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".parquet"])
def test_a_list_names_pictures_relative_to_its_folder(model: Path, capsys, kind: str) -> None:
    draw("photos/x/1.png", "photos/x/2, b.png")
    outside = Path.cwd() / "elsewhere.png"
    draw("elsewhere.png")
    rows = [("x/1.png", 5), ("x/2, b.png", 6), (str(outside), 7)]
    table = Path(f"photos/list{kind}")
    if kind == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        names, numbers = zip(*rows, strict=True)
        parquet.write_table(pyarrow.table({"Image Path": names, "id": numbers}), table)
    else:
        separator = "," if kind == ".csv" else "\t"
        lines = [f'"{name}"{separator}{number}' for name, number in rows]
        table.write_text("\n".join([f"Image Path{separator}id", *lines]) + "\n")
    code, names, _ = predict(capsys, model, table)
    assert (code, names) == (0, ["photos/x/1.png", "photos/x/2, b.png", str(outside)])


def test_what_a_list_names_wrongly_is_told_with_its_row_and_the_others_are_answered(model: Path, capsys) -> None:
    draw("1.png", "2.png")
    Path("bad.png").write_text("<html>")
    Path("list.csv").write_text(
        "file,id\n1.png,1\nabsent.png,2\n,3\nbad.png,4\n2.png,5,6\n\n1.png,7\n2.png,8\n1.png,9\n"
    )
    code, names, err = predict(capsys, model, "list.csv")
    assert code == 3
    assert names == ["1.png", "1.png", "2.png", "1.png"], "a picture is answered as often as it is named"
    assert "picture not found: absent.png (list.csv, row 3)" in err
    assert "names no picture: list.csv, row 4" in err
    assert "bad.png (list.csv, row 5)" in err
    assert "list.csv, row 6" in err
    assert "1 picture given more than once" in err
    assert "4 pictures classified, 4 not" in err


def test_a_list_that_is_none_says_what_is_wrong(model: Path, capsys) -> None:
    draw("1.png")
    Path("names.csv").write_text("1.png\n2.png\n")
    Path("labels.csv").write_text("id,class\n1,cat\n")
    Path("two.csv").write_text("file,path\n1.png,1.png\n")
    for name, told in {
        "names.csv": "write one above it:  file",
        "labels.csv": "'id', 'class'",
        "two.csv": "2 columns",
        "absent.csv": "no such table",
    }.items():
        code, names, err = predict(capsys, model, name, "1.png")
        assert (code, names) == (3, ["1.png"])
        assert name in err
        assert told in err


def test_names_come_on_standard_input(model: Path, capsys, monkeypatch) -> None:
    draw("1.png", "2 b.png", "3.png")
    piped(monkeypatch, "\ufeff1.png\r\n\n2 b.png\nabsent.png\n3.png".encode())
    code, names, err = predict(capsys, model, "-")
    assert (code, names) == (3, ["1.png", "2 b.png", "3.png"])
    assert "picture not found: absent.png (standard input, line 4)" in err
    piped(monkeypatch, b"1.png\n")
    assert predict(capsys, model, "3.png", "-", "2 b.png")[1] == ["3.png", "1.png", "2 b.png"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_pictures_bytes_come_on_standard_input(model: Path, capsys, monkeypatch, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save("x.picture", kind)
    data = Path("x.picture").read_bytes()
    piped(monkeypatch, data)
    assert main(["predict", str(model), "-", "--json", "--device", "cpu"]) == 0
    given = json.loads(capsys.readouterr().out)
    assert main(["predict", str(model), "x.picture", "--json", "--device", "cpu"]) == 0
    named = json.loads(capsys.readouterr().out)
    assert given.pop("path") == "-"
    assert named.pop("path") == "x.picture"
    assert given == named
    piped(monkeypatch, data[: len(data) // 2])
    code, names, err = predict(capsys, model, "-")
    assert names == [] or kind == "BMP"
    assert code == 3 or kind == "BMP"
    assert "standard input" in err or kind == "BMP"


def test_an_empty_standard_input_is_told(model: Path, capsys, monkeypatch) -> None:
    piped(monkeypatch, b"")
    assert predict(capsys, model, "-")[0] == 3
    monkeypatch.setattr(sys, "stdin", None)
    code, _, err = predict(capsys, model, "-")
    assert code == 3
    assert "closed" in err


def test_standard_input_is_read_once_and_by_predict_alone(model: Path, capsys) -> None:
    draw("a.png")
    assert predict(capsys, model, "-", "-")[0] == 2
    for arguments in (["evaluate", str(model), "-"], ["explain", str(model), "-"]):
        assert main(arguments) == 2
        assert "striate predict RUN -" in capsys.readouterr().err


def test_the_programs_pipe_is_read(model: Path) -> None:
    draw("a.png", "b.png")
    command = [sys.executable, "-m", "striate.cli.entry", "predict", str(model), "-", "--device", "cpu"]
    done = subprocess.run(command, input=b"a.png\nb.png\n", capture_output=True, check=True)
    assert [line.split(b"\t")[0] for line in done.stdout.splitlines()] == [b"a.png", b"b.png"]


def test_a_picture_from_standard_input_is_drawn_with_the_others(model: Path, capsys, monkeypatch) -> None:
    draw("a.png", "b.png")
    piped(monkeypatch, Path("a.png").read_bytes())
    assert predict(capsys, model, "-", "b.png", "--figure", "grid.svg")[:2] == (0, ["-", "b.png"])
    assert Path("grid.svg").read_text().count("<image") == 2


def test_names_come_with_zero_bytes_between_them(model: Path, capsys, monkeypatch) -> None:
    """As `find -print0` gives them; also of pictures called like the first bytes of one."""
    draw("1.png", "2 b\nc.png", "BM.png")
    piped(monkeypatch, b"1.png\0absent.png\0002 b\nc.png\0BM.png\0")
    code, names, err = predict(capsys, model, "-")
    assert (code, names) == (3, ["1.png", r"2 b\nc.png", "BM.png"])
    assert "picture not found: absent.png (standard input, name 2)" in err
    piped(monkeypatch, b"BM.png\x001.png\0")
    assert predict(capsys, model, "-")[:2] == (0, ["BM.png", "1.png"])
    piped(monkeypatch, b"absent.png\x001.png\0")
    assert predict(capsys, model, "-")[:2] == (3, ["1.png"])


def test_a_table_on_standard_input_is_told_as_such(model: Path, capsys, monkeypatch) -> None:
    draw("1.png")
    for table in (b"id,file\n1,1.png\n", b'"Image Path";id\n1.png;3\n', b"\xef\xbb\xbfpath\n1.png\n", b"PAR1\x15\0"):
        piped(monkeypatch, table)
        code, names, err = predict(capsys, model, "-")
        assert (code, names) == (3, [])
        assert "fix: give the table as an argument" in err
        assert err.count("error: ") == 1
    Path("1.png").rename("path")
    piped(monkeypatch, b"path\n")
    assert predict(capsys, model, "-")[:2] == (0, ["path"])


def test_what_a_terminal_would_obey_is_written_out(model: Path, capsys) -> None:
    draw("\x1b[31mred.png", "a\x85\u2028b.png", "é\xa0☃.png")
    code, names, _ = predict(capsys, model, ".")
    assert (code, sorted(names)) == (0, [r"\x1b[31mred.png", r"a\u0085\u2028b.png", "é\xa0☃.png"])
    code, _, err = predict(capsys, model, "\x1b[2Jno.png")
    assert code == 3
    assert r"no picture matches this pattern: \x1b[2Jno.png" in err
