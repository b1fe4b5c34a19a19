"""A server of its own for the endpoint."""

from __future__ import annotations

import os
import socket
from errno import EADDRNOTAVAIL

import uvicorn

from lineas_core.errors import UserError
from lineas_core.serving.endpoint import Endpoint

__all__ = ["LOCAL", "listen", "server_of"]

LOCAL = ("127.0.0.1", "::1", "localhost")
"""Host names of this machine."""

_GRACE = 5  # seconds that a stopped server gives the texts it is writing


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


def server_of(endpoint: Endpoint, key: str = "") -> uvicorn.Server:
    """Return a server; `server.run(sockets=[listen(...)])` serves until it is interrupted.

    Args:
        endpoint: what it serves, at `/v1`, `/health` and `/metrics`.
        key: what requests must send as `Authorization: Bearer KEY`; empty for none, and then
            only requests to names and addresses of this machine are answered.
    """
    config = uvicorn.Config(
        endpoint.app(key),
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE,
    )
    return uvicorn.Server(config)
