"""The HTTP side: OpenAI's endpoints, answered by the batch.

`api` is what lies below `/v1`, for another server to mount; `app` is a server of its own.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from lineas_core.serving.access import Access, App, shared
from lineas_core.serving.answers import Answer, Choice
from lineas_core.serving.body import ChatBody, CompletionBody, parse
from lineas_core.serving.engine import Engine, Limits
from lineas_core.serving.errors import ApiError, Handler, answering, error_of, not_found
from lineas_core.serving.group import Piece, Request
from lineas_core.serving.metrics import counted, metrics_text
from lineas_core.serving.served import Served

__all__ = ["LARGEST_BODY", "PATIENCE", "Endpoint"]

LARGEST_BODY = 1 << 20
"""Bytes of a request; texts that a model can read are far smaller."""
PATIENCE = 30.0
"""Seconds in which the body of a request has to come, and a part of a stream has to be taken."""


class Endpoint:
    """Answers OpenAI's requests from one engine.

    Attributes:
        engine: continues the texts.
        answered: number of requests to `app` by path, without `/v1`, and HTTP status.
    """

    def __init__(
        self,
        served: Served,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        now: Callable[[], Served] | None = None,
    ) -> None:
        """Start the engine.

        Args:
            served: the model, its maps and their names.
            limits: limits of the engine.
            now: returns the same model with the maps that a request can name when it comes; None
                if they never change. It may take some time, and has to be safe for threads.

        Raises:
            UserError: the rows of this model cannot share a batch.
        """
        self.engine, self._name = Engine(served.model, limits), served.name
        self._now = now or (lambda: served)
        self.answered: Counter[tuple[str, int]] = Counter()
        self._created = int(time.time())

    def close(self) -> None:
        """End the engine; texts that are not complete end with an error."""
        self.engine.close()

    def api(self) -> Starlette:
        """Return the app for the path `/v1`."""
        completions, chat = self._generation(CompletionBody), self._generation(ChatBody)
        routes = [
            Route("/models", answering(self._models)),
            Route("/models/{name:path}", answering(self._model)),
            Route("/completions", answering(completions), methods=["POST"]),
            Route("/chat/completions", answering(chat), methods=["POST"]),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: not_found})

    def app(self, key: str = "", origins: Sequence[str] = ()) -> App:
        """Return an app with `/v1`, `/health` and `/metrics`, behind `Access`.

        Args:
            key: as in `Access`.
            origins: as in `shared`.
        """
        routes = [
            Mount("/v1", self.api()),
            Route("/health", self._health),
            Route("/metrics", self._metrics),
        ]
        served = Starlette(routes=routes, exception_handlers={HTTPException: not_found})
        return counted(shared(Access(served, key), origins), self.answered)

    async def _health(self, _: HttpRequest) -> Response:
        return JSONResponse({"status": "ok", "model": self._name})

    async def _metrics(self, _: HttpRequest) -> Response:
        text = metrics_text(self.engine, self.answered)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _models(self, _: HttpRequest) -> Response:
        served = await run_in_threadpool(self._now)
        models = [self._described(name) for name in served.names]
        return JSONResponse({"object": "list", "data": models})

    async def _model(self, request: HttpRequest) -> Response:
        name = request.path_params["name"]
        served = await run_in_threadpool(self._now)
        served.steering(name, {})
        return JSONResponse(self._described(name))

    def _described(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "lineas"}

    def _generation(self, kind: type[ChatBody | CompletionBody]) -> Handler:
        def read(data: bytes) -> tuple[Any, list[Request]]:
            body = parse(data, kind)
            return body, body.requests(self._now(), self.engine.context)

        async def handle(http: HttpRequest) -> Response:
            body, requests = await run_in_threadpool(read, await _read(http))
            texts = _Texts(self.engine, requests)
            answer = Answer(body.model, chat=kind is ChatBody)
            if not body.stream:
                with suppress(_Left):
                    choices = await texts.whole(http)
                    return JSONResponse(answer.whole(choices, texts.prompt_tokens))
                return Response(status_code=499)  # nobody reads it
            wants_usage = bool(body.stream_options and body.stream_options.include_usage)
            return _Stream(texts, _events(texts, answer, wants_usage=wants_usage))

        return handle


class _Left(Exception):  # noqa: N818 - no error, but the end of a request
    """The client has closed the connection."""


class _Texts:
    """The texts of one request on their way from the engine to the event loop."""

    def __init__(self, engine: Engine, requests: Sequence[Request]) -> None:
        self._pieces: asyncio.Queue[tuple[int, Piece]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def deliver(place: int, piece: Piece) -> None:
            with suppress(RuntimeError):  # the loop is closed: the server has ended
                loop.call_soon_threadsafe(self._pieces.put_nowait, (place, piece))

        self._engine = engine
        self._rows = engine.submit(requests, deliver)
        self.choices = [Choice() for _ in requests]
        # Choices of one prompt share its tokens.
        self.prompt_tokens = sum(map(len, {id(r.tokens): r.tokens for r in requests}.values()))

    async def pieces(self) -> AsyncIterator[tuple[int, Piece]]:
        """Yield the pieces of all texts.

        Raises:
            Exception: whatever has kept the engine from going on.
        """
        while not all(choice.finish for choice in self.choices):
            place, piece = await self._pieces.get()
            if piece.error:
                raise piece.error
            choice = self.choices[place]
            choice.text += piece.text
            choice.tokens, choice.finish = piece.tokens, piece.finish
            yield place, piece

    def leave(self) -> None:
        """Let the rows that are left leave the batch."""
        self._engine.cancel(self._rows)

    async def whole(self, http: HttpRequest) -> list[Choice]:
        """Return the whole texts.

        Raises:
            _Left: the client has left.
        """

        async def collect() -> None:
            async for _ in self.pieces():
                pass

        collecting = asyncio.ensure_future(collect())
        leaving = asyncio.ensure_future(_disconnected(http))
        try:
            await asyncio.wait((collecting, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not collecting.done():
                raise _Left
            collecting.result()
        finally:
            for task in (collecting, leaving):
                task.cancel()
            self.leave()
        return self.choices


class _Stream(StreamingResponse):
    """The server-sent events of texts, whose rows leave when the stream ends in any way."""

    def __init__(self, texts: _Texts, events: AsyncIterator[str]) -> None:
        headers = {"cache-control": "no-cache"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._texts = texts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the events; the client may leave before the first one."""

        async def taken(message: Any) -> None:
            async with asyncio.timeout(PATIENCE):
                await send(message)

        try:
            # A client that stays and takes no events would keep its rows in the batch.
            with suppress(TimeoutError, ClientDisconnect):
                await super().__call__(scope, receive, taken)
        finally:
            self._texts.leave()


async def _events(texts: _Texts, answer: Answer, *, wants_usage: bool) -> AsyncIterator[str]:
    """Yield the server-sent events of an answer."""
    for place in range(len(texts.choices)):
        for chunk in answer.begin(place):
            yield _event(chunk)
    try:
        async for place, piece in texts.pieces():
            for chunk in answer.piece(place, piece.text, piece.finish):
                yield _event(chunk)
    except Exception as error:  # noqa: BLE001 - the status has been sent, so the stream says it
        yield _event(error_of(error).body)
        return
    if wants_usage:
        yield _event(answer.end(texts.choices, texts.prompt_tokens))
    yield "data: [DONE]\n\n"


def _event(chunk: dict[str, Any]) -> str:
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"


async def _disconnected(http: HttpRequest) -> None:
    """Wait until the client closes the connection."""
    while (await http.receive())["type"] != "http.disconnect":
        pass


async def _read(http: HttpRequest) -> bytes:
    """Return the body of a request.

    Raises:
        ApiError: it is too large, too slow, or not declared as JSON.
    """
    kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # other types can be sent by a foreign web page
        message = "The body has to be JSON. Send it with Content-Type: application/json."
        raise ApiError(415, message, code="unsupported_media_type")
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for part in http.stream():
                body += part
                if len(body) > LARGEST_BODY:
                    message = f"The body is larger than {LARGEST_BODY:,} bytes. Shorten the texts."
                    raise ApiError(413, message, code="body_too_large")
    except TimeoutError:
        message = "The body did not arrive in time. Send it again."
        raise ApiError(408, message, code="timeout") from None
    return bytes(body)
