"""What every tab's events share: checks of what comes in, notices of what goes wrong.

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

from app.library import MapEntry
from app.studio import Studio
from lineas_core import UserError
from lineas_core.memory import memory_told
from lineas_core.models.catalog import MODELS, Kind
from lineas_core.prompt_files import MAX_CHARACTERS

__all__ = ["Wishes", "check_count", "map_menu", "notices", "number", "prompt_text", "seed_of"]

MOST_STRENGTHS = 9

_log = logging.getLogger(__name__)


def notices(handler: Callable) -> Callable:
    """Turn the exceptions of a function or generator into what a user may see.

    A `UserError` becomes its sentence, any other exception a number that leads to the trace in
    the log.
    """
    if inspect.isgeneratorfunction(handler):

        @wraps(handler)
        def wrapped(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with _as_notices():
                yield from handler(*args, **kwargs)

    else:

        @wraps(handler)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with _as_notices():
                return handler(*args, **kwargs)

    return wrapped


class Wishes:
    """Which wish of a browser tab is its newest, so that work for older ones can end.

    Where several events make wishes, work asks for its number itself, when it starts: numbers
    that come through the page may arrive in another order than they were counted in, and the
    last to come would be an old one.
    """

    def __init__(self) -> None:
        self._newest: Counter[str] = Counter()  # session -> number of its newest wish

    def count(self, request: gr.Request) -> int:
        """The number of a new wish."""
        self._newest[_session(request)] += 1
        return self.newest(request)

    def newest(self, request: gr.Request) -> int:
        """The number of the newest wish."""
        return self._newest[_session(request)]

    def overtaken(self, wish: int, request: gr.Request) -> bool:
        """Whether there is a newer one."""
        return wish != self.newest(request)


def map_menu(studio: Studio, kind: Kind, chosen: str | None) -> Any:
    """The menu of the maps there are now; keeps the choice, else takes one that can run."""
    entries = [entry for entry in studio.maps() if entry.kind == kind]
    ids = [entry.id for entry in entries]
    ready = [entry.id for entry in entries if studio.models.installed(entry.model)]
    value = chosen if chosen in ids else next(iter(ready or ids), None)
    return gr.Dropdown(choices=[(_menu_line(e), e.id) for e in entries], value=value)


def number(name: str, value: object, low: float, high: float) -> float:
    """A number between two bounds."""
    # `not low <= value` rather than `value < low`: NaN fails every comparison.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        remedy = f"Give a number from {low} to {high}."
        raise UserError("E_NUMBER", f"{name} is {value!r:.60}", remedy=remedy)
    return value


def seed_of(value: object) -> int:
    """A seed."""
    return int(number("seed", value, 0, 2**53))


def check_count(strengths: object) -> None:
    """Refuse a batch that is empty or too large."""
    if not isinstance(strengths, list | tuple):
        what = f"strengths is {strengths!r:.60}"
        raise UserError("E_STRENGTH", what, remedy="Give a list, such as [0, 1].")
    if not 1 <= len(strengths) <= MOST_STRENGTHS:
        remedy = f"Give 1 to {MOST_STRENGTHS}."
        raise UserError("E_STRENGTH", f"{len(strengths)} strengths came", remedy=remedy)


def prompt_text(text: object) -> str:
    """A prompt that is neither empty nor too long."""
    if not isinstance(text, str) or not text.strip():
        remedy = "Write a few words, or click an example."
        raise UserError("E_PROMPT", "the prompt is empty", remedy=remedy)
    if len(text) > MAX_CHARACTERS:
        what = f"the prompt has {len(text):,} characters, at most {MAX_CHARACTERS:,} are allowed"
        raise UserError("E_PROMPT", what, remedy="Shorten it.")
    return text.rstrip()  # a space at the end would make an unusual next word


@contextmanager
def _as_notices() -> Iterator[None]:
    try:
        with memory_told():
            yield
    except gr.Error:  # one of these handlers asked another
        raise
    except UserError as error:
        sentence = html.escape(str(error), quote=False)  # Gradio shows notices as HTML
        raise gr.Error(sentence, print_exception=False) from error
    except Exception as error:
        code = secrets.token_hex(4)
        _log.exception("internal error %s", code)
        sentence = f"Internal error {code}. The log of the server has the details."
        raise gr.Error(sentence, print_exception=False) from error


def _session(request: gr.Request) -> str:
    return request.session_hash or ""


def _menu_line(entry: MapEntry) -> str:
    model = MODELS[entry.model].title if entry.model in MODELS else entry.model
    return f"{entry.title} · {model}" + (" · yours" if entry.origin == "yours" else "")
