"""Every code block of README and docs is run: python blocks of a page in one namespace, console lines as commands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# set-up commands, which need a clone and a network; `make demo` and `make test` are what runs this test
NOT_RUN = ("make ", "git ", "pip ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_pages_code_runs(page: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")  # the pages' commands are typed at the project's root
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    for language, text in blocks:
        if language == "python":
            exec(compile(text, f"{page.name}: python block", "exec"), namespace)
        elif language == "console":
            for line in re.findall(r"^\$ (.*)$", text, re.MULTILINE):
                if not line.startswith(NOT_RUN):
                    run(line)
        else:
            assert language in ("text", "yaml", "javascript", "csharp"), (
                f"{page.name}: say what kind of block this is: {text[:60]!r}"
            )


def run(line: str) -> None:
    command = re.sub(r"^striate\b", f"{sys.executable} -m striate.cli.entry", line)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_pictures_that_pages_show_are_there() -> None:
    for page in PAGES:
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), f"{page.name} shows {target}"
