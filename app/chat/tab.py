"""The layout of the Chat tab: the answers of several columns to every message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr

from ..events import HIDDEN, IN_PAGE, LATEST, MODEL, QUIET
from ..html.basics import hint
from ..scripts import script
from ..widgets.install import install_panel
from ..widgets.install_handlers import InstallHandlers
from ..widgets.sampling import sampling_boxes
from ..widgets.seed import SeedBox
from ..widgets.strength_slider import strength_slider
from ..widgets.unless_typed import unless_typed
from .handlers import ChatHandlers
from .html import EMPTY

__all__ = ["ChatTab", "chat_tab"]

_EXAMPLES = (
    "What did you do last weekend?",
    "Tell me a short story.",
    "What should I do on a free afternoon?",
)
_COLUMNS = (
    "Each column is a separate conversation: a model reads your messages and its own earlier "
    "answers. You can change λ between two messages."
)


@dataclass(frozen=True)
class ChatTab:
    """What ui.py wires.

    Attributes:
        concept: menu of maps.
        strength: slider for λ.
        restore: arguments of the event that shows a chat again after a lost connection.
    """

    concept: gr.Dropdown
    strength: gr.Slider
    restore: dict[str, Any]


class _Ask(NamedTuple):
    """The components at the top."""

    concept: gr.Dropdown
    summary: gr.HTML
    system: gr.Textbox
    prompted: gr.Checkbox
    instruction: gr.Textbox


class _Talk(NamedTuple):
    """The components that a turn changes, as in `TalkView`."""

    past: gr.HTML
    current: gr.HTML
    turns: gr.Textbox
    message: gr.Textbox
    written: gr.JSON
    actions: gr.Row
    reseed: gr.Button


class _Actions(NamedTuple):
    """The buttons below the turns."""

    row: gr.Row
    edit: gr.Button
    regenerate: gr.Button
    as_json: gr.Button
    as_markdown: gr.Button
    anew: gr.Button


def chat_tab(handlers: ChatHandlers, install: InstallHandlers) -> ChatTab:
    """Declare the tab inside the current `gr.Tab`.

    Args:
        handlers: event handlers of the tab.
        install: event handlers of the install panel.
    """
    model = gr.State("")
    ask = _ask()
    install_panel(install, model)
    caution = gr.HTML(apply_default_css=False)
    # The page keeps the turns and sends them along; the server stores no chat.
    turns = gr.Textbox(visible=False)
    past = gr.HTML(apply_default_css=False)
    current = gr.HTML(EMPTY, apply_default_css=False, js_on_load=script("follow_turn"))
    actions = _actions()
    message, strength = _composer()
    examples = gr.Dataset(
        components=[message],
        samples=[[each] for each in _EXAMPLES],
        show_label=False,
        elem_classes="examples",
    )
    with gr.Row(elem_classes="tools"):
        seed, *sampling = sampling_boxes()
    talk = _Talk(past, current, turns, message, unless_typed(message), actions.row, seed.another)
    given = [strength, ask.concept, ask.system, ask.prompted, ask.instruction]
    given += [seed.number, *sampling]
    _wire_answers(handlers, talk, actions, given, seed)
    _wire_exports(handlers, actions, turns)
    instruction = unless_typed(ask.instruction)
    ask.concept.change(
        handlers.choose,
        [ask.concept, ask.instruction],
        [ask.summary, caution, instruction, model, strength],  # as in `MapView`
        **QUIET,
    )
    ask.prompted.input(
        handlers.show_instruction,
        [ask.prompted, ask.concept, ask.instruction],
        [ask.instruction, instruction],
        **LATEST,
    )
    examples.click(handlers.pick, [examples], [message], **QUIET)
    restore = {"fn": handlers.restore, "inputs": [turns], "outputs": [*talk], **QUIET}
    return ChatTab(ask.concept, strength, {**restore, "js": script("kept_turns")})


def _composer() -> tuple[gr.Textbox, gr.Slider]:
    """Declare the message and the slider, which stay in view."""
    with gr.Column(elem_classes="composer"):
        message = gr.Textbox(
            label="Message",
            placeholder="Write a message",
            show_label=False,
            max_length=2000,
            lines=1,
            submit_btn="Send",
        )
        return message, strength_slider()


def _wire_answers(
    handlers: ChatHandlers,
    talk: _Talk,
    actions: _Actions,
    given: Sequence[Any],
    seed: SeedBox,
) -> None:
    """Wire what makes answers, and what ends or drops them.

    Args:
        handlers: event handlers of the tab.
        talk: the components that change.
        actions: the buttons.
        given: the components of the settings, as in `ChatHandlers.send`.
        seed: the seed.
    """
    view = [*talk]
    answers: dict[str, Any] = {**HIDDEN, **MODEL}
    again: dict[str, Any] = {
        "fn": handlers.regenerate,
        "inputs": [talk.turns, *given],
        "outputs": view,
        **answers,
    }
    renewed = talk.message.submit(**seed.renewal)
    sent = renewed.then(handlers.send, [talk.message, talk.turns, *given], view, **answers)
    talk.message.stop(handlers.stop, None, None, **QUIET)
    # Declared first: what waits for its turn would answer in a chat that is not shown any more.
    gr.on([actions.regenerate.click, seed.another.click], None, cancels=[sent])
    waiting = [sent, actions.regenerate.click(**again), seed.drawn.then(**again)]
    gr.on([actions.edit.click, actions.anew.click], None, cancels=waiting)
    actions.edit.click(handlers.edit, [talk.turns], view, **QUIET)
    actions.anew.click(handlers.start_anew, None, view, **QUIET)


def _wire_exports(handlers: ChatHandlers, actions: _Actions, turns: gr.Textbox) -> None:
    """Wire what the page does with the turns: it makes files, so that the server keeps none."""
    turns.change(None, [turns], None, js="(turns) => { window.chatTurns = turns; }", **IN_PAGE)
    for button, export, name in (
        (actions.as_json, handlers.export_json, "chat.json"),
        (actions.as_markdown, handlers.export_markdown, "chat.md"),
    ):
        file = gr.Textbox(visible=False)  # of its own, so that two clicks save two files
        made = button.click(export, [turns], [file], **QUIET)
        made.success(None, [file], None, js=script("save_text", file=name), **IN_PAGE)


def _ask() -> _Ask:
    with gr.Row(elem_classes="ask"):
        with gr.Column(scale=2, min_width=320):
            concept = gr.Dropdown([], label="Concept")
            # As high as two lines of text, so that the page does not jump when they come.
            summary = gr.HTML(apply_default_css=False, min_height=41)
        with gr.Column(scale=3, min_width=300):
            system = gr.Textbox(
                label="System prompt",
                placeholder="Leave empty to use the model's own",
                max_length=2000,
                lines=1,
                max_lines=5,
            )
            prompted = gr.Checkbox(
                label="Third column: prompting",
                info="The original model, with an instruction before every message.",
            )
            instruction = gr.Textbox(label="Instruction", max_length=2000, visible=False)
    gr.HTML(hint(_COLUMNS), apply_default_css=False)
    return _Ask(concept, summary, system, prompted, instruction)


def _actions() -> _Actions:
    small: dict[str, Any] = {"size": "sm", "scale": 0}
    with gr.Row(visible=False, elem_classes="actions") as row:
        edit = gr.Button("Edit last message", min_width=140, **small)
        regenerate = gr.Button("Regenerate at this λ", min_width=150, **small)
        as_json = gr.Button("Export JSON", min_width=110, **small)
        as_markdown = gr.Button("Export Markdown", min_width=130, **small)
        anew = gr.Button("New chat", min_width=100, **small)
    return _Actions(row, edit, regenerate, as_json, as_markdown, anew)
