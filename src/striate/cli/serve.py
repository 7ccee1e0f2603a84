"""`striate serve`: a trained network over HTTP."""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from striate.cli.imports import importing
from striate.cli.options import with_settings
from striate.core.errors import SettingsError
from striate.deploy.serve.settings import ServeSettings

NEEDED = ("fastapi", "uvicorn", "httptools", "python_multipart", "prometheus_client")


def _command(run: Annotated[Path, Parameter(help="A run folder or a model file.")], /, **settings: Any) -> None:
    """Serve a trained network over HTTP: POST a picture to /predict, GET /info, /live, /ready, /metrics.

    Once it answers, one line on stdout says where; what happens is logged on stderr, one JSON object a line. SIGTERM
    and Ctrl-C end it when all that was accepted has been answered, SIGHUP loads the model file again.
    """
    chosen = ServeSettings.parse(settings)
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        fix = "pip install 'striate[serve]'"
        raise SettingsError(f"needs {' and '.join(missing)}, not installed here", where="striate serve", fix=fix)
    with importing():
        from striate.deploy.serve.lifecycle import serve

    serve(run, chosen, _tell)


def _tell(url: str) -> None:
    """Say where; whoever cannot be told finds it in the log."""
    try:
        print(f"serving on {url}", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would fail again at the end


command = partial(with_settings, kind=ServeSettings)(_command)
