"""Comparing concepts and asking people: the overview of all maps, and the blind choice."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gradio as gr
from PIL.Image import Image

from app.ballots import Ballot
from app.checks import map_menu, notices, number, prompt_text, seed_of
from app.mix import Mix
from app.studio import Studio
from app.tabs import fragments, numbers

__all__ = ["SIDES", "CompareHandlers", "side_by_side", "taken"]

SIDES = ("A", "B")

_AT_ONCE = 5  # pictures, between two of which others may paint
_STRENGTHS = (0.5, 1.0)


class CompareHandlers:
    """The events of the overview and of the blind choice."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @notices
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
            yield labelled, fragments.hint(what), painted

    @notices
    def take(self, painted: Mapping[str, Any], event: gr.SelectData) -> tuple[Any, ...]:
        """The picture that was clicked, see `taken`."""
        return taken(self._studio, painted, event.index)

    @notices
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
        return pair, *images, numbers.question(prompt, entries), *shown, ""

    @notices
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
        self._studio.ballots.add(Ballot(**facts, maps=maps, choice=choice))
        return None, gr.Row(visible=False), numbers.verdict(pair["steered"], maps), self.tallies()

    @notices
    def tallies(self) -> str:
        """What all choices so far come to, for each map."""
        return numbers.tallies(self._studio.ballots.tallies())


def side_by_side(
    studio: Studio, wanted: Sequence[tuple[str, str]], prompt: str, strength: float, seed: int
) -> Iterator[list[tuple[Image, str]]]:
    """Paint one prompt and seed with several maps, a few at a time.

    Args:
        studio: what paints.
        wanted: id and label of every map, all of one model; no id stands for the original.
        prompt: what to paint.
        strength: λ of all.
        seed: of the noise.

    Yields:
        The labelled pictures so far.
    """
    labelled: list[tuple[Image, str]] = []
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        maps = [each for each, _ in some if each]
        rows = [[strength * (mine == each) for each in maps] for mine, _ in some]
        made = studio.paint(maps, prompt, rows, seed=seed)
        labelled += [
            (picture.image, label) for picture, (_, label) in zip(made, some, strict=True)
        ]
        yield labelled


def taken(studio: Studio, painted: Mapping[str, Any], place: int) -> tuple[Any, ...]:
    """One of the pictures that were painted side by side, with all that made it.

    Args:
        studio: what painted.
        painted: `maps` (ids, "" for the original), `prompt`, `seed` and `strength`.
        place: of the picture.

    Returns:
        Menu of maps, λ, prompt, seed, and (map, prompt) so that both stay.
    """
    map_id = painted["maps"][place]
    prompt, seed = painted["prompt"], painted["seed"]
    if not map_id:
        return gr.skip(), 0, prompt, seed, gr.skip()
    menu = map_menu(studio, "text-to-image", map_id)
    return menu, painted["strength"], prompt, seed, [map_id, prompt]


def _anonymous(image: Image) -> Image:
    """The picture without the recipe in its texts."""
    bare = image.copy()
    bare.info.clear()
    return bare


def _seed() -> int:
    return secrets.randbelow(1_000_000)
