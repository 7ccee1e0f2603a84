"""Who may ask: the name the server was called by, the page that asks, and the token; all told by the request's head."""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket

from striate.deploy.serve.answers import Refusal

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
OPEN = frozenset({"/live", "/ready"})  # asked by what watches the server, which has no token
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/?#\s]+)(?::\d{1,5})?")


def is_loopback(host: str) -> bool:
    """Return whether an address that is listened at can be reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Access:
    """Decides who may ask.

    Args:
        host: What the server listens at.
        allowed: Names that it may be called by besides; '*' allows any.
        token: What requests must bear; None: nothing.
    """

    def __init__(self, host: str, allowed: tuple[str, ...], token: str | None) -> None:
        self._names = {name.lower() for name in allowed} | LOOPBACK
        self._any = "*" in allowed
        self._beyond = not is_loopback(host)  # then by any of its addresses: rebinding takes a name
        if self._beyond:
            self._names |= {socket.gethostname().lower()}
        self._token = None if token is None else token.encode()
        self._known: set[bytes] = set()

    def check(self, path: str, headers: dict[bytes, bytes]) -> None:
        """Refuse who may not ask.

        Raises:
            Refusal: 421, called by another name; 403, a page of another site; 401, no token or a wrong one.
        """
        host = headers.get(b"host", b"")
        if host not in self._known:
            self._check_host(host)
            if len(self._known) < 100:
                self._known.add(host)
        if b"origin" in headers or b"sec-fetch-site" in headers:
            _check_page(host, headers)
        if self._token is not None and path not in OPEN:
            self._check_token(headers.get(b"authorization", b""))

    def _check_host(self, host: bytes) -> None:
        match = _HOST.fullmatch(host.decode("latin-1").lower())
        if match is None or not (self._any or match[1] in self._names or (self._beyond and _is_address(match[1]))):
            raise Refusal(
                421, "wrong_host", "the server is not known by this Host", "--allowed-host NAME lets it be", close=True
            )

    def _check_token(self, given: bytes) -> None:
        assert self._token is not None
        kind, _, token = given.partition(b" ")
        if not hmac.compare_digest(token, self._token) or kind.lower() != b"bearer":
            headers = {"www-authenticate": "Bearer"}
            raise Refusal(401, "token", "the token is missing or wrong", "Authorization: Bearer TOKEN", headers)


def _is_address(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return address.version == 4 or address.ipv4_mapped is None


def _check_page(host: bytes, headers: dict[bytes, bytes]) -> None:
    origin = headers.get(b"origin")
    own = origin is None or origin in (b"http://" + host, b"https://" + host)
    if not own or headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        raise Refusal(403, "other_site", "pages of other sites may not ask", "ask from a program of your own")
