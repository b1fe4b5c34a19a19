"""Rejects cross-site and DNS-rebinding requests on a local page, and limits login attempts.

A page that only accepts connections from this machine needs no login. But a browser lets any web
page send requests to this machine: to its address, where the response is hidden but the request
has its effect (cross-site request forgery), or to a host name that is made to resolve to this
machine (DNS rebinding), where the response can be read as well.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from secrets import compare_digest
from typing import Any
from urllib.parse import urlsplit

__all__ = ["LOCAL", "PATIENCE", "Guard", "login"]

LOCAL = ("127.0.0.1", "::1", "localhost")
"""Host names of this machine."""

_REFUSAL = (
    b"This page only accepts requests from this machine. Start it with --host and --auth to share "
    b"it, and with --root-path behind a proxy."
)
_READING = ("GET", "HEAD", "OPTIONS")
_ATTEMPTS = 5

PATIENCE = 60.0
"""Seconds in which five logins may fail; further ones are refused until they are over."""


class Guard:
    """ASGI middleware that rejects requests to other host names and writes by other pages."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Respond with status 403, or pass the request on."""
        if scope["type"] in ("http", "websocket") and not _allowed(scope):
            kind = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 403, "headers": kind})
            await send({"type": "http.response.body", "body": _REFUSAL})
            return
        await self._app(scope, receive, send)


def login(name: str, password: str) -> Callable[[str, str], Awaitable[bool]]:
    """Return a function that checks a login, for `launch(auth=...)`."""
    wanted, wrong = f"{name}:{password}".encode(), deque[float](maxlen=_ATTEMPTS)

    async def check(name: str, password: str) -> bool:
        now = time.monotonic()
        if len(wrong) == _ATTEMPTS and now - wrong[0] < PATIENCE:
            return False  # correct passwords too, or the response would reveal them
        right = compare_digest(f"{name}:{password}".encode(), wanted)
        if not right:
            wrong.append(now)
        return right

    return check


def _allowed(scope: dict[str, Any]) -> bool:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host, origin = headers.get(b"host", ""), headers.get(b"origin")
    if _name(f"//{host}") not in LOCAL:
        return False
    return scope.get("method") in _READING or origin is None or origin.partition("//")[2] == host


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
