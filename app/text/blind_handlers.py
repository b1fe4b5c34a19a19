"""The blind comparison of texts: one opening continued by several methods, without labels."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import gradio as gr

from lineas_core.methods import LINEAS, METHODS
from lineas_core.models import Sampling

from ..events import BySession, session, user_errors
from ..html import basics
from ..html.votes import votes_table
from ..studio.maps import MapEntry, siblings
from ..studio.plausible import usable
from ..studio.settings import sampling_of
from ..studio.studio import Studio
from ..studio.texts import Continuation
from ..studio.votes import ORIGINAL, UNDECIDED, Vote
from . import html as text_html

__all__ = ["LETTERS", "BlindTextHandlers"]

LETTERS = ("A", "B", "C", "D")
_METHODS = ("iti-c", "lin-act", LINEAS)  # the methods of the paper, besides the original
_SEEDS = 1_000_000
_LABELS = {ORIGINAL: " · original", **{key: f" · {m.label}" for key, m in METHODS.items()}}


class Drawn(NamedTuple):
    """Updates of the panel while texts are drawn.

    The server keeps `draw`, and the page `shown`, the key of the texts that it shows: an answer
    counts if it is about the texts that the server keeps.
    """

    draw: Any = None
    shown: str = ""
    texts: str = ""
    answers: Any = gr.Row(visible=False)
    c: Any = gr.skip()
    d: Any = gr.skip()
    verdict: str = ""


class Answer(NamedTuple):
    """Updates after a vote: the texts (now None), the answers, the verdict, all votes."""

    draw: Any = gr.skip()
    answers: Any = gr.skip()
    verdict: Any = gr.skip()
    preferences: Any = gr.skip()


class BlindTextHandlers:
    """The event handlers of the blind comparison of texts."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._asked = BySession[str]()  # key of what was drawn last, until there is an answer

    @user_errors
    def draw(self, map_id: str | None, length: int, temperature: float) -> Iterator[Drawn]:
        """Continue a random opening without steering and with the map of each method.

        Args:
            map_id: id of the chosen map; the others are those learnt from the same prompts.
            length: length of the texts in tokens.
            temperature: sampling temperature.

        Yields:
            How far it is, then the texts in random order.
        """
        entry, mine = self._studio.entry(map_id or "", "language"), session()
        self._studio.models.require(entry.model)
        entries, sampling = self._compared(entry), sampling_of(length, temperature)
        opening = secrets.choice(self._studio.prompts.openings(toxic=entry.harmful != 0))
        seed, texts = secrets.randbelow(_SEEDS), dict[str, Continuation]()
        for written in self._write(entries, opening, seed, sampling):
            texts = written
            told = f"Writing {len(entries) + 1} texts: {len(texts)} are done …"
            yield Drawn(texts=basics.hint(told))
        key, order = secrets.token_hex(4), sorted(texts, key=lambda _: secrets.randbits(64))
        maps = {each.method: (each.id, _strength(each)) for each in entries}
        facts = {"title": entry.title, "prompt": opening, "seed": seed}
        self._asked[mine] = key
        lettered = {letter: texts[each] for letter, each in zip(LETTERS, order, strict=False)}
        yield Drawn(
            draw={"key": key, "order": order, "maps": maps, **facts},
            shown=key,
            texts=text_html.blind(entry, opening, lettered),
            answers=gr.Row(visible=True),
            c=gr.Button(visible="C" in lettered),
            d=gr.Button(visible="D" in lettered),
        )

    @user_errors
    def answer(self, place: int | None, draw: Mapping[str, Any] | None, shown: str) -> Answer:
        """Store a vote, but in a public demo, and report who wrote which text.

        Args:
            place: index of the text that was chosen; None for an undecided vote.
            draw: the texts as drawn; None after a vote.
            shown: key of the texts on the page.
        """
        # After a second click, and after a click amid the next drawing, they differ.
        asked = draw and draw["key"] == shown == self._asked.get(session())
        if not draw or not asked or (place or 0) >= len(draw["order"]):
            return Answer()
        self._asked.pop(session(), None)
        facts = {key: draw[key] for key in ("title", "prompt", "seed")}
        maps = tuple((map_id, strength) for map_id, strength in draw["maps"].values())
        if not self._studio.read_only:
            choice = UNDECIDED if place is None else draw["order"][place]
            options = (ORIGINAL, *draw["maps"])
            vote = Vote(**facts, maps=maps, choice=choice, options=options)
            self._studio.text_votes.add(vote)
        if session() in self._asked:  # the next texts, whose answers must stay
            return Answer(preferences=self.preferences())
        authors = [_author(each, draw["maps"]) for each in draw["order"]]
        verdict = text_html.authors(dict(zip(LETTERS, authors, strict=False)))
        return Answer(None, gr.Row(visible=False), verdict, self.preferences())

    @user_errors
    def preferences(self) -> str:
        """Show all votes so far, for each map and method."""
        return votes_table(self._studio.text_votes.preferences(), _LABELS, "text by")

    def _write(
        self, entries: Sequence[MapEntry], opening: str, seed: int, sampling: Sampling
    ) -> Iterator[dict[str, Continuation]]:
        """Continue an opening without steering and with each map; yield those that are done."""
        done: dict[str, Continuation] = {}
        for entry in entries:
            rows, strengths = list[Continuation](), [0.0] * (not done) + [_strength(entry)]
            for step in self._studio.texts.continue_text(
                entry, opening, strengths, seed=seed, sampling=sampling
            ):
                rows = step
                yield done
            names = [ORIGINAL] * (not done) + [entry.method]
            done = {**done, **dict(zip(names, rows, strict=True))}
        yield done

    def _compared(self, entry: MapEntry) -> list[MapEntry]:
        """Return the maps to compare, one of each method, at most three; one is the chosen map."""
        found, _ = usable(siblings(entry, self._studio.maps()))
        by_method = {each.method: each for each in found} | {entry.method: entry}
        others = [
            by_method[name] for name in _METHODS if name in by_method and name != entry.method
        ]
        return [entry, *others[-2:]]


def _strength(entry: MapEntry) -> float:
    """Return λ of a map as its method recommends it, with the sign that makes texts harmless."""
    return entry.strength * (-entry.harmful or 1)


def _author(method: str, maps: Mapping[str, Sequence[Any]]) -> str:
    if method == ORIGINAL:
        return "the original"
    label = METHODS[method].label if method in METHODS else method
    return f"{label} at λ = {maps[method][1]:+g}"
