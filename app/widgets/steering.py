"""Shared by the tabs that steer: event handlers, and what the page connects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import gradio as gr
from gradio.blocks import Block

from lineas_core import UserError
from lineas_core.models.catalog import Kind

from ..events import BySession, LatestRequest, session, user_errors
from ..studio.studio import Studio
from .map_menu import map_menu
from .strength_slider import strength_label

__all__ = ["SteeringHandlers", "SteeringTab", "restored_prompt"]


class SteeringHandlers:
    """The event handlers that the Images, Text and Chat tabs have.

    Attributes:
        kind: kind of model whose maps the tab offers.
        requests: tracks the latest request of each browser session.
        chosen: id of the map that each browser session has chosen last. What was asked for
            another map before, and waits or runs, must not be shown any more.
    """

    kind: ClassVar[Kind]

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.requests, self.chosen = LatestRequest(), BySession[str | None]()
        self._prompted = BySession[bool]()

    @user_errors
    def library(self, chosen: str | None, home: str) -> Any:
        """Update the menu of maps: keep the choice, else take a map that can run.

        Nothing happens before the page has its address, `home`: a tab also reports that it is
        selected while the page is being built, and must not overwrite the map of a link.
        """
        if not home:
            return gr.skip()
        return map_menu(self._studio, self.kind, chosen, shown=chosen)

    @user_errors
    def label(self, map_id: str | None) -> Any:
        """Name the ends of the slider again, because the map may have been renamed."""
        with suppress(UserError):  # none, or deleted: the menu takes another one
            label = strength_label(self._studio.entry(map_id or ""))
            if self.chosen.get(session(), map_id) == map_id:  # no other one meanwhile
                return gr.update(label=label)
        return gr.skip()

    def new_request(self, request: gr.Request) -> int:
        """Number a new request of this session; work for older ones ends."""
        return self.requests.new(request)

    def shows(self, map_id: str | None, request: gr.Request) -> bool:
        """Return whether no other map has been chosen since this one was sent."""
        return self.chosen.get(request.session_hash or "", map_id) == map_id

    def is_opening(self, prompt: str | None, request: gr.Request) -> bool:
        """Return whether there is no prompt yet because the page is still being opened.

        Events of a page that opens can reach the server before it has its first prompt. Later an
        empty prompt is one that the user has emptied.
        """
        session = request.session_hash or ""
        if (prompt or "").strip():
            self._prompted[session] = True
        return session not in self._prompted

    def pick(self, example: list[str]) -> str:
        """Return the prompt of the example that was clicked."""
        return example[0]


def restored_prompt(map_id: str, prompt: str | None, restored: Sequence[str]) -> str:
    """Return the prompt that was restored with a map, unless another one has been typed.

    Args:
        map_id: id of the map.
        prompt: what the box has; empty if the page has just been opened.
        restored: map and prompt that were restored together, or nothing.
    """
    linked = restored[1] if [*restored[:1]] == [map_id] else ""
    return linked if (prompt or "") in ("", linked) else ""


@dataclass(frozen=True)
class SteeringTab:
    """The components and events of a tab that other parts of the page connect.

    Attributes:
        concept: menu of maps; a new value starts a new result.
        strength: slider for λ.
        kept: map and prompt that were restored together, so that the prompt stays.
        began: initial λ of the chosen map.
        request: number of the latest request; a change starts a new result.
        new_request: handler that numbers a request.
        chosen: the event after a map was chosen.
        made: the event after a result was made.
        result: query of the link that restores the result that is shown; empty at first.
        restored: the components that restored settings are written to, see `HistoryHandlers`.
        earlier: frame for earlier results.
        code: frame for the settings as code to copy.
        upload: frame for the upload of a saved picture; None for texts.
    """

    concept: gr.Dropdown
    strength: gr.Slider
    kept: gr.State
    began: gr.State
    request: gr.State
    new_request: Callable[..., int]
    chosen: gr.events.Dependency
    made: gr.events.Dependency
    result: gr.Textbox
    restored: Sequence[Block]
    earlier: gr.Tab
    code: gr.Tab
    upload: gr.Column | None = None
