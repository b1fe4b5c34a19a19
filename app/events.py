"""Event wiring shared by all tabs: error handling, latest requests and common event arguments.

Handlers are plain functions and generators that can be called without a server. They validate
their arguments even if the page does so too, because any client can call them.
"""

from __future__ import annotations

import html
import inspect
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import gradio as gr
from gradio.context import LocalContext

from lineas_core import UserError
from lineas_core.runtime.memory import out_of_memory_as_user_error

from .html.basics import sentence_of
from .security import network_of

__all__ = [
    "GALLERY",
    "HIDDEN",
    "IN_PAGE",
    "LATEST",
    "MANY",
    "MODEL",
    "QUIET",
    "BySession",
    "LatestRequest",
    "changes",
    "errors_for_users",
    "inform",
    "latest_only",
    "session",
    "user_errors",
    "visitor",
]


_SESSIONS = 10_000  # that are remembered
T = TypeVar("T")
_log = logging.getLogger(__name__)


def user_errors(handler: Callable) -> Callable:
    """Turn the exceptions of a function or generator into messages for the user.

    A `UserError` is shown as its sentence; for any other exception the message has a code, under
    which the trace is in the log.
    """
    if inspect.isgeneratorfunction(handler):

        @wraps(handler)
        def wrapped(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with errors_for_users():
                yield from handler(*args, **kwargs)

    else:

        @wraps(handler)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with errors_for_users():
                return handler(*args, **kwargs)

    return wrapped


def changes(handler: Callable) -> Callable:
    """Mark a handler that changes what the server keeps, or takes minutes and gigabytes.

    `StudioBlocks` refuses to call it in a public demo.
    """
    handler.__dict__["changes"] = True
    return handler


@contextmanager
def errors_for_users() -> Iterator[None]:
    """Turn exceptions into messages for the user, as `user_errors` does."""
    try:
        with out_of_memory_as_user_error():
            yield
    except gr.Error as error:  # by Gradio, or by a handler that this one has called
        error.print_exception = False  # its message can contain what the request contained
        raise
    except UserError as error:
        # Gradio renders error messages as HTML.
        sentence = html.escape(sentence_of(str(error)), quote=False)
        raise gr.Error(sentence, print_exception=False) from error
    except Exception as error:
        code = secrets.token_hex(4)
        _log.exception("internal error %s", code)
        sentence = f"Internal error {code}. The server log has the details."
        raise gr.Error(sentence, print_exception=False) from error


def inform(notes: Iterable[str]) -> None:
    """Show notes on what a file held."""
    for note in notes:
        gr.Info(html.escape(f"{sentence_of(note)}."))


def visitor() -> str:
    """Return the address whose request is being handled; empty without a request."""
    request = LocalContext.request.get(None)
    client = getattr(request, "client", None)
    return network_of(client.host) if client else ""


def session() -> str:
    """Return the browser session whose request is being handled; empty without a request."""
    request = LocalContext.request.get(None)
    return _session(request) if request else ""


class BySession(OrderedDict[str, T]):
    """Values by browser session; beyond 10,000 those that were set first are forgotten."""

    def __setitem__(self, session: str, value: T) -> None:
        """Set the value of a session, which is then the newest."""
        super().__setitem__(session, value)
        self.move_to_end(session)
        while len(self) > _SESSIONS:
            self.popitem(last=False)


class LatestRequest:
    """Tracks the latest request of each browser session, so that work for older ones can stop.

    If several events number requests, a handler must look up the latest number itself when it
    starts: numbers that pass through the page can arrive out of order.
    """

    def __init__(self) -> None:
        self._latest = BySession[int]()
        self._count = 0  # numbers are never given again, also if a session has been forgotten

    def new(self, request: gr.Request) -> int:
        """Number a new request."""
        session = _session(request)
        self._count += 1
        self._latest[session] = self._count
        return self._count

    def latest(self, request: gr.Request) -> int:
        """Return the number of the latest request; 0 if there was none."""
        return self._latest.get(_session(request), 0)

    def outdated(self, number: int, request: gr.Request) -> bool:
        """Return whether there is a later request than this number."""
        return number != self.latest(request)


def _session(request: gr.Request) -> str:
    return request.session_hash or ""


def latest_only(calls: LatestRequest) -> Callable[[Callable], Callable]:
    """Drop the answer of a handler that a later call of the same session has overtaken.

    Args:
        calls: counts the calls of all handlers that update the same components; these must not
            call each other. Calls outside a request are not counted.
    """

    def decorated(handler: Callable) -> Callable:
        @wraps(handler)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            request = LocalContext.request.get(None)
            number = calls.new(request) if request else 0
            answer = handler(*args, **kwargs)
            if not request or not calls.outdated(number, request):
                return answer
            # One for each: a single one would become the value of a `gr.State` among the outputs.
            return tuple(gr.skip() for _ in answer) if isinstance(answer, tuple) else gr.skip()

        return wrapped

    return decorated


HIDDEN: dict[str, Any] = {"show_progress": "hidden", "show_progress_on": []}
"""Arguments of an event without a spinner.

At each event the page walks its whole tree once for every component that has had a spinner, also a
hidden one, which took a fifth of a second for each move of the slider.
"""
QUIET: dict[str, Any] = {
    **HIDDEN,
    "concurrency_limit": None,
    "api_visibility": "private",
}
"""Arguments of an event without model work: started at once, without a spinner, not in the API.

Such events are queued all the same, because without the queue Gradio reports errors as HTTP errors
and does not trigger the `change` event of a `gr.State`.
"""
LATEST: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}
"""Arguments of a quiet event that says what the page shows now.

If it comes again before it is answered, it is sent again then. Gradio drops the second one of most
other events, and the answer to the first would stay.
"""
MODEL: dict[str, Any] = {
    "concurrency_id": "model",
    "concurrency_limit": None,
    "api_visibility": "private",
}
"""Arguments of an event that runs a model: `StudioBlocks` gives it turns, one event at a time."""
MANY: dict[str, Any] = {**HIDDEN, **MODEL, "concurrency_id": "many"}
"""Arguments of an event that paints many pictures.

Such events have turns of their own, so that whoever paints a grid can still move the slider.
"""
IN_PAGE: dict[str, Any] = {"queue": False, "api_visibility": "private"}
"""Arguments of an event that is handled in the browser, by JavaScript."""
GALLERY: dict[str, Any] = {
    "show_label": False,
    "height": "auto",
    "format": "png",
    "allow_preview": False,
    "interactive": False,
    "buttons": [],
    "container": False,
}
"""Arguments of a `gr.Gallery` whose pictures can be clicked."""
