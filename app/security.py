"""Keeps away who is not meant: other web pages from a page without a login, and guesses at one.

A page needs no login where only this machine sees it. But a browser lets any web page send
requests to this machine: to its address (the answer is hidden, but a file is stored or a job
starts all the same), or, by a name that suddenly means this machine (DNS rebinding), with the
answer.
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
"""Names of this machine."""

_REFUSAL = (
    b"This page is for this machine alone. For others start it with --host and --auth, "
    b"behind a proxy with --root-path."
)
_READING = ("GET", "HEAD", "OPTIONS")
_GUESSES = 5

PATIENCE = 60.0
"""Seconds within which five logins may be wrong; more are refused until they are over."""


class Guard:
    """ASGI middleware: refuses requests to other names, and from other pages what is not read."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer 403, or hand on."""
        if scope["type"] in ("http", "websocket") and not _welcome(scope):
            kind = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 403, "headers": kind})
            await send({"type": "http.response.body", "body": _REFUSAL})
            return
        await self._app(scope, receive, send)


def login(name: str, password: str) -> Callable[[str, str], Awaitable[bool]]:
    """What checks a login, as `launch(auth=...)` takes it."""
    wanted, wrong = f"{name}:{password}".encode(), deque[float](maxlen=_GUESSES)

    async def check(name: str, password: str) -> bool:
        now = time.monotonic()
        if len(wrong) == _GUESSES and now - wrong[0] < PATIENCE:
            return False  # also what is right: else the answers would tell
        right = compare_digest(f"{name}:{password}".encode(), wanted)
        if not right:
            wrong.append(now)
        return right

    return check


def _welcome(scope: dict[str, Any]) -> bool:
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
