"""Event handlers of the batch of pictures."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import partial
from pathlib import Path

import gradio as gr

from ..events import user_errors
from ..html import basics
from ..html.thumbnails import small_jpeg
from ..studio.batch import Item, archive, items_of
from ..studio.maps import MapEntry
from ..studio.mix import Mix
from ..studio.steps import checked_steps
from ..widgets.batch_handlers import COUNTING, BatchHandlers, BatchView, Step
from . import html as images_html
from .save_handlers import file_name

__all__ = ["ImageBatchHandlers"]

_SIDE = 256  # pixels of a picture on the page; those in the archive are whole
_EXAMPLES = 5


class ImageBatchHandlers(BatchHandlers):
    """The event handlers of the batch of pictures."""

    @user_errors
    def paint(
        self,
        prompts: str,
        seeds: str,
        strength: float | None,
        map_id: str | None,
        further: list[tuple[str, float]],
        seed: int | None,
        steps: int | None,
        guidance: float | None,
        steer_steps: str | None,
        request: gr.Request,
    ) -> Iterator[BatchView]:
        """Paint every prompt without steering and steered, and offer the pictures as a zip.

        Args:
            prompts: one prompt on each line.
            seeds: `SAME` or `COUNTING`.
            strength: λ of the first map, -1 to 1.
            map_id: id of the first map.
            further: pairs (id, λ) of the maps that are applied after it.
            seed: seed of the first prompt.
            steps: number of denoising steps; None is the default of the model.
            guidance: guidance scale; None is the default of the model.
            steer_steps: first and last step at which maps act; empty for all.
            request: identifies the browser session, which can stop the batch.

        Yields:
            The pictures so far.
        """
        mix = self._studio.mix(map_id or "", further, checked_steps(steps, guidance, steer_steps))
        strengths = mix.at(strength)
        self._studio.models.require(mix.entries[0].model)
        items, dropped = items_of(prompts, seed, counting=seeds == COUNTING)
        notes = "".join(map(basics.warning, dropped))
        begin = partial(self._paint, mix, strengths, items)
        yield from self._follow("pictures.zip", len(items), notes, begin, request)

    def _examples(self, entry: MapEntry) -> list[str]:
        return [entry.within(scene) for scene in self._studio.prompts.scenes()[:_EXAMPLES]]

    def _paint(
        self, mix: Mix, strengths: Sequence[float], items: Sequence[Item], file: Path
    ) -> Generator[Step, None, None]:
        """Paint the prompts one after another, and write the pictures into an archive."""
        shown, rows = "", {"original": mix.original, mix.label(strengths[0]): strengths}
        pictures = self._studio.pictures.with_steps(mix.steps)
        with archive(file) as opened:
            for place, (prompt, seed) in enumerate(items, 1):
                painted = pictures.paint(mix.entries, prompt, [*rows.values()], seed=seed)
                for picture, row in zip(painted, rows.values(), strict=True):
                    opened.writestr(f"{place:03}_{file_name(mix, row, seed)}", picture.png())
                small = (small_jpeg(picture.image, _SIDE) for picture in painted)
                # It only grows at its end, so that Gradio sends what is new.
                shown += images_html.pair(prompt, seed, dict(zip(rows, small, strict=True)))
                yield place, shown
