"""Answers reach a page also if it asks for them while the stream of earlier ones is closed.

Gradio closes the stream of a session after its last answer. A page that asks for something else
before it has read that believes the stream to be open and opens none: its click is lost, until
another one opens a stream. So a stream stays open for a moment and takes up what is asked for
meanwhile, and whatever comes right after its end is answered when the page has surely read it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

__all__ = ["Streams"]

_OPEN = 0.5  # seconds that a stream stays open after its last answer
_READ = 5.0  # seconds in which a page reads that its stream is closed, and leaves it
# Without it, Chromium's cache sends the request for a stream twice if the page has only just left
# the previous one, at the same address, and half of the answers go where nobody reads them.
_UNCACHED = (b"cache-control", b"no-store")
_LOOK = 0.02  # seconds between two looks at the queue
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class Streams:
    """ASGI middleware between Gradio's own and its routes."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        """Put it around an app."""
        self._app = app
        self._closing: dict[str, asyncio.Event] = {}  # set when a session has read that it closes

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer a request."""
        path = scope.get("path", "").rstrip("/")
        if path.endswith("/queue/data"):
            await self._stream(scope, receive, send)
        elif path.endswith("/queue/join"):
            await self._join(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _stream(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Pass on Gradio's streams of a session as one, with one beginning and one end."""
        (session, *_) = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])
        begun, end = False, list[_Message]()

        async def passed(message: _Message) -> None:
            nonlocal begun
            if end or _closes(message):
                end.append(message)
            elif message["type"] != "http.response.start":
                await send(message)
            elif not begun:
                begun = True
                await send({**message, "headers": [*message["headers"], _UNCACHED]})

        while True:
            await self._app(dict(scope), receive, passed)  # routes write into their scope
            if not end:
                return  # an error, or nobody reads it any more
            if not await self._asked_for_more(scope, session, receive):
                break
            end.clear()
        read = self._closing[session] = asyncio.Event()
        try:
            await send(end[0])
            await _left(receive, _READ)
        finally:
            read.set()
            if self._closing.get(session) is read:
                del self._closing[session]
        for message in end[1:]:
            await send(message)

    async def _asked_for_more(self, scope: _Message, session: str, receive: _Receive) -> bool:
        """Wait for another request of a session; False if none comes or the page is left."""
        last = time.monotonic() + _OPEN
        while not _pending(scope, session):
            if time.monotonic() > last or await _left(receive, _LOOK):
                return False
        return True

    async def _join(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Take a request up, and answer when its page knows whether it has a stream."""
        body = bytearray()

        async def received() -> _Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def passed(message: _Message) -> None:
            if self._closing and (read := self._closing.get(_session_in(body))):
                await read.wait()
            await send(message)

        await self._app(scope, received, passed)


async def _left(receive: _Receive, seconds: float) -> bool:
    """Wait so long at most for a page to leave a stream; return whether it has."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
            return True
    return False


def _pending(scope: _Message, session: str) -> bool:
    """Return whether a session waits for an answer."""
    return bool(scope["app"].get_blocks()._queue.pending_event_ids_session.get(session))


def _session_in(body: bytearray) -> str:
    """Return the session that a request names; empty if there is none."""
    try:
        return str(json.loads(body)["session_hash"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _closes(message: _Message) -> bool:
    """Return whether this is Gradio's message that a stream has no more answers."""
    body = message.get("body", b"")
    if not body.startswith(b"data:") or len(body) > 200:
        return False
    return json.loads(body[len(b"data:") :]).get("msg") == "close_stream"
