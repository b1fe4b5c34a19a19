"""The Gradio app that every request passes through, from the page and from programs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.route_utils import FnIndexInferError
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lineas_core import UserError

from .endpoints import check_texts, complete
from .events import MANY, MODEL, errors_for_users
from .picture_files import write_pictures_once
from .security import Lifespan, network_of
from .sessions import Sessions, believe_menus
from .streams import Streams
from .turns import Turns, Visitor

__all__ = ["StudioBlocks", "app_options"]

_NO_ENDPOINT = (
    "There is no such endpoint, or it has no such argument. “Use via API” at the foot of the page "
    "lists them all."
)
_UNREAD = 50  # answers to one session that are kept until it reads them
_PATIENCE = 30.0  # seconds that a computation waits for them to be read
# How many requests may wait in a public demo.
_DEMO: dict[str, Any] = {"per_session": 2, "per_address": 6}
_ANSWERS = 256  # requests without a session whose answers are kept

_log = logging.getLogger(__name__)
_preprocess = gr.Slider.preprocess


class StudioBlocks(gr.Blocks):
    """A page whose endpoints check their arguments and whose errors are sentences.

    Gradio prints other errors, with the values of the request, and answers nothing. It also works
    through the requests one by one; here those that use a model take turns (see `Turns`).
    """

    def __init__(self, *, read_only: bool = False, **options: Any) -> None:
        """Create an empty page.

        Args:
            read_only: refuse the handlers that are marked by `changes`, and let a visitor wait
                with fewer requests at a time.
            **options: as in Gradio.
        """
        self._read_only = read_only
        limits = _DEMO if read_only else {}
        self._turns = {name["concurrency_id"]: Turns(**limits) for name in (MODEL, MANY)}
        self._done: deque[str] = deque()  # requests without a session, oldest first
        write_pictures_once()
        gr.Slider.preprocess = _slider_value  # type: ignore[assignment]
        super().__init__(**options)

    def get_config_file(self) -> Any:
        """Return the description of the page, which then opens no stream for a heartbeat.

        A browser has six connections to a server: with a stream for each, the seventh open page
        would hang. Requests of a page that is closed end with the stream of their answers.
        """
        return {**super().get_config_file(), "connect_heartbeat": False}

    def validate_inputs(self, block_fn: BlockFunction, inputs: list[Any]) -> None:
        """Check the values of a request, and add the defaults of an endpoint to them."""
        check_texts(inputs)
        if block_fn.api_visibility == "public" and block_fn.fn:
            inputs[:] = complete(block_fn.fn, inputs)
        elif len(inputs) < len(block_fn.inputs):
            what = f"{len(inputs)} values were sent for an event that takes {len(block_fn.inputs)}"
            raise UserError("E_ARGUMENTS", what, remedy="Reload the page.")

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> Any:
        """Convert the values of a request, also those of a page that an earlier server opened."""
        if state:
            believe_menus(block_fn, state)
        return await super().preprocess_data(block_fn, inputs, state, explicit_call)

    async def process_api(self, block_fn: BlockFunction | int, *args: Any, **kwargs: Any) -> Any:
        """Answer one step of a request: of a generator, up to its next `yield`."""
        session, goes_on = kwargs.get("session_hash"), False
        try:
            with errors_for_users():
                self._check(block_fn)
                if kwargs.get("iterator") is not None:
                    await self._wait_for_reader(session or "")
                async with self._turn(block_fn, **kwargs):
                    answer = await super().process_api(block_fn, *args, **kwargs)
            goes_on = answer["is_generating"]
        finally:
            # A request without a session gets its own number as one.
            if session and session == kwargs.get("event_id") and not goes_on:
                self._forget(session)
        return answer

    def handle_streaming_diffs(
        self,
        block_fn: BlockFunction,
        data: list[Any],
        session_hash: str | None,
        run: str | None,
        final: bool,  # noqa: FBT001 - as in Gradio
        simple_format: bool = False,  # noqa: FBT001, FBT002
    ) -> list[Any]:
        """Describe a step by its changes to the one before, but by none within a value.

        A page changes a value in place, though it may not have shown the step before yet: a
        button that one step brings and the next one does not mention would never be seen.
        """
        begun = session_hash and run in self.pending_diff_streams[session_hash]
        whole = [*data]
        told = super().handle_streaming_diffs(
            block_fn, data, session_hash, run, final, simple_format
        )
        if not begun or final or simple_format:
            return told
        return [
            [["replace", [], value]] if any(place for _, place, _ in edits) else edits
            for edits, value in zip(told, whole, strict=True)
        ]

    def _check(self, block_fn: BlockFunction | int) -> None:
        """Refuse what a public demo does not do."""
        function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        if self._read_only and getattr(function.fn, "changes", False):
            remedy = "Install LinEAS Studio to do it on your own machine."
            raise UserError("E_DEMO", "the public demo does not allow this", remedy=remedy)

    def _turn(
        self,
        block_fn: BlockFunction | int,
        request: Any = None,
        iterator: Any = None,
        session_hash: str | None = None,
        event_id: str | None = None,
        **_: Any,
    ) -> AbstractAsyncContextManager[None]:
        """Return the context in which a step is computed."""
        function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        turns = self._turns.get(function.concurrency_id)
        if turns is None:
            return nullcontext()
        client = getattr(request, "client", None)
        session = "" if session_hash in (None, event_id) else str(session_hash)
        visitor = Visitor(network_of(client.host) if client else "unknown", session)
        return turns.turn(visitor, begun=iterator is not None)

    async def _wait_for_reader(self, session: str) -> None:
        """Wait until the answers so far have been read, but for a few.

        Raises:
            UserError: nobody reads them.
        """
        last = time.monotonic() + _PATIENCE
        while (unread := self._queue.pending_messages_per_session.get(session)) is not None:
            if unread.qsize() <= _UNREAD:
                return
            if time.monotonic() > last:
                what = f"{_UNREAD} answers were not read within {_PATIENCE:.0f} seconds"
                remedy = "Read the answers while they are computed."
                raise UserError("E_UNREAD", what, remedy=remedy)
            await asyncio.sleep(0.05)

    def _forget(self, session: str) -> None:
        """Drop the state of a request without a session, and the answers to earlier ones."""
        if isinstance(self.state_holder, Sessions):
            self.state_holder.drop(session)
        self._done.append(session)
        while len(self._done) > _ANSWERS:
            old = self._done.popleft()
            self._queue.pending_messages_per_session.pop(old, None)
            self._queue.pending_event_ids_session.pop(old, None)


def app_options(guard: Lifespan) -> dict[str, Any]:
    """Return the `app_kwargs` with which `StudioBlocks` are launched.

    Args:
        guard: what `guarded` returns.
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        app.state_holder = Sessions()
        app.state_holder.set_blocks(app.get_blocks())
        async with guard(app):
            yield

    # No handler of ours has been called then; their errors pass through `StudioBlocks`.
    unfit = (FnIndexInferError, KeyError, TypeError, ValueError)
    return {
        "lifespan": lifespan,
        "middleware": [Middleware(Streams)],
        "exception_handlers": dict.fromkeys(unfit, _no_endpoint),
    }


def _slider_value(slider: gr.Slider, value: float | None) -> float | None:
    """Return the value of a slider; None while its number box is empty, as of a `gr.Number`."""
    # Of a subclass of a component, Gradio would write a .pyi file beside its module.
    return None if value is None else _preprocess(slider, value)


async def _no_endpoint(request: Request, error: Exception) -> Response:
    _log.warning("%s %s: %r", request.method, request.url.path, error)
    return JSONResponse({"detail": _NO_ENDPOINT}, 400)
