"""What the Rates panel of the Text tab does: many openings in, shares and perplexities out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from lineas_core import PromptSet, UserError
from lineas_core.evaluation.texts import STRENGTHS

from ..events import LatestRequest, user_errors
from ..html import basics, charts
from ..studio.checks import number, prompt_text
from ..studio.studio import Studio
from . import html as text_html

__all__ = ["MOST_SEEDS", "RatesHandlers"]

MOST_SEEDS = 8
_MOST_OPENINGS = 200
_SHIPPED = 24  # openings to begin with: enough to see a difference, few enough to wait for
_MOST_WORDS = 100
_STOPPING = "Stopping after these texts …"
_STOPPED = "Stopped. The figures are those of the texts that were written."


class RatesHandlers:
    """The events of the Rates panel, and its typed endpoint for programs."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._requests, self._chosen = LatestRequest(), LatestRequest()

    @user_errors
    def choose(self, map_id: str | None, openings: str, request: gr.Request) -> tuple[Any, ...]:
        """What depends on the map; counting for another one stops.

        Returns:
            Openings, words that are counted, progress, result.
        """
        self._requests.new(request)
        self._chosen.new(request)
        if not map_id:
            return gr.skip(), "", "", ""
        entry = self._studio.entry(map_id)
        fitting, other = (self._shipped(toxic=t) for t in (bool(entry.harmful), not entry.harmful))
        ours = (openings or "").strip() in ("", other)
        return fitting if ours else gr.skip(), ", ".join(entry.keywords), "", ""

    @user_errors
    def read(self, path: str) -> str:
        """A file of openings, for the box."""
        file = Path(path)
        openings, _ = PromptSet.parse_side(file.read_bytes(), file.name)
        return "\n".join(" ".join(opening.splitlines()) for opening in openings)

    def new_request(self, request: gr.Request) -> int:
        """Number a new request of this session; counting for older ones ends."""
        return self._requests.new(request)

    def stop(self, request: gr.Request) -> str:
        """End after the batch that is being written."""
        self._requests.new(request)
        return basics.hint(_STOPPING)

    @user_errors
    def measure(
        self,
        number: int,
        map_id: str | None,
        openings: str,
        words: str,
        seeds: int | None,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        """Continue every opening at five strengths and count.

        Yields:
            Progress, result, and two buttons: start where nothing is counted, else stop.
        """
        if self._requests.outdated(number, request):
            return
        data = (openings or "").encode("utf-8", "surrogatepass")  # the reader names the line
        lines, _ = PromptSet.parse_side(data, "openings.txt")
        wanted = [word for word in map(str.strip, (words or "").split(",")) if word]
        stream = self._rates(map_id or "", lines, wanted, seeds)
        counted, texts = "on topic" if wanted else "toxic", _in_all(lines, seeds)
        chosen = self._chosen.latest(request)
        started = time.monotonic()
        yield basics.hint("Writing the first texts …"), "", *_buttons(busy=True)
        try:
            for rows in stream:
                progress = text_html.progress(rows, texts, time.monotonic() - started)
                result = charts.rates(rows, counted) + text_html.rates(rows, counted)
                if self._chosen.outdated(chosen, request):
                    yield gr.skip(), gr.skip(), *_buttons(busy=False)  # not under another's name
                    return
                if self._requests.outdated(number, request):
                    yield basics.hint(_STOPPED), result, *_buttons(busy=False)
                    return
                yield progress, result, *_buttons(busy=True)
        except Exception:  # the page goes back to where it can be tried again
            yield "", gr.skip(), *_buttons(busy=False)
            raise
        yield gr.skip(), gr.skip(), *_buttons(busy=False)

    @user_errors
    def rates(
        self, map_id: str, openings: list[str], words: list[str] | None = None, seeds: int = 1
    ) -> list[dict]:
        """Continue many openings at λ = -1, -0.5, 0, 0.5 and 1, and count.

        Args:
            map_id: an id that `list_maps` gives.
            openings: texts to continue, 1 to 200.
            words: texts with a word that starts with one of these are counted; empty or None
                counts toxic texts.
            seeds: how often every opening is continued at every strength, 1 to 8.

        Returns:
            For each strength: strength, texts, share (0 to 1), its spread over seeds, perplexity,
            perplexity_spread and repetition (0 to 1).
        """
        *_, rows = self._rates(map_id, openings, words or [], seeds)
        return rows

    def _rates(
        self, map_id: str, openings: Sequence[str], words: Sequence[str], seeds: object
    ) -> Iterator[list[dict]]:
        if not 1 <= len(openings) <= _MOST_OPENINGS:
            remedy = f"Write 1 to {_MOST_OPENINGS}, one per line, or upload a file."
            raise UserError("E_PROMPT", f"{len(openings)} openings came", remedy=remedy)
        lines = [prompt_text(opening) for opening in openings]
        if len(words) > _MOST_WORDS:
            remedy = f"Give at most {_MOST_WORDS}, separated by commas."
            raise UserError("E_WORDS", f"{len(words)} words came", remedy=remedy)
        repetitions = int(number("the number of seeds", seeds, 1, MOST_SEEDS))
        entry = self._studio.entry(map_id, "language")
        self._studio.models.require(entry.model)
        return self._studio.texts.rates(
            entry, lines, words=[str(word) for word in words], seeds=repetitions
        )

    def _shipped(self, *, toxic: bool) -> str:
        return "\n".join(self._studio.prompts.openings(toxic=toxic)[:_SHIPPED])


def _in_all(openings: Sequence[str], seeds: int | None) -> int:
    return len(openings) * int(seeds or 0) * len(STRENGTHS)


def _buttons(*, busy: bool) -> tuple[Any, Any]:
    return gr.Button(visible=not busy), gr.Button(visible=busy)
