"""`striate.explain` is a room and a function: whichever way it was imported, it can be called and looked into."""

from __future__ import annotations

import subprocess
import sys

import pytest

CALLED = """
try:
    striate.explain("nothing here", only=["nothing"])
except ValueError as error:
    assert "unknown chapter" in str(error), error
"""


@pytest.mark.parametrize(
    "program",
    [
        "import striate\nassert callable(striate.explain)\nimport sys; assert 'torch' not in sys.modules",
        "from striate import explain\nassert callable(explain)",
        "import striate.explain.lettering\nassert callable(striate.explain)\nassert striate.explain.lettering.wrapped",
        "import striate.explain.lettering as one\nimport striate\nassert striate.explain.lettering is one" + CALLED,
        "import striate\nstriate.load\nfrom striate.explain.lettering import wrapped" + CALLED,
    ],
    ids=["attribute", "name", "file first", "file by name", "after the rest"],
)
def test_it_can_be_called_and_looked_into(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
