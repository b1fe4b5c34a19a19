"""Event handler of the Images tab for a map that is still being learnt: the pictures follow it."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from lineas_core import UserError

from ..events import user_errors
from ..html import maps as map_html
from ..studio.maps import MapEntry
from ..studio.plausible import warnings_about
from ..studio.studio import Studio
from ..widgets.steering import SteeringHandlers

__all__ = ["FollowHandlers", "Followed", "summary_of"]

_LEARNING = "This map is still being learnt: the pictures are updated as it improves."


class Followed(NamedTuple):
    """What changes while the chosen map is being learnt.

    Attributes:
        request: number of a new request, if the map has new values.
        version: identifies the map and its values.
        timer: runs as long as the map is being learnt.
        summary: description of the map.
    """

    request: Any = gr.skip()
    version: Any = ""
    timer: Any = gr.Timer(active=False)
    summary: Any = gr.skip()


class FollowHandlers:
    """The event handler that looks at a map that is being learnt."""

    def __init__(self, studio: Studio, pictures: SteeringHandlers) -> None:
        """Number new requests of pictures as `pictures` does, whose map is followed."""
        self._studio, self._pictures = studio, pictures

    @user_errors
    def follow(self, map_id: str | None, version: str | None, request: gr.Request) -> Followed:
        """Request new pictures when the map has got other values.

        Args:
            map_id: id of the chosen map.
            version: map and values that the page shows; None or empty at first.
            request: identifies the browser session.
        """
        if not map_id:
            return Followed()
        version = version or ""  # at first
        try:
            entry = self._studio.entry(map_id, "text-to-image")
        except UserError:  # it has been deleted, which its menu says
            return Followed(version=gr.skip())
        learning = self._studio.user_maps.is_learning(entry)
        name = f" of {map_id}"
        now = f"{entry.metadata.get('sha256')}{name}"
        summary = summary_of(self._studio, entry)
        if not self._pictures.shows(map_id, request):  # its own events follow the new map
            return Followed(version=gr.skip(), timer=gr.skip())
        if not version.endswith(name) or now == version and learning:
            return Followed(version=now, timer=gr.Timer(active=learning))
        new = self._pictures.new_request(request) if now != version else gr.skip()
        return Followed(new, now, gr.Timer(active=learning), summary)


def summary_of(studio: Studio, entry: MapEntry) -> str:
    """Describe a map, and say if it is still being learnt."""
    notes = [_LEARNING] if studio.user_maps.is_learning(entry) else []
    return map_html.summary(entry, [*warnings_about(entry), *notes])
