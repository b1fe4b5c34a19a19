"""Comparing concepts and asking people: the overview of all maps, and the blind choice."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr
from PIL.Image import Image

from ..events import user_errors
from ..html import basics
from ..studio.checks import number, prompt_text, seed_of
from ..studio.mix import Mix
from ..studio.studio import Studio
from ..studio.votes import Vote
from . import html as images_html
from .side_by_side import side_by_side, taken

__all__ = ["CompareHandlers", "SIDES"]


SIDES = ("A", "B")
_STRENGTHS = (0.5, 1.0)


class CompareHandlers:
    """The events of the overview and of the blind choice."""

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
        wanted = [("", "original")]
        wanted += [
            (e.id, e.title)
            for e in self._studio.maps()
            if e.kind == "text-to-image" and e.model == model
        ]
        painted = {"maps": [each for each, _ in wanted], "prompt": text, "seed": seed}
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

    @user_errors
    def draw(self, map_id: str | None, further: list[tuple[str, float]]) -> tuple[Any, ...]:
        """Paint a new pair: scene, seed, λ and sides are drawn.

        Returns:
            The pair (for `answer`), pictures A and B, the question, frame of the pair, buttons to
            answer with, verdict.
        """
        entry = self._studio.entry(map_id or "")
        self._studio.models.require(entry.model)
        prompt, seed = entry.within(secrets.choice(self._studio.prompts.scenes())), _seed()
        mix = Mix.of(entry.id, further)
        lams = mix.at(secrets.choice(_STRENGTHS))
        made = self._studio.paint(mix.maps, prompt, [mix.original, lams], seed=seed)
        steered = secrets.randbelow(2)
        images = [_anonymous(made[side == steered].image) for side in range(2)]
        entries = [self._studio.entry(each) for each in mix.maps]
        pair = {
            "title": " + ".join(e.title for e in entries),
            "maps": [*zip(mix.maps, lams, strict=True)],
            "prompt": prompt,
            "seed": seed,
            "steered": SIDES[steered],
        }
        shown = gr.Column(visible=True), gr.Row(visible=True)
        return pair, *images, images_html.question(prompt, entries), *shown, ""

    @user_errors
    def answer(self, side: str, pair: Mapping[str, Any] | None) -> tuple[Any, ...]:
        """Keep a choice and tell what it was; an empty `side` means that nobody can tell.

        Returns:
            The pair (none any more), buttons, verdict, tallies.
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
            self.tallies(),
        )

    @user_errors
    def tallies(self) -> str:
        """What all choices so far come to, for each map."""
        return images_html.tallies(self._studio.votes.tallies())


def _anonymous(image: Image) -> Image:
    """The picture without the recipe in its texts."""
    bare = image.copy()
    bare.info.clear()
    return bare


def _seed() -> int:
    return secrets.randbelow(1_000_000)
