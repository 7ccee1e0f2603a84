"""The end of the program: at once, but with everything done that anybody has asked to be done."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from striate.cli.imports import importing
from striate.version import __version__


def program(before: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    lines = [
        before,
        "import sys",
        f"sys.argv = {['striate', *arguments]!r}",
        "from striate.cli.entry import run",
        "run()",
    ]
    return subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)


REMEMBERS = """
class Remembers:
    def __del__(self):
        print("freed", flush=True)
kept = Remembers()
"""


@pytest.mark.parametrize(("argument", "code"), [("--version", 0), ("--no-such-option", 2)])
def test_the_program_ends_with_its_code_without_freeing_what_is_left(argument, code) -> None:
    done = program(f"import atexit\natexit.register(print, 'at the end', end='')\n{REMEMBERS}", argument)
    assert done.returncode == code
    assert done.stdout == {0: f"{__version__}\n"}.get(code, "") + "at the end"  # not flushed by the handler
    usual = subprocess.run([sys.executable, "-c", REMEMBERS], capture_output=True, text=True)
    assert usual.stdout == "freed\n"


def test_a_thread_that_is_at_work_is_waited_for() -> None:
    waiting = "threading.main_thread().join(), print('thread')"  # the main thread ends when Python waits for others
    done = program(f"import threading\nthreading.Thread(target=lambda: ({waiting})).start()", "--version")
    assert done.returncode == 0
    assert done.stdout == f"{__version__}\nthread\n"


def test_a_pool_that_nobody_has_shut_down_does_its_work() -> None:
    before = """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(1)
for number in range(3):
    pool.submit(print, number)
"""
    done = program(before, "--no-such-option")
    assert done.returncode == 2
    assert done.stdout == "0\n1\n2\n"


def test_a_profiler_gets_to_its_report() -> None:
    command = [sys.executable, "-m", "cProfile", "-m", "striate.cli.entry", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    assert "function calls" in done.stdout


@pytest.mark.parametrize("collected", [True, False])
def test_imports_leave_the_collector_as_it_was_and_freeze_nothing_of_other_programs(collected) -> None:
    was_on, frozen = gc.isenabled(), gc.get_freeze_count()
    try:
        (gc.enable if collected else gc.disable)()
        with importing():
            assert not gc.isenabled()
        assert gc.isenabled() == collected
    finally:
        (gc.enable if was_on else gc.disable)()
    assert gc.get_freeze_count() == frozen


def test_the_program_does_not_look_through_its_modules_for_garbage() -> None:
    before = "import gc\nimport atexit\natexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 100_000))"
    done = program(before, "evaluate", "no such run")
    assert done.returncode == 4, done.stderr
    assert done.stdout == "True True\n"
