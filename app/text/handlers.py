"""What the Text tab does: values in, values out, no layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

import gradio as gr

from lineas_core.models import Sampling
from lineas_core.models.catalog import MODELS

from ..events import LatestRequest, user_errors
from ..html import basics
from ..html import maps as map_html
from ..html.basics import TITLES
from ..studio.checks import check_count, number, prompt_text, seed_of
from ..studio.maps import MapEntry
from ..studio.settings import LONGEST, STRIP
from ..studio.studio import Studio
from ..studio.texts import Continuation
from ..widgets.steering import SteeringHandlers
from . import html as text_html

__all__ = ["TextHandlers"]


HARMFUL = "This λ makes texts more offensive: for research and testing only."
CONTENT = (
    "Texts about this map can offend. What scores above 50 % is blurred until you click it or "
    "press Enter on it; the score misses some."
)
_TOWARDS = {
    0: "",
    -1: "Negative λ makes texts more offensive: for research and testing only.",
    1: "Positive λ makes texts more offensive: for research and testing only.",
}
_EXAMPLES = 5
_FIRST = 1  # the example to open with; with seed 1 it shows what the ready-made maps do


class TextHandlers(SteeringHandlers):
    """The events of the Text tab, and its typed endpoints for programs."""

    kind = "language"

    def __init__(self, studio: Studio) -> None:
        super().__init__(studio)
        self._chosen = LatestRequest()

    @user_errors
    def choose(
        self, map_id: str | None, prompt: str, restored: Sequence[str], request: gr.Request
    ) -> tuple[Any, ...]:
        """What depends on the map; a prompt and a switch that were `restored` with it stay.

        A sweep that is being written for the map before ends.

        Returns:
            Summary, content note, facts, sweep, prompt, examples, switch (chat), model.
        """
        self._chosen.new(request)
        if not map_id:
            none = basics.hint("There is no map yet. Learn one in the Learn tab.")
            return none, "", "", "", gr.skip(), gr.skip(), gr.skip(), ""
        entry = self._studio.entry(map_id)
        openings = self._studio.prompts.openings(toxic=entry.harmful != 0)[:_EXAMPLES]
        unfit = ["", *self._studio.prompts.openings(toxic=entry.harmful == 0)]
        kept = [map_id, prompt] == [*restored]
        chats = entry.model in MODELS and MODELS[entry.model].chat
        return (
            map_html.summary(entry),
            basics.warning(CONTENT) if entry.harmful else "",
            map_html.about(entry, self._studio.steering(entry)),
            basics.hint("One text at nine strengths, with one seed."),
            openings[_FIRST] if (prompt or "") in unfit and not kept else gr.skip(),
            gr.update(samples=[[opening] for opening in openings]),
            gr.Checkbox(visible=chats) if kept else gr.Checkbox(visible=chats, value=False),
            entry.model,
        )

    @user_errors
    def generate(
        self,
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
        latest, entry = self.requests.latest(request), self._studio.entry(map_id)
        if not self._studio.models.installed(entry.model):
            yield tuple(text_html.empty(t, "First install the model above.") for t in TITLES)
            return
        strengths = [0.0, number("λ", strength, -1, 1)]
        shown = f"{prompt}\n\n" if chat else prompt
        notes = ("", HARMFUL if strength * entry.harmful > 0 else "")
        for rows in self._write(entry, prompt, strengths, seed, length, temperature, chat):
            if self.requests.outdated(latest, request):
                return
            yield tuple(
                text_html.passage(title, shown, row, keywords=entry.keywords, note=note)
                for title, row, note in zip(TITLES, rows, notes, strict=True)
            )

    @user_errors
    def sweep(
        self,
        map_id: str | None,
        prompt: str,
        seed: int,
        length: int,
        temperature: float,
        chat: bool,
        request: gr.Request,
    ) -> Iterator[str]:
        """Write the same text at nine strengths in one batch, as one table."""
        entry, chosen = self._studio.entry(map_id or ""), self._chosen.latest(request)
        self._studio.models.require(entry.model)
        note = _TOWARDS[entry.harmful]
        try:
            for rows in self._write(entry, prompt, STRIP, seed, length, temperature, chat):
                if self._chosen.outdated(chosen, request):
                    return
                yield text_html.sweep(
                    entry.title, prompt, rows, keywords=entry.keywords, note=note
                )
        except Exception:  # no rows that seem to be written still
            yield ""
            raise

    @user_errors
    def strength_at(self, event: gr.EventData) -> float:
        """The strength of the row of the sweep that was clicked."""
        return number("λ", event.strength, -1, 1)

    @user_errors
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
        *_, rows = self._write(
            self._studio.entry(map_id, "language"), prompt, strengths, *settings
        )
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
    ) -> Iterator[list[Continuation]]:
        check_count(strengths)
        sampling = Sampling(
            max_new_tokens=int(number("length", length, 1, LONGEST)),
            temperature=number("temperature", temperature, 0, 2),
        )
        stream = self._studio.texts.continue_text(
            entry,
            prompt_text(prompt),
            [number("λ", lam, -1, 1) for lam in strengths],
            seed=seed_of(seed),
            sampling=sampling,
            chat=bool(chat),
        )
        with closing(stream):
            yield from stream
