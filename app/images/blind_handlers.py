"""The blind choice: an original and a steered picture without labels, and a vote."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import gradio as gr
from PIL.Image import Image

from ..events import user_errors
from ..studio.studio import Studio
from ..studio.votes import Vote
from ..widgets.steering import random_seed
from . import html as images_html

__all__ = ["SIDES", "BlindHandlers"]

SIDES = ("A", "B")
_STRENGTHS = (0.5, 1.0)


class BlindHandlers:
    """The events of the blind choice."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def draw(self, map_id: str | None, further: list[tuple[str, float]]) -> tuple[Any, ...]:
        """Paint a new pair: scene, seed, λ and sides are drawn.

        Returns:
            The pair (for `answer`), pictures A and B, the question, frame of the pair, buttons to
            answer with, verdict.
        """
        mix = self._studio.mix(map_id, further)
        entry = mix.entries[0]
        self._studio.models.require(entry.model)
        prompt, seed = entry.within(secrets.choice(self._studio.prompts.scenes())), random_seed()
        lams = mix.at(secrets.choice(_STRENGTHS))
        made = self._studio.pictures.paint(mix.entries, prompt, [mix.original, lams], seed=seed)
        steered = secrets.randbelow(2)
        images = [_anonymous(made[side == steered].image) for side in range(2)]
        pair = {
            "title": " + ".join(e.title for e in mix.entries),
            "maps": [*zip(mix.ids, lams, strict=True)],
            "prompt": prompt,
            "seed": seed,
            "steered": SIDES[steered],
        }
        shown = gr.Column(visible=True), gr.Row(visible=True)
        return pair, *images, images_html.question(prompt, mix.entries), *shown, ""

    @user_errors
    def answer(self, side: str, pair: Mapping[str, Any] | None) -> tuple[Any, ...]:
        """Keep a choice and tell what it was; an empty `side` means that nobody can tell.

        Returns:
            The pair (none any more), buttons, verdict, preferences.
        """
        if not pair:  # a second click
            return (gr.skip(),) * 4
        facts = {key: pair[key] for key in ("title", "prompt", "seed")}
        maps = tuple((map_id, lam) for map_id, lam in pair["maps"])
        choice = "undecided" if not side else "steered" if side == pair["steered"] else "original"
        self._studio.votes.add(Vote(**facts, maps=maps, choice=choice))
        return (
            None,
            gr.Row(visible=False),
            images_html.verdict(pair["steered"], maps),
            self.preferences(),
        )

    @user_errors
    def preferences(self) -> str:
        """What all choices so far come to, for each map."""
        return images_html.preferences(self._studio.votes.preferences())


def _anonymous(image: Image) -> Image:
    """Copy the picture without the recipe in its metadata."""
    bare = image.copy()
    bare.info.clear()
    return bare
