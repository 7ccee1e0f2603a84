"""The plan of the house: rooms import from earlier rooms only, the front door is light, everything is documented."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import striate

PACKAGE = Path(striate.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = [
    "core",
    "convolution",
    "data",
    "models",
    "evaluation",
    "runs",
    "training",
    "explain",
    "style",
    "deploy",
    "cluster",
    "recipes",
    # the package's own top files, then what uses the package
    "api",
    "__init__",
    "cli",
    "studio",
]
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and room of every import of striate, wherever it stands in the file."""
    here = ["striate", *path.relative_to(PACKAGE).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from striate import data` names a room, `from striate import train` what __init__ offers
            modules = [f"{module}.{alias.name}" for alias in node.names] if module == "striate" else [module]
        for module in modules:
            parts = module.split(".")
            if parts[0] == "striate":
                inner = parts[1] if len(parts) > 1 else "__init__"
                known = (PACKAGE / inner).is_dir() or (PACKAGE / f"{inner}.py").is_file()
                yield node.lineno, inner if known else "__init__"


def test_every_folder_and_top_file_is_a_known_room():
    inside = {room_of(path) for path in FILES}
    assert inside <= {*ROOMS, "version"}


@every_file
def test_file_imports_from_its_own_and_earlier_rooms_only(path):
    ours = room_of(path)
    if ours == "version":
        assert list(imported_rooms(path)) == []
        return
    for line, room in imported_rooms(path):
        if room == "version":
            continue
        assert ROOMS.index(room) <= ROOMS.index(ours), f"{path}:{line}: {ours} imports from {room}"
        if room == "api":
            assert ours in ("api", "__init__"), f"{path}:{line}: only __init__ imports api"


def test_the_import_check_sees_imports_wherever_they_stand(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "core").mkdir()
    (tmp_path / "data").mkdir()
    file = tmp_path / "core" / "bad.py"
    file.write_text(
        "import striate.data.loader\nif TYPE_CHECKING:\n    from striate.data import x\n"
        "def f():\n    from ..data import y\n    from . import z\n    from striate import data, train\n"
        "    import torch\n"
    )
    assert sorted(imported_rooms(file)) == [
        (1, "data"),
        (3, "data"),
        (5, "data"),
        (6, "core"),
        (7, "__init__"),
        (7, "data"),
    ]


def test_no_file_is_named_utils():
    root = PACKAGE.parents[1]
    named = [path for folder in (PACKAGE, root / "tests") for path in folder.rglob("*util*")]
    assert [path for path in named if "__pycache__" not in path.parts] == []


def loaded_after(code: str) -> set[str]:
    """Return the top-level modules a fresh interpreter has loaded after running `code`."""
    program = f"import json, sys\n{code}\nprint('\\n' + json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


HEAVY = {"torch", "torchvision", "timm", "numpy", "scipy", "sklearn", "PIL", "matplotlib"}


def test_importing_striate_loads_nothing_heavy():
    loaded = loaded_after("import striate; assert striate.__version__")
    assert "striate" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["no-such-verb"]])
def test_help_version_and_mistyped_verbs_load_nothing_heavy(arguments):
    loaded = loaded_after(f"from striate.cli.main import main\nmain({arguments!r})")
    assert "cyclopts" in loaded
    assert not loaded & HEAVY


def test_training_help_does_not_load_torch():
    assert not loaded_after("from striate.cli.main import main\nassert main(['train', '--help']) == 0") & HEAVY


def public_definitions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    """Yield the public functions, classes and methods of public classes, with their dotted names."""

    def inside(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.stmt]]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name[0] != "_":
                yield f"{prefix}{node.name}", node
                if isinstance(node, ast.ClassDef):
                    yield from inside(node.body, f"{node.name}.")

    yield from inside(ast.parse(path.read_text(encoding="utf-8")).body, "")  # type: ignore[misc]


@every_file
def test_module_and_everything_public_in_it_has_a_docstring(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
    missing = [name for name, node in public_definitions(path) if not ast.get_docstring(node)]
    assert missing == []


@every_file
def test_every_public_function_is_fully_annotated(path):
    missing = []
    for name, node in public_definitions(path):
        if isinstance(node, ast.ClassDef):
            continue
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        bare = [a.arg for a in given if a is not None and a.annotation is None and a.arg not in ("self", "cls")]
        if bare or node.returns is None:
            missing.append((name, bare))
    assert missing == []


def test_everything_offered_can_be_got_and_nothing_else():
    assert sorted(striate.__all__) == sorted(set(striate.__all__))
    for name in striate.__all__:
        assert getattr(striate, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        striate.trian  # noqa: B018


def test_what_striate_offers_is_what_its_api_offers():
    from striate import api

    assert set(striate.__all__) == {*api.__all__, "__version__"}
    for name in api.__all__:
        if name in ROOMS:
            assert callable(getattr(striate, name))  # tests/test_front_door.py
        else:
            assert getattr(striate, name) is getattr(api, name)


def test_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").is_file()
