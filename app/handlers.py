"""What the Text tab does: values in, values out, no layout; and how errors reach a user.

Handlers are plain functions and generators that can be called without a server. Whatever the
page checks is checked here again, since anybody can post to a handler.
"""

from __future__ import annotations

import html
import inspect
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import wraps
from typing import Any

import gradio as gr

from app.studio import MapEntry, Studio, Written
from app.tabs import fragments
from lineas_core import UserError
from lineas_core.models import Sampling
from lineas_core.models.catalog import MODELS
from lineas_core.prompt_files import MAX_CHARACTERS

__all__ = ["LONGEST", "Handlers", "notices"]

LONGEST = 200  # tokens of a continuation
STRENGTHS = (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0)
MOST_STRENGTHS = 9
TITLES = ("Original", "Steered")
HARMFUL = "This λ points towards offensive texts: for testing only."
_EXAMPLES = 5
_FIRST = 1  # the example to open with; with seed 1 it shows what the ready-made maps do

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


class Handlers:
    """The events of the Text tab, and its typed endpoints for programs."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._wishes: Counter[str] = Counter()  # session -> number of its newest wish

    @notices
    def library(self, chosen: str | None) -> Any:
        """The menu with every map there is now; keeps the choice, else takes one that can run."""
        entries = self._studio.maps()
        ids = [entry.id for entry in entries]
        ready = [entry.id for entry in entries if self._studio.installed(entry.model)]
        value = chosen if chosen in ids else next(iter(ready or ids), None)
        return gr.Dropdown(choices=[(_menu_line(e), e.id) for e in entries], value=value)

    @notices
    def choose(self, map_id: str | None, prompt: str) -> tuple[Any, ...]:
        """What depends on the map.

        Returns:
            Summary, facts, sweep, prompt, examples, two switches (show texts, chat), model.
        """
        if not map_id:
            none = fragments.hint("There is no map yet. Learn one in the Learn tab.")
            return none, "", "", gr.skip(), gr.skip(), gr.Checkbox(visible=False), gr.skip(), ""
        entry = self._studio.entry(map_id)
        openings = self._studio.openings(toxic=entry.harmful != 0)[:_EXAMPLES]
        unfit = ["", *self._studio.openings(toxic=entry.harmful == 0)]
        return (
            fragments.summary(entry),
            fragments.about(entry, self._studio.steering(map_id)),
            fragments.hint("One text at seven strengths, with one seed."),
            openings[_FIRST] if (prompt or "") in unfit else gr.skip(),  # a user's own text stays
            gr.update(samples=[[opening] for opening in openings]),
            gr.Checkbox(visible=entry.harmful != 0, value=False),
            gr.Checkbox(visible=entry.model in MODELS and MODELS[entry.model].chat, value=False),
            entry.model,
        )

    def wish(self, request: gr.Request) -> int:
        """Count a new wish of this session; what is being written for older ones stops."""
        self._wishes[_session(request)] += 1
        return self._wishes[_session(request)]

    @notices
    def generate(
        self,
        wish: int,
        strength: float | None,
        map_id: str | None,
        prompt: str,
        seed: int,
        length: int,
        temperature: float,
        chat: bool,
        request: gr.Request,
    ) -> Iterator[tuple[str, ...]]:
        """Write the original and the steered text side by side, then judge both."""
        if not map_id or strength is None:  # None: somebody is typing in the number box
            return
        entry = self._studio.entry(map_id)
        if not self._studio.installed(entry.model):
            yield tuple(fragments.empty(t, "First install the model above.") for t in TITLES)
            return
        strengths = [0.0, _number("λ", strength, -1, 1)]
        shown = f"{prompt}\n\n" if chat else prompt
        notes = ("", HARMFUL if strength * entry.harmful > 0 else "")
        for rows in self._write(entry, prompt, strengths, seed, length, temperature, chat):
            if wish != self._wishes[_session(request)]:
                return
            yield tuple(
                fragments.passage(title, shown, row, keywords=entry.keywords, note=note)
                for title, row, note in zip(TITLES, rows, notes, strict=True)
            )

    @notices
    def sweep(
        self,
        map_id: str | None,
        prompt: str,
        seed: int,
        length: int,
        temperature: float,
        chat: bool,
    ) -> Iterator[str]:
        """Write the same text at seven strengths, as one table."""
        entry = self._studio.entry(map_id or "")
        for rows in self._write(entry, prompt, STRENGTHS, seed, length, temperature, chat):
            yield fragments.sweep(prompt, rows, keywords=entry.keywords)

    def pick(self, example: list[str]) -> str:
        """The prompt of an example that was clicked."""
        return example[0]

    def another_seed(self) -> int:
        """A seed drawn at random."""
        return secrets.randbelow(1_000_000)

    @notices
    def offer(self, model: str | None) -> tuple[Any, Any]:
        """The panel that offers to install a model, shown if it is missing; its button."""
        if not model or self._studio.installed(model):
            return gr.Column(visible=False), gr.skip()
        entry = MODELS[model]
        size = entry.embedded.download_mb if entry.embedded else 0
        return gr.Column(visible=True), f"Install {entry.title} ({size} MB, {entry.license})"

    @notices
    def install(self, model: str) -> Iterator[str]:
        """Download and convert a model, and tell how far it is."""
        for sentence in self._studio.install(model):
            yield fragments.hint(sentence)

    @notices
    def list_maps(self) -> list[dict]:
        """The maps that can steer: id, title, model, origin."""
        keys = ("id", "title", "model", "origin")
        return [{key: getattr(entry, key) for key in keys} for entry in self._studio.maps()]

    @notices
    def continue_text(
        self,
        map_id: str,
        prompt: str,
        strengths: list[float],
        seed: int = 0,
        max_new_tokens: int = 40,
        temperature: float = 1.0,
        chat: bool = False,
    ) -> list[dict]:
        """Continue a prompt at several strengths with one seed.

        Args:
            map_id: an id that `list_maps` gives.
            prompt: text to continue, at most 2,000 characters.
            strengths: one to nine numbers from -1 (away) through 0 (original) to 1 (full).
            seed: the same seed gives the same texts.
            max_new_tokens: length of the continuations, 1 to 200.
            temperature: 0 takes the likeliest word, 1 is natural, at most 2.
            chat: ask the prompt as a question, for models that chat.

        Returns:
            For each strength: strength, text, toxicity (0 to 1) and perplexity.
        """
        settings = (seed, max_new_tokens, temperature, chat)
        *_, rows = self._write(self._studio.entry(map_id), prompt, strengths, *settings)
        return [asdict(row) for row in rows]

    def _write(
        self,
        entry: MapEntry,
        prompt: str,
        strengths: Sequence[float],
        seed: int,
        length: int,
        temperature: float,
        chat: bool,
    ) -> Iterator[list[Written]]:
        if not 1 <= len(strengths) <= MOST_STRENGTHS:
            remedy = f"Give 1 to {MOST_STRENGTHS}."
            raise UserError("E_STRENGTH", f"{len(strengths)} strengths came", remedy=remedy)
        sampling = Sampling(
            max_new_tokens=int(_number("length", length, 1, LONGEST)),
            temperature=_number("temperature", temperature, 0, 2),
        )
        stream = self._studio.continue_text(
            entry.id,
            _prompt(prompt),
            [_number("λ", lam, -1, 1) for lam in strengths],
            seed=int(_number("seed", seed, 0, 2**53)),
            sampling=sampling,
            chat=bool(chat),
        )
        with closing(stream):
            yield from stream


@contextmanager
def _as_notices() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        sentence = html.escape(str(error), quote=False)  # Gradio shows notices as HTML
        raise gr.Error(sentence, print_exception=False) from error
    except Exception as error:
        number = secrets.token_hex(4)
        _log.exception("internal error %s", number)
        sentence = f"Internal error {number}. The log of the server has the details."
        raise gr.Error(sentence, print_exception=False) from error


def _session(request: gr.Request) -> str:
    return request.session_hash or ""


def _menu_line(entry: MapEntry) -> str:
    model = MODELS[entry.model].title if entry.model in MODELS else entry.model
    return f"{entry.title} · {model}" + (" · yours" if entry.origin == "yours" else "")


def _number(name: str, value: object, low: float, high: float) -> float:
    # `not low <= value` rather than `value < low`: NaN fails every comparison.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        remedy = f"Give a number from {low} to {high}."
        raise UserError("E_NUMBER", f"{name} is {value!r}", remedy=remedy)
    return value


def _prompt(text: object) -> str:
    if not isinstance(text, str) or not text.strip():
        remedy = "Write a few words, or click an example."
        raise UserError("E_PROMPT", "the prompt is empty", remedy=remedy)
    if len(text) > MAX_CHARACTERS:
        what = f"the prompt has {len(text):,} characters, at most {MAX_CHARACTERS:,} are allowed"
        raise UserError("E_PROMPT", what, remedy="Shorten it.")
    return text.rstrip()  # a space at the end would make an unusual next word
