"""The overview: one prompt and seed painted with every map of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from ..events import user_errors
from ..studio.checks import number, prompt_text, seed_of
from ..studio.plausible import usable
from ..studio.steps import checked_steps
from ..studio.studio import Studio
from .side_by_side import GalleryView, Labelled, Restored, restore_from, side_by_side

__all__ = ["OverviewHandlers"]


class OverviewHandlers:
    """The event handlers of the overview."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def overview(
        self,
        map_id: str | None,
        prompt: str,
        seed: int | None,
        strength: float,
        steps: int | None = None,
        guidance: float | None = None,
        steer_steps: str | None = None,
    ) -> Iterator[GalleryView]:
        """Paint one prompt and seed with every map of the model, the original first.

        Maps that have to be confirmed first, and damaged ones, are named and left out.

        Args:
            map_id: id of any map of the model.
            prompt: description of the picture.
            seed: seed of the starting noise.
            strength: λ of every map, -1 to 1.
            steps: number of denoising steps; None is the default of the model.
            guidance: guidance scale; None is the default of the model.
            steer_steps: first and last step at which maps act; empty for all.

        Yields:
            The pictures so far.
        """
        if not map_id:
            return
        model, strength = self._studio.entry(map_id).model, number("λ", strength, -1, 1)
        self._studio.models.require(model)
        text, seed = prompt_text(prompt), seed_of(seed)
        entries, left_out = usable(
            e for e in self._studio.maps() if e.kind == "text-to-image" and e.model == model
        )
        wanted: list[Labelled] = [(None, "original"), *((e, e.title) for e in entries)]
        done = f"click a picture to use its concept.{left_out}"
        paints = self._studio.pictures.with_steps(checked_steps(steps, guidance, steer_steps))
        yield from side_by_side(paints, wanted, text, strength, seed, done)

    @user_errors
    def take(self, painted: Mapping[str, Any], event: gr.SelectData) -> Restored:
        """Return the settings of the picture that was clicked."""
        return restore_from(self._studio, painted, event.index)
