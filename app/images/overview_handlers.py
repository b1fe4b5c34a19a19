"""The overview: one prompt and seed painted with every map of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from ..events import user_errors
from ..html import basics
from ..studio.checks import number, prompt_text, seed_of
from ..studio.studio import Studio
from .side_by_side import side_by_side, taken

__all__ = ["OverviewHandlers"]


class OverviewHandlers:
    """The events of the overview."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def overview(
        self, map_id: str | None, prompt: str, seed: int | None, strength: float
    ) -> Iterator[tuple[Any, ...]]:
        """Paint one prompt and seed with every map of the model, the original first.

        Yields:
            Labelled pictures so far, what they are, and all that brings one of them back.
        """
        if not map_id:
            return
        model, lam = self._studio.entry(map_id).model, number("λ", strength, -1, 1)
        self._studio.models.require(model)
        text, seed = prompt_text(prompt), seed_of(seed)
        fitting = [
            e for e in self._studio.maps() if e.kind == "text-to-image" and e.model == model
        ]
        wanted = [(None, "original"), *((entry, entry.title) for entry in fitting)]
        painted = {"maps": ["", *(entry.id for entry in fitting)], "prompt": text, "seed": seed}
        painted["strength"] = lam
        for labelled in side_by_side(self._studio, wanted, text, lam, seed):
            left = len(wanted) - len(labelled)
            what = f"“{text}”, seed {seed}, λ = {lam:+g}: "
            what += f"{left} more to paint …" if left else "click one to take its concept."
            yield labelled, basics.hint(what), painted

    @user_errors
    def take(self, painted: Mapping[str, Any], event: gr.SelectData) -> tuple[Any, ...]:
        """The picture that was clicked, see `taken`."""
        return taken(self._studio, painted, event.index)
