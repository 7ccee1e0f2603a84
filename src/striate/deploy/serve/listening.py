"""The socket the server listens at, and the token that being reached from elsewhere takes."""

from __future__ import annotations

import errno
import os
import re
import socket
from pathlib import Path

from striate.core.errors import ResourceError, SettingsError
from striate.core.paths import user_path
from striate.deploy.serve.access import is_loopback
from striate.deploy.serve.settings import ServeSettings

VARIABLE = "STRIATE_TOKEN"
SHORTEST_TOKEN = 16
NAME = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


def require_names(allowed: tuple[str, ...]) -> None:
    """Refuse names that no Host header can have: SettingsError."""
    wrong = [name for name in allowed if name != "*" and not NAME.fullmatch(name)]
    if wrong:
        fix = "a name alone, as in model.example.org: no scheme, port, path or space"
        raise SettingsError("not a name that a server can be called by", where=f"--allowed-host {wrong[0]}", fix=fix)


def read_token(settings: ServeSettings) -> str | None:
    """Return the token that requests must bear, None where there is none.

    Raises:
        SettingsError: It cannot be read, is too short or of letters that no header can hold, or there is none where
            other machines could ask.
    """
    where, text = VARIABLE, os.environ.get(VARIABLE)
    if settings.token_file is not None:
        where, text = str(settings.token_file), _read(user_path(settings.token_file))
    if text is None:
        if not is_loopback(settings.host) and not settings.insecure:
            raise SettingsError(
                "other machines could ask without a token",
                where=f"--host {settings.host}",
                fix=f"give --token-file FILE or {VARIABLE}; --insecure does without",
            )
        return None
    token = text.strip()
    if len(token) < SHORTEST_TOKEN or not all("!" <= letter <= "~" for letter in token):
        raise SettingsError(
            f"a token has {SHORTEST_TOKEN} or more letters, digits and signs of ASCII, without spaces",
            where=where,
            fix="python -c 'import secrets; print(secrets.token_urlsafe())'",
        )
    return token


def _read(path: Path) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(10_000)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise SettingsError(f"token file cannot be read ({reason})", where=path, fix="check the path") from None


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address, not yet listening.

    Raises:
        SettingsError: No such address here.
        ResourceError: The port is in use, or not for everybody.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise SettingsError("unknown address", where=f"--host {host}", fix="127.0.0.1, or 0.0.0.0 for all") from None
    family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise listening_error(error, host, port) from None
    return bound


def listening_error(error: OSError, host: str, port: int) -> SettingsError | ResourceError:
    """Return what to tell of an address that cannot be listened at."""
    where = f"{host}:{port}"
    if error.errno == errno.EADDRNOTAVAIL:
        return SettingsError("not an address of this machine", where=f"--host {host}", fix="0.0.0.0 for all of them")
    if error.errno == errno.EADDRINUSE:
        return ResourceError(
            f"port {port} is in use", where=where, fix=f"end what listens there, or --port {port % 65_535 + 1}, or 0"
        )
    return ResourceError(f"cannot listen there ({error.strerror})", where=where, fix="take a --port above 1023")


def address_of(bound: socket.socket) -> str:
    """Return the URL of what listens at a socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
