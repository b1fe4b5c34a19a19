"""Updates of a tab whose settings are restored; a field that is left out does not change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gradio as gr

from ..studio.mix import MOST_FURTHER

__all__ = ["PictureSettings", "Start", "TextSettings"]


class PictureSettings(NamedTuple):
    """Updates that restore the Images tab.

    Attributes:
        concept: menu of maps, with the first map chosen.
        strength: λ of the first map.
        prompt: the prompt.
        seed: seed of the starting noise.
        kept: map and prompt that are restored together, so that the prompt stays.
        further: pairs (id, λ) of the maps that are applied after the first one.
        steps: number of denoising steps; None for the default of the model.
        guidance: guidance scale; None for the default of the model.
        steer_steps: the steps at which maps act, as a text; empty for all.
        rows: the rows that show these pairs.
    """

    concept: Any = gr.skip()
    strength: Any = gr.skip()
    prompt: Any = gr.skip()
    seed: Any = gr.skip()
    kept: Any = gr.skip()
    further: Any = gr.skip()
    steps: Any = gr.skip()
    guidance: Any = gr.skip()
    steer_steps: Any = gr.skip()
    rows: Sequence[Any] = [gr.skip()] * (3 * MOST_FURTHER + 1)

    @property
    def updates(self) -> tuple[Any, ...]:
        """One update for each component in `SteeringTab.restored`."""
        return (*self[:-1], *self.rows)


class TextSettings(NamedTuple):
    """Updates that restore the Text tab; the first five are those of `PictureSettings`."""

    concept: Any = gr.skip()
    strength: Any = gr.skip()
    prompt: Any = gr.skip()
    seed: Any = gr.skip()
    kept: Any = gr.skip()
    length: Any = gr.skip()
    temperature: Any = gr.skip()
    chat: Any = gr.skip()

    @property
    def updates(self) -> tuple[Any, ...]:
        """One update for each component in `SteeringTab.restored`."""
        return tuple(self)


class Start(NamedTuple):
    """λ after a map was chosen, what is restored with it, and the initial λ of the map."""

    strength: Any = gr.skip()
    kept: Any = gr.skip()
    began: Any = gr.skip()
