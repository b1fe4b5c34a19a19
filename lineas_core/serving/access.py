"""Who may use the endpoint: holders of the key, or without one programs on this machine.

With a key, web pages of given addresses may use it, too.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse

from lineas_core.serving.errors import ApiError

__all__ = ["Access", "App", "shared"]

App = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application."""


@dataclass(frozen=True)
class Access:
    """ASGI middleware that refuses requests without the key.

    Where there is no key, a web page in the browser of this machine could send requests. It
    cannot read the answers, unless its own host name is made to resolve to this machine (DNS
    rebinding): hence the names, besides IP addresses.

    Attributes:
        app: the app.
        key: what requests must send as `Authorization: Bearer KEY`; empty for none.
        names: host names that requests without a key may be sent to; None allows all of them.
        open: paths that need no key.
    """

    app: App
    key: str = ""
    names: Collection[str] | None = ("localhost",)
    open: Collection[str] = ("/health",)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse the request, or pass it on."""
        if scope["type"] == "websocket":  # there are none
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http" and (refusal := self._refusal(Request(scope))):
            headers = {**refusal.headers, "connection": "close"}  # the body is not read
            answer = JSONResponse(refusal.body, refusal.status, headers)
            await answer(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refusal(self, request: Request) -> ApiError | None:
        if self.key:
            known = request.url.path in self.open or self._has_key(request)
            return None if known else _unauthorized()
        if self.names is None or _allowed(request.headers.get("host", ""), self.names):
            return None
        message = (
            "Without a key the endpoint is open on this machine only. Use the address 127.0.0.1, "
            "or start it with a key."
        )
        return ApiError(403, message, code="unknown_host")

    def _has_key(self, request: Request) -> bool:
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        # Bytes, because texts that are not ASCII cannot be compared in constant time.
        given, wanted = key.strip().encode("latin-1", "replace"), self.key.encode()
        return hmac.compare_digest(given, wanted) and kind.lower() == "bearer"


def shared(app: App, origins: Collection[str]) -> App:
    """Return an app whose answers the scripts of some web pages may read.

    Args:
        app: an app that asks for a key.
        origins: origins of the pages, such as `https://chat.example`; empty for none.
    """
    if not origins:
        return app
    # Any header may be sent: OpenAI's client has many of its own, and cookies are not looked at.
    sharing = CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "POST"),
        allow_headers=("*",),
        allow_private_network=True,
        expose_headers=("retry-after",),
    )

    async def call(scope: Any, receive: Any, send: Any) -> None:
        known = scope["type"] == "http" and Request(scope).headers.get("origin") in origins
        await (sharing if known else app)(scope, receive, send)

    return call


def _unauthorized() -> ApiError:
    return ApiError(
        401,
        "The API key is missing or wrong. Send it as Authorization: Bearer KEY.",
        code="invalid_api_key",
        headers={"www-authenticate": "Bearer"},
    )


def _allowed(host: str, names: Collection[str]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name in names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
