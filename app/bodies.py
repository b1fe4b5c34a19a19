"""The bodies of requests: cut off at a limit, and given up if they do not come."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

from starlette.formparsers import MultiPartException

__all__ = ["SILENCE", "WHOLE", "Body", "respond"]

SILENCE = 30.0
"""Seconds without any part of a body, after which its request is given up."""
WHOLE = 600.0
"""Seconds within which a body has to come."""

_TOO_LARGE = "The request is larger than {most:,} bytes."
_TOO_SLOW = "The request did not arrive in time. Send it again."


class Body:
    """The two ends of a request whose body is cut off at a limit.

    Attributes:
        refused: whether the request has been answered instead of passed on.
    """

    def __init__(self, receive: Any, send: Any, most: int, *, framed: bool = False) -> None:
        """Wrap the two ends of a request.

        Args:
            receive: as in ASGI.
            send: as in ASGI.
            most: the largest body in bytes.
            framed: whether pages of other sites may show the answer in a frame.
        """
        self._receive, self._send, self._most = receive, send, most
        self._frame = b"frame-ancestors *" if framed else b"frame-ancestors 'self'"
        self._taken, self._whole, self._started = 0, False, time.monotonic()
        self.refused = False

    async def receive(self) -> dict[str, Any]:
        """Return the next message.

        Raises:
            MultiPartException: the body is too large, too slow or incomplete. Of all errors,
                Gradio removes the files of an upload after this one alone.
        """
        if self._whole:  # only the end of the connection is left
            return await self._receive()
        left = self._started + WHOLE - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(min(SILENCE, left), 0))
        except TimeoutError:
            await self.refuse(408, _TOO_SLOW)
            raise MultiPartException("the body is too slow") from None
        if message["type"] == "http.disconnect":
            self.refused = True  # nobody reads an answer
            raise MultiPartException("the body is incomplete")
        self._taken += len(message.get("body", b""))
        self._whole = not message.get("more_body")
        if self._taken > self._most:
            await self.too_large()
            raise MultiPartException("the body is too large")
        return message

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message of the app, unless the request is refused."""
        if self.refused:  # the app answers that it could not read the body
            return
        if message["type"] == "http.response.start":
            headers = [_strict(*header) for header in message.get("headers", [])]
            frame = (b"content-security-policy", self._frame)
            message = {**message, "headers": [*headers, frame]}
        await self._send(message)

    async def too_large(self) -> None:
        """Refuse the request because of its size."""
        await self.refuse(413, _TOO_LARGE.format(most=self._most))

    async def refuse(self, status: int, sentence: str) -> None:
        """Answer the request; what the app sends from now on is dropped."""
        self.refused = True
        await respond(self._send, status, sentence.encode("utf-8", "replace"))


async def respond(send: Any, status: int, body: bytes, kind: bytes = b"text/plain") -> None:
    """Send a whole response, after which the connection is closed."""
    headers = [(b"content-type", kind + b"; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _strict(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return a header; a cookie is one that other sites cannot send along."""
    if name.lower() != b"set-cookie":
        return name, value
    return name, re.sub(rb"(?i);\s*samesite=\w+", b"", value) + b"; SameSite=Lax"
