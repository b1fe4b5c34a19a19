"""What the Images tab and the Text tab have in common: their events, and what the page wires."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import gradio as gr
from gradio.blocks import Block

from lineas_core.models.catalog import Kind

from ..events import LatestRequest, user_errors
from ..studio.studio import Studio
from .map_menu import map_menu

__all__ = ["SteeringHandlers", "SteeringTab", "random_seed"]


class SteeringHandlers:
    """The events of a tab that steers.

    Attributes:
        kind: of the models whose maps the tab offers.
        requests: tells which request of a browser tab is its latest.
    """

    kind: ClassVar[Kind]

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.requests = LatestRequest()

    @user_errors
    def library(self, chosen: str | None, home: str) -> Any:
        """Update the menu of maps: keep the choice, else take a map that can run.

        Nothing happens before the page has its address, `home`: a tab also reports that it is
        selected while the page is being built, and must not overwrite the map of a link.
        """
        return map_menu(self._studio, self.kind, chosen) if home else gr.skip()

    def new_request(self, request: gr.Request) -> int:
        """Number a new request of this session; work for older ones ends."""
        return self.requests.new(request)

    def pick(self, example: list[str]) -> str:
        """Return the prompt of the example that was clicked."""
        return example[0]

    def another_seed(self) -> int:
        """Draw a seed."""
        return random_seed()


@dataclass(frozen=True)
class SteeringTab:
    """What other parts of the page wire of a tab that steers.

    Attributes:
        concept: menu of maps; a new value makes new results.
        strength: slider for λ.
        kept: map and prompt that were restored together, so that the prompt stays.
        began: λ at which the map before this one started.
        request: number of the latest request; a change makes new results.
        new_request: handler that numbers a request.
        chosen: the event after a map was chosen.
        made: the event after a result is there.
        asked: λ, map, further maps, prompt, seed, and what else a result depends on.
        restored: the components that restored settings are put into, see `HistoryHandlers`.
        below: place for earlier results.
        upload: place for restoring from a picture; None for texts.
    """

    concept: gr.Dropdown
    strength: gr.Slider
    kept: gr.State
    began: gr.State
    request: gr.State
    new_request: Callable[..., int]
    chosen: gr.events.Dependency
    made: gr.events.Dependency
    asked: Sequence[Block]
    restored: Sequence[Block]
    below: gr.Column
    upload: gr.Column | None = None


def random_seed() -> int:
    """Draw a seed, 0 to 999,999."""
    return secrets.randbelow(1_000_000)
