"""The blind comparison: an original and a steered picture without labels, and a vote."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

import gradio as gr
from PIL.Image import Image

from ..events import BySession, session, user_errors
from ..html.votes import votes_table
from ..studio.steps import checked_steps
from ..studio.studio import Studio
from ..studio.votes import ORIGINAL, STEERED, UNDECIDED, Vote
from . import html as images_html

__all__ = ["SIDES", "BlindHandlers"]

SIDES = ("A", "B")
_STRENGTHS = (0.5, 1.0)
_SEEDS = 1_000_000


class Pair(NamedTuple):
    """A new pair: what `answer` needs, both pictures, and the updates that ask the question.

    The server keeps `pair`, and the page `shown`, the key of the pair that it shows: an answer
    counts if it is about the pair that the server keeps.
    """

    pair: dict[str, Any]
    shown: str
    a: Image
    b: Image
    question: str
    frame: gr.Column
    answers: gr.Row
    verdict: str = ""


class Answer(NamedTuple):
    """Updates after a vote: the pair (now None), the answers, the verdict, all votes."""

    pair: Any = gr.skip()
    answers: Any = gr.skip()
    verdict: Any = gr.skip()
    preferences: Any = gr.skip()


class BlindHandlers:
    """The event handlers of the blind comparison."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._asked = BySession[str]()  # key of what was drawn last, until there is an answer

    @user_errors
    def draw(
        self,
        map_id: str | None,
        further: list[tuple[str, float]],
        steps: int | None = None,
        guidance: float | None = None,
        steer_steps: str | None = None,
    ) -> Pair:
        """Paint a new pair with a random scene, seed, strength and order.

        Args:
            map_id: id of the first map.
            further: pairs (id, λ) of the maps that are applied after it.
            steps: number of denoising steps; None is the default of the model.
            guidance: guidance scale; None is the default of the model.
            steer_steps: first and last step at which maps act; empty for all.
        """
        mix = self._studio.mix(map_id, further, checked_steps(steps, guidance, steer_steps))
        entry = mix.entries[0]
        self._studio.models.require(entry.model)
        prompt = entry.within(secrets.choice(self._studio.prompts.scenes()))
        seed = secrets.randbelow(_SEEDS)
        strengths = mix.at(secrets.choice(_STRENGTHS))
        rows = [mix.original, strengths]
        pictures = self._studio.pictures.with_steps(mix.steps)
        painted = pictures.paint(mix.entries, prompt, rows, seed=seed)
        steered = secrets.randbelow(2)
        a, b = (_anonymous(painted[side == steered].image) for side in range(2))
        pair: dict[str, Any] = {
            "key": secrets.token_hex(4),
            "title": " + ".join(each.title for each in mix.entries),
            "maps": [*zip(mix.ids, strengths, strict=True)],
            "prompt": prompt,
            "seed": seed,
            "steered": SIDES[steered],
        }
        self._asked[session()] = pair["key"]
        question = images_html.question(prompt, mix.entries)
        frames = gr.Column(visible=True), gr.Row(visible=True)
        return Pair(pair, pair["key"], a, b, question, *frames)

    @user_errors
    def answer(self, side: str, pair: Mapping[str, Any] | None, shown: str) -> Answer:
        """Store a vote, but in a public demo, and report which picture was steered.

        Args:
            side: label of the picture that was chosen; empty for an undecided vote.
            pair: the pair as drawn; None after a vote.
            shown: key of the pair on the page.
        """
        # After a second click, and after a click amid the next drawing, they differ.
        if not pair or not pair["key"] == shown == self._asked.get(session()):
            return Answer()
        self._asked.pop(session(), None)
        facts = {key: pair[key] for key in ("title", "prompt", "seed")}
        maps = tuple((map_id, strength) for map_id, strength in pair["maps"])
        choice = STEERED if side == pair["steered"] else ORIGINAL
        if not self._studio.read_only:
            chosen = choice if side else UNDECIDED
            self._studio.votes.add(Vote(**facts, maps=maps, choice=chosen))
        if session() in self._asked:  # the next pair, whose answers must stay
            return Answer(preferences=self.preferences())
        verdict = images_html.verdict(pair["steered"], maps)
        return Answer(None, gr.Row(visible=False), verdict, self.preferences())

    @user_errors
    def preferences(self) -> str:
        """Show all votes so far, for each map."""
        return votes_table(self._studio.votes.preferences(), {STEERED: ""}, "concept")


def _anonymous(image: Image) -> Image:
    """Copy a picture without the recipe in its metadata."""
    bare = image.copy()
    bare.info.clear()
    return bare
