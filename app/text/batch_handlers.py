"""Event handlers of the batch of texts."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import partial
from pathlib import Path

import gradio as gr

from lineas_core.models import Sampling

from ..events import user_errors
from ..html import basics
from ..html.texts import CONTENT
from ..studio.batch import Item, items_of, table
from ..studio.checks import number
from ..studio.maps import MapEntry
from ..studio.settings import sampling_of
from ..studio.texts import Continuation
from ..widgets.batch_handlers import COUNTING, BatchHandlers, BatchView, Step
from . import html as text_html

__all__ = ["TextBatchHandlers"]

_EXAMPLES = 5
_SCORES = ("toxicity", "insults", "perplexity")


class TextBatchHandlers(BatchHandlers):
    """The event handlers of the batch of texts."""

    @user_errors
    def write(
        self,
        prompts: str,
        seeds: str,
        strength: float | None,
        map_id: str | None,
        seed: int | None,
        length: int,
        temperature: float,
        chat: bool,
        request: gr.Request,
    ) -> Iterator[BatchView]:
        """Continue every prompt without steering and steered, and offer the texts as CSV.

        Args:
            prompts: one prompt on each line.
            seeds: `SAME` or `COUNTING`.
            strength: λ, -1 to 1.
            map_id: id of the map.
            seed: seed of the first prompt.
            length: length of the continuations in tokens.
            temperature: sampling temperature.
            chat: whether the prompts are put into the chat template.
            request: identifies the browser session, which can stop the batch.

        Yields:
            The texts so far.
        """
        entry = self._studio.entry(map_id or "", "language")
        at, sampling = number("λ", strength, -1, 1), sampling_of(length, temperature)
        self._studio.models.require(entry.model)
        items, dropped = items_of(prompts, seed, counting=seeds == COUNTING)
        caution = (CONTENT,) if entry.harmful else ()
        notes = "".join(map(basics.warning, (*caution, *dropped)))
        begin = partial(self._write, entry, at, items, sampling, bool(chat))
        yield from self._follow("texts.csv", len(items), notes, begin, request)

    def _examples(self, entry: MapEntry) -> list[str]:
        return self._studio.prompts.openings(toxic=entry.harmful != 0)[:_EXAMPLES]

    def _write(
        self,
        entry: MapEntry,
        strength: float,
        items: Sequence[Item],
        sampling: Sampling,
        chat: bool,
        file: Path,
    ) -> Generator[Step, None, None]:
        """Continue the prompts a few at a time, and write all texts so far into a table."""
        prompts, seeds = zip(*items, strict=True)
        done, shown = 0, ""
        stream = self._studio.texts.pairs(
            entry, prompts, strength, seeds=seeds, sampling=sampling, chat=chat
        )
        for pairs in stream:
            if len(pairs) > done:
                done = len(pairs)
                shown = text_html.batch(items, pairs, entry.keywords)
                rows = map(_row, items, pairs)
                table(file, [_heads(), *rows])
            yield done, shown


def _heads() -> list[str]:
    scores = [f"{name}_{side}" for side in ("original", "steered") for name in _SCORES]
    return ["prompt", "seed", "strength", "original", "steered", *scores]


def _row(item: Item, pair: Sequence[Continuation]) -> list[object]:
    """Return a row of the table; a score that there is none of, is an empty cell."""
    scores = [getattr(each, name) for each in pair for name in _SCORES]
    return [*item, pair[-1].strength, *(each.text for each in pair), *scores]
