"""Event handlers of the Chat tab."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import gradio as gr

from lineas_core import UserError
from lineas_core.methods import INSTRUCTION
from lineas_core.models.catalog import MODELS

from ..events import LatestRequest, session, user_errors
from ..html import basics
from ..html import maps as map_html
from ..html.texts import CONTENT, HARMFUL
from ..studio.checks import number, prompt_text, seed_of
from ..studio.maps import MapEntry
from ..studio.plausible import warnings_about
from ..studio.settings import sampling_of
from ..studio.studio import Studio
from ..studio.turns import Answer, Turn, as_json, as_markdown, exported, read_turns
from ..widgets.map_menu import map_menu
from ..widgets.steering import SteeringHandlers
from ..widgets.strength_slider import strength_label
from . import html as chat_html
from .talk import BUSY, READY, TalkView, whole

__all__ = ["ChatHandlers"]


class _Given(NamedTuple):
    """The settings of a turn, any values from a request."""

    strength: float | None
    map_id: str | None
    system: str
    prompted: bool
    instruction: str
    seed: int
    length: int
    temperature: float


class MapView(NamedTuple):
    """The parts of the Chat tab that depend on the chosen map."""

    summary: str = ""
    caution: str = ""
    instruction: object = gr.skip()
    model: str = ""
    strength: object = gr.skip()


class ChatHandlers(SteeringHandlers):
    """The event handlers of the Chat tab."""

    kind = "language"

    def __init__(self, studio: Studio) -> None:
        super().__init__(studio)
        self._stops = LatestRequest()

    @user_errors
    def library(self, chosen: str | None, home: str) -> Any:
        """Update the menu of maps: those whose model has a chat template."""
        if not home:
            return gr.skip()
        return map_menu(self._studio, self.kind, chosen, _converses, shown=chosen)

    @user_errors
    def choose(self, map_id: str | None, instruction: str) -> MapView:
        """Show a chosen map, which steers from the next message on.

        Args:
            map_id: id of the map; None if there is no map.
            instruction: that of the third column; one that another map brought is replaced.
        """
        self.chosen[session()] = map_id
        if not map_id:
            hint = "There is no map for a chat model yet. Learn one in the Learn tab."
            return MapView(basics.hint(hint))
        entry = self._studio.entry(map_id)
        return MapView(
            summary=map_html.summary(entry, warnings_about(entry)),
            caution=basics.warning(CONTENT) if entry.harmful else "",
            instruction=[instruction, self._instruction(entry, instruction)],
            model=entry.model,
            strength=gr.update(label=strength_label(entry)),
        )

    @user_errors
    def show_instruction(
        self, prompted: bool, map_id: str | None, instruction: str
    ) -> tuple[gr.Textbox, Any]:
        """Show the instruction of the third column if there is one.

        Its box does not take a text while it is hidden, so the map brings it now.
        """
        map_id = self.chosen.get(session(), map_id)  # meanwhile another one, maybe
        box = gr.Textbox(visible=bool(prompted))
        if not prompted or not map_id:
            return box, gr.skip()
        return box, [instruction, self._instruction(self._studio.entry(map_id), instruction)]

    @user_errors
    def send(
        self,
        message: str,
        turns: str,
        strength: float | None,
        map_id: str | None,
        system: str,
        prompted: bool,
        instruction: str,
        seed: int,
        length: int,
        temperature: float,
        request: gr.Request,
    ) -> Iterator[TalkView]:
        """Answer a message in all columns; after an error it is back in its box.

        Yields:
            The chat after every token, and at the end with its scores.
        """
        before, text = read_turns(turns, goes_on=True), prompt_text(message)
        given = _Given(
            *(strength, map_id, system, prompted, instruction), seed, length, temperature
        )
        entry, turn = self._turn(before, text, given)
        try:
            yield from self._answers(entry, before, turn, request, [message, ""])
        except Exception:
            yield whole(before)._replace(written=["", text])
            raise

    @user_errors
    def regenerate(
        self,
        turns: str,
        strength: float | None,
        map_id: str | None,
        system: str,
        prompted: bool,
        instruction: str,
        seed: int,
        length: int,
        temperature: float,
        request: gr.Request,
    ) -> Iterator[TalkView]:
        """Answer the last message anew, with the present settings; yields as `send` does."""
        if not (shown := read_turns(turns)):
            return
        *before, last = shown
        given = _Given(
            *(strength, map_id, system, prompted, instruction), seed, length, temperature
        )
        entry, turn = self._turn(before, last.message, given)
        try:
            yield from self._answers(entry, before, turn, request, gr.skip())
        except Exception:
            yield whole(shown)
            raise

    def stop(self, request: gr.Request) -> None:
        """End the answers that are being written; what is written stays."""
        self._stops.new(request)

    @user_errors
    def edit(self, turns: str) -> TalkView:
        """Take the last message back into its box, without its answers."""
        if not (shown := read_turns(turns)):
            return TalkView()
        *before, last = shown
        return whole(before, last.message)

    def start_anew(self, request: gr.Request) -> TalkView:
        """Forget all turns."""
        self.requests.new(request)
        return whole([])

    @user_errors
    def restore(self, turns: str) -> TalkView:
        """Show a chat that the page has kept over a reload; empty if it has kept none."""
        return whole(shown) if (shown := read_turns(turns)) else TalkView()

    @user_errors
    def export_json(self, turns: str) -> str:
        """Return the chat as JSON."""
        return exported(read_turns(turns))

    @user_errors
    def export_markdown(self, turns: str) -> str:
        """Return the chat as Markdown."""
        return as_markdown(read_turns(turns))

    def _instruction(self, entry: MapEntry, written: str) -> str:
        """Return the instruction of a map, unless the user has written one."""
        brought = {_instruction(each) for each in self._studio.maps()}
        return written if written and written not in brought else _instruction(entry)

    def _turn(self, before: Sequence[Turn], message: str, given: _Given) -> tuple[MapEntry, Turn]:
        """Return the map and the turn, whose answers are still empty."""
        entry = self._studio.entry(given.map_id or "", self.kind)
        self._studio.models.require(entry.model)
        strength = float(number("λ", given.strength, -1, 1))
        system, instruction = (
            prompt_text(text) if text and text.strip() else ""
            for text in (given.system, given.instruction if given.prompted else "")
        )
        answers = {"original": Answer(0.0, ""), "steered": Answer(strength, "")}
        if given.prompted:
            if not instruction:
                what, remedy = "the instruction is empty", "Write one, or turn the column off."
                raise UserError("E_PROMPT", what, remedy=remedy)
            answers["prompted"] = Answer(0.0, "")
        turn = Turn(
            message,
            answers,
            *(entry.id, entry.title, entry.model, entry.keywords),
            system=system,
            instruction=instruction,
            # Other noise in every turn: the same would favour the same first words.
            seed=seed_of(given.seed) + len(before),
            sampling=sampling_of(given.length, given.temperature),
        )
        return entry, turn

    def _answers(
        self, entry: MapEntry, before: Sequence[Turn], turn: Turn, request: gr.Request, box: Any
    ) -> Iterator[TalkView]:
        """Show the message, with what `box` says of its box, then the answers.

        Everything up to the first `yield` happens before Stop and New chat can be clicked.
        """
        mine, stops = self.requests.new(request), self._stops.latest(request)
        note = HARMFUL if turn.answers["steered"].strength * entry.harmful > 0 else ""
        place = len(before) + 1
        stream = self._studio.chats.answer(
            entry, before, turn, lambda: self._stops.outdated(stops, request)
        )
        yield TalkView(
            past=chat_html.turns_html(before),
            current=chat_html.turn_html(place, turn, note),
            message=gr.Textbox(**BUSY),
            written=box,
            actions=gr.Row(visible=False),
            reseed=gr.Button(interactive=False),
        )
        with closing(stream):
            for turn in stream:
                if self.requests.outdated(mine, request):
                    return  # the page now shows another answer, or a new chat
                yield TalkView(current=chat_html.turn_html(place, turn, note))
        yield TalkView(
            turns=as_json([*before, turn]),
            message=gr.Textbox(**READY),
            actions=gr.Row(visible=True),
            reseed=gr.Button(interactive=True),
        )


def _converses(entry: MapEntry) -> bool:
    """Return whether the model of a map has a chat template; unknown models may have one."""
    return entry.model not in MODELS or MODELS[entry.model].chat


def _instruction(entry: MapEntry) -> str:
    """Return what a prompt says instead of the map: the paper's instruction, or the topic."""
    return f"Write about {entry.title.lower()}." if entry.keywords else INSTRUCTION
