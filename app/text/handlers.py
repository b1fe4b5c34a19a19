"""Event handlers of the Text tab."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any, NamedTuple

import gradio as gr

from lineas_core.models import Sampling

from ..events import user_errors
from ..html import basics
from ..html import maps as map_html
from ..html.basics import TITLES
from ..html.texts import CONTENT, HARMFUL
from ..studio.checks import check_count, number, prompt_text, seed_of
from ..studio.maps import MapEntry
from ..studio.plausible import warnings_about
from ..studio.settings import STRIP, Settings, sampling_of
from ..studio.texts import Continuation
from ..widgets.steering import SteeringHandlers, restored_prompt
from ..widgets.strength_slider import strength_label
from . import html as text_html

__all__ = ["TextHandlers"]

_TOWARDS = {
    0: "",
    -1: "Negative λ makes texts more offensive: for research and testing only.",
    1: "Positive λ makes texts more offensive: for research and testing only.",
}
_NO_SWEEP = basics.hint("One text at nine strengths, with one seed.")
_EXAMPLES = 5
_FIRST = 1  # index of the initial example; with seed 1 it shows the effect of the ready-made maps


class MapView(NamedTuple):
    """The parts of the Text tab that depend on the chosen map."""

    summary: str = ""
    caution: str = ""
    facts: str = ""
    sweep: str = ""
    prompt: object = gr.skip()
    examples: object = gr.skip()
    chat: object = gr.skip()
    model: str = ""
    strength: object = gr.skip()


class TextHandlers(SteeringHandlers):
    """The event handlers of the Text tab, and its typed endpoint for programs."""

    kind = "language"

    @property
    def examples(self) -> list[str]:
        """Example prompts, as most maps have them."""
        return [*self._studio.prompts.openings(toxic=False)[:_EXAMPLES]]

    @user_errors
    def choose(
        self, map_id: str | None, prompt: str, restored: Sequence[str], request: gr.Request
    ) -> MapView:
        """Show a chosen map, and stop a sweep that is running for the previous one.

        Args:
            map_id: id of the map; None if there is no map.
            prompt: the current prompt; an example of the other kind is replaced.
            restored: map and prompt restored together; then the prompt and the chat switch stay.
            request: identifies the browser session.
        """
        self.chosen[request.session_hash or ""] = map_id
        if not map_id:
            return MapView(basics.hint("There is no map yet. Learn one in the Learn tab."))
        entry = self._studio.entry(map_id)
        openings = self._studio.prompts.openings(toxic=entry.harmful != 0)[:_EXAMPLES]
        replaceable = ["", *self._studio.prompts.openings(toxic=entry.harmful == 0)]
        linked = restored_prompt(map_id, prompt, restored)
        fitting = linked or (openings[_FIRST] if (prompt or "") in replaceable else "")
        chats = self._studio.models.chats(entry.model)
        return MapView(
            summary=map_html.summary(entry, warnings_about(entry)),
            caution=basics.warning(CONTENT) if entry.harmful else "",
            facts=map_html.about(entry, self._studio.steering(entry)),
            sweep=_NO_SWEEP,
            prompt=[prompt, fitting] if fitting else gr.skip(),
            examples=gr.update(samples=[[opening] for opening in openings]),
            chat=gr.Checkbox(visible=chats) if linked else gr.Checkbox(visible=chats, value=False),
            model=entry.model,
            strength=gr.update(label=strength_label(entry)),
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
    ) -> Iterator[tuple[Any, ...]]:
        """Write the original and the steered text side by side, then score both.

        Yields:
            Both texts as HTML; at the end, the query of the link that restores them, too.
        """
        # None while a number is being typed
        if not map_id or strength is None or self.is_opening(prompt, request):
            return
        latest, entry = self.requests.latest(request), self._studio.entry(map_id)
        if not self._studio.models.installed(entry.model):
            first = "First install the model above."
            yield *(text_html.empty(title, first) for title in TITLES), gr.skip()
            return
        strengths = [0.0, number("λ", strength, -1, 1)]
        lead = f"{prompt}\n\n" if chat else prompt
        notes = ("", HARMFUL if strength * entry.harmful > 0 else "")
        sampling = sampling_of(length, temperature)
        others: dict[str, Any] = {"length": length, "temperature": temperature, "chat": bool(chat)}
        result = Settings([entry.id], strengths[1:], prompt, seed, **others).query
        for rows in self._write(entry, prompt, strengths, seed, sampling, chat=chat):
            if self.requests.outdated(latest, request):
                return
            passages = [
                text_html.passage(title, lead, row, keywords=entry.keywords, note=note)
                for title, row, note in zip(TITLES, rows, notes, strict=True)
            ]
            yield *passages, gr.skip()
        yield *passages, result

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
        """Write the same text at nine strengths in one batch.

        Yields:
            The table as HTML.
        """
        entry = self._studio.entry(map_id or "")
        self._studio.models.require(entry.model)
        note, sampling = _TOWARDS[entry.harmful], sampling_of(length, temperature)
        try:
            for rows in self._write(entry, prompt, STRIP, seed, sampling, chat=chat):
                if not self.shows(map_id, request):
                    yield _NO_SWEEP  # as `choose`, whose answer a row may have come after
                    return
                yield text_html.sweep(
                    entry.title, prompt, rows, keywords=entry.keywords, note=note
                )
        except Exception:  # remove the rows, which would look as if they were still being written
            yield ""
            raise

    @user_errors
    def strength_at(self, event: gr.EventData) -> float:
        """Return the strength of the sweep row that was clicked."""
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
    ) -> Iterator[list[dict]]:
        """Continue a prompt at several strengths with one seed.

        Args:
            map_id: an id from `list_maps`.
            prompt: text to continue, at most 2,000 characters.
            strengths: one to nine strengths λ from -1 (inverse) through 0 (original) to 1 (full).
            seed: the same seed gives the same texts.
            max_new_tokens: length of the continuations, 1 to 200.
            temperature: 0 takes the most likely token, 1 samples from the model, at most 2.
            chat: use the chat template of the model, if it has one.

        Yields:
            After every token, for each strength: strength, text, toxicity (probability that the
            text is offensive, 0 to 1) and, at the end, perplexity (under the unsteered model, 1
            or more; low is natural).
        """
        entry = self._studio.entry(map_id, "language")
        sampling = sampling_of(max_new_tokens, temperature)
        for rows in self._write(entry, prompt, strengths, seed, sampling, chat=chat):
            yield [asdict(row) for row in rows]

    def _write(
        self,
        entry: MapEntry,
        prompt: str,
        strengths: Sequence[float],
        seed: int,
        sampling: Sampling,
        *,
        chat: bool,
    ) -> Iterator[list[Continuation]]:
        check_count(strengths)
        stream = self._studio.texts.continue_text(
            entry,
            prompt_text(prompt),
            [number("λ", strength, -1, 1) for strength in strengths],
            seed=seed_of(seed),
            sampling=sampling,
            chat=bool(chat),
        )
        with closing(stream):
            yield from stream
