"""What every tab's events share: checks of what comes in, user_errors of what goes wrong.

Handlers are plain functions and generators that can be called without a server. Whatever the
page checks is checked here again, since anybody can post to a handler.
"""

from __future__ import annotations

import html
import inspect
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import gradio as gr

from lineas_core import UserError
from lineas_core.runtime.memory import out_of_memory_as_user_error

__all__ = ["GALLERY", "IN_PAGE", "MODEL", "QUIET", "LatestRequest", "user_errors"]


_log = logging.getLogger(__name__)


def user_errors(handler: Callable) -> Callable:
    """Turn the exceptions of a function or generator into what a user may see.

    A `UserError` becomes its sentence, any other exception a number that leads to the trace in
    the log.
    """
    if inspect.isgeneratorfunction(handler):

        @wraps(handler)
        def wrapped(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with _as_user_errors():
                yield from handler(*args, **kwargs)

    else:

        @wraps(handler)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with _as_user_errors():
                return handler(*args, **kwargs)

    return wrapped


class LatestRequest:
    """The number of the latest request of each browser tab, so that work for older ones ends.

    Where several events number requests, the work looks up the latest number itself when it
    starts: numbers that travel through the page may arrive out of order, and the last one to
    arrive could be old.
    """

    def __init__(self) -> None:
        self._latest: Counter[str] = Counter()  # by session

    def new(self, request: gr.Request) -> int:
        """Number a new request."""
        self._latest[_session(request)] += 1
        return self.latest(request)

    def latest(self, request: gr.Request) -> int:
        """Return the number of the latest request."""
        return self._latest[_session(request)]

    def outdated(self, number: int, request: gr.Request) -> bool:
        """Return whether there is a later request than this number."""
        return number != self.latest(request)


@contextmanager
def _as_user_errors() -> Iterator[None]:
    try:
        with out_of_memory_as_user_error():
            yield
    except gr.Error:  # one handler called another
        raise
    except UserError as error:
        sentence = html.escape(str(error), quote=False)  # Gradio shows errors as HTML
        raise gr.Error(sentence, print_exception=False) from error
    except Exception as error:
        code = secrets.token_hex(4)
        _log.exception("internal error %s", code)
        sentence = f"Internal error {code}. The log of the server has the details."
        raise gr.Error(sentence, print_exception=False) from error


def _session(request: gr.Request) -> str:
    return request.session_hash or ""


QUIET: dict[str, Any] = {
    "show_progress": "hidden",
    "concurrency_limit": None,
    "api_visibility": "private",
}
"""For an event without model work: at once, without a spinner, not for programs.

Through the queue all the same: only there a notice comes without an HTTP error, and only there
the listeners of a `gr.State` hear of its change.
"""
MODEL: dict[str, Any] = {
    "concurrency_id": "model",
    "concurrency_limit": 1,
    "api_visibility": "private",
}
"""For an event that makes a model work: one at a time."""
IN_PAGE: dict[str, Any] = {"queue": False, "api_visibility": "private"}
"""For an event that the page answers alone, in JavaScript."""
GALLERY: dict[str, Any] = {
    "show_label": False,
    "height": "auto",
    "format": "png",
    "allow_preview": False,
    "interactive": False,
    "buttons": [],
    "container": False,
}
"""For pictures that are there to be clicked, and have no frame of their own."""
