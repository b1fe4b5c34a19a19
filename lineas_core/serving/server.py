"""A server of its own for the endpoint."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from errno import EADDRNOTAVAIL
from typing import Any

import uvicorn

from lineas_core.errors import UserError
from lineas_core.serving.access import App
from lineas_core.serving.endpoint import Endpoint

__all__ = ["LOCAL", "listen", "server_of"]

LOCAL = ("127.0.0.1", "::1", "localhost")
"""Host names of this machine."""

# Seconds that a stopped server gives the texts it is writing, and then the answers that they were
# not completed; together less than the ten after which Docker kills it.
_GRACE, _LAST_WORDS = 5, 3


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: address or name of this machine.
        port: 0 to 65535; 0 takes any that is free.

    Raises:
        UserError: the address cannot be used.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number and number > 0 else str(error)
        elsewhere = isinstance(error, socket.gaierror) or number == EADDRNOTAVAIL
        what = f"{host}:{port} cannot be used ({reason})"
        remedy = f"Give another --{'host' if elsewhere else 'port'}."
        raise UserError("E_ADDRESS", what, remedy=remedy) from None


def server_of(endpoint: Endpoint, key: str = "", origins: Sequence[str] = ()) -> uvicorn.Server:
    """Return a server; `server.run(sockets=[listen(...)])` serves until it is interrupted.

    Args:
        endpoint: what it serves, at `/v1`, `/health` and `/metrics`.
        key: what requests must send as `Authorization: Bearer KEY`; empty for none, and then
            only requests to names and addresses of this machine are answered.
        origins: as in `Endpoint.app`.
    """
    config = uvicorn.Config(
        _without_traces(endpoint.app(key, origins)),
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE + _LAST_WORDS,
    )
    return _Server(config, endpoint)


class _Server(uvicorn.Server):
    """A server whose engine ends before the requests that wait for it are cancelled."""

    def __init__(self, config: uvicorn.Config, endpoint: Endpoint) -> None:
        super().__init__(config)
        self._endpoint = endpoint

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let texts be completed for a while, then answer that the others are not."""
        ending = asyncio.ensure_future(self._end())
        await super().shutdown(sockets)
        ending.cancel()

    async def _end(self) -> None:
        await asyncio.sleep(_GRACE)
        await asyncio.to_thread(self._endpoint.close)  # waits for a pass of the batch


def _without_traces(app: App) -> App:
    """Return an app whose requests, cancelled at the end of the server, are no errors of it."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        with suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return call
