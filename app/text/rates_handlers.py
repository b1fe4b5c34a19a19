"""Event handlers of the Rates panel, which measures a map on many openings."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import gradio as gr

from lineas_core import UserError
from lineas_core.evaluation.inputs import STRENGTHS
from lineas_core.prompts.files import read_lines, tidy

from ..events import LatestRequest, user_errors
from ..html import basics, charts
from ..studio.checks import prompt_text, whole
from ..studio.studio import Studio
from ..widgets.stop_button import stop_shown, stopping
from . import html as text_html

__all__ = ["MOST_SEEDS", "RatesHandlers"]

MOST_SEEDS = 8
_MOST_OPENINGS = 200
_SHIPPED = 24  # initial openings: enough to see a difference within minutes
_MOST_WORDS = 100
_STOPPED = "Stopped. The rates are those of the texts written so far."


class PanelView(NamedTuple):
    """The parts of the panel that depend on the chosen map."""

    openings: object = gr.skip()
    words: object = gr.skip()
    progress: str = ""
    result: str = ""


class Measurement(NamedTuple):
    """The parts of the panel that change during a measurement."""

    progress: object
    result: object
    start: object
    stop: object


class RatesHandlers:
    """The event handlers of the Rates panel, and its typed endpoint for programs."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._requests, self._chosen = LatestRequest(), LatestRequest()

    @user_errors
    def choose(
        self, map_id: str | None, openings: str, words: str, request: gr.Request
    ) -> PanelView:
        """Show a chosen map, and stop measuring the previous one."""
        self._requests.new(request)
        self._chosen.new(request)
        if not map_id:
            return PanelView(words=[words, ""])
        entry = self._studio.entry(map_id)
        replaceable = (openings or "").strip() in ("", self._shipped(toxic=not entry.harmful))
        fitting = self._shipped(toxic=bool(entry.harmful))
        shown = [openings, fitting] if replaceable else gr.skip()
        return PanelView(shown, [words, ", ".join(entry.keywords)])

    def new_request(self, request: gr.Request) -> int:
        """Number a new request of this session; older measurements stop."""
        return self._requests.new(request)

    def stop(self, request: gr.Request) -> gr.Button:
        """Stop after the current batch."""
        self._requests.new(request)
        return stopping()

    @user_errors
    def measure(
        self,
        number: int,
        map_id: str | None,
        openings: str,
        words: str,
        seeds: int | None,
        request: gr.Request,
    ) -> Iterator[Measurement]:
        """Continue every opening at five strengths and count the texts with a property.

        Args:
            number: number of this request, from `new_request`.
            map_id: id of the map.
            openings: texts to continue, one per line.
            words: beginnings of the words to count, separated by commas; if empty, toxic texts
                are counted.
            seeds: number of continuations per opening and strength, 1 to 8.
            request: identifies the browser session.
        """
        if self._requests.outdated(number, request):
            return
        lines, _ = tidy(read_lines(openings or "", "prompts"), "prompts")
        wanted = [word for word in map(str.strip, (words or "").split(",")) if word]
        stream = self._rates(map_id or "", lines, wanted, seeds)
        texts = len(lines) * int(seeds or 0) * len(STRENGTHS)
        chosen = self._chosen.latest(request)
        started = time.monotonic()
        progress, result = basics.hint("Writing the first texts …"), ""
        yield _measurement(progress, result, busy=True)
        try:
            for rows in stream:
                if rows:
                    done, spent = sum(row["texts"] for row in rows), time.monotonic() - started
                    progress = basics.progress(done, texts, "texts", spent)
                    result = charts.rates(rows) + text_html.rates(rows)
                if self._chosen.outdated(chosen, request):
                    # As `choose` left the panel: a row may have come after its answer.
                    yield _measurement("", "", busy=False)
                    return
                if self._requests.outdated(number, request):
                    yield _measurement(basics.hint(_STOPPED), result, busy=False)
                    return
                yield _measurement(progress, result, busy=True)
        except Exception:  # show the start button again
            yield _measurement("", busy=False)
            raise
        yield _measurement(busy=False)

    @user_errors
    def rates(
        self, map_id: str, openings: list[str], words: list[str] | None = None, seeds: int = 1
    ) -> Iterator[list[dict]]:
        """Continue many openings at λ = -1, -0.5, 0, 0.5 and 1, and measure the texts.

        Args:
            map_id: an id from `list_maps`.
            openings: texts to continue, 1 to 200.
            words: texts with a word that starts with one of these are counted; if empty or None,
                toxic texts are counted.
            seeds: number of continuations per opening and strength, 1 to 8.

        Yields:
            For each strength, over the texts so far: strength, texts, share (0 to 1), its spread
            over seeds, perplexity (under the unsteered model), perplexity_spread and repetition
            (share of repeated four-word sequences, 0 to 1). Toxic texts are counted by several
            judges: `by` has share, spread and judged (number of texts in a language that the
            judge knows) of each, and share and spread are those of the first.
        """
        yield from self._rates(map_id, openings, words or [], seeds)

    def _rates(
        self, map_id: str, openings: Sequence[str], words: Sequence[str], seeds: object
    ) -> Iterator[list[dict]]:
        if not 1 <= len(openings) <= _MOST_OPENINGS:
            remedy = f"Write 1 to {_MOST_OPENINGS}, one per line, or upload a file."
            raise UserError("E_PROMPT", f"{len(openings)} prompts were given", remedy=remedy)
        lines = [prompt_text(opening) for opening in openings]
        if len(words) > _MOST_WORDS:
            remedy = f"Give at most {_MOST_WORDS}, separated by commas."
            raise UserError("E_WORDS", f"{len(words)} words were given", remedy=remedy)
        repetitions = whole("the number of seeds", seeds, 1, MOST_SEEDS)
        entry = self._studio.entry(map_id, "language")
        self._studio.models.require(entry.model)
        return self._studio.texts.rates(
            entry, lines, words=[str(word) for word in words], seeds=repetitions
        )

    def _shipped(self, *, toxic: bool) -> str:
        return "\n".join(self._studio.prompts.openings(toxic=toxic)[:_SHIPPED])


def _measurement(
    progress: object = gr.skip(), result: object = gr.skip(), *, busy: bool
) -> Measurement:
    """Return updates that show the stop button while busy, else the start button."""
    return Measurement(progress, result, gr.Button(visible=not busy), stop_shown(busy=busy))
