"""Event handlers of the Library tab."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import gradio as gr

from lineas_core import UserError
from lineas_core.models.catalog import Kind
from lineas_core.storage.lycoris import exportable
from lineas_core.storage.places import slug

from ..events import BySession, LatestRequest, changes, latest_only, session, user_errors
from ..html import basics, charts
from ..studio.maps import MapEntry, prompts_of
from ..studio.plausible import confirm, is_confirmed, suspicion, warnings_about
from ..studio.studio import Studio
from ..widgets.map_menu import map_menu
from . import html as library_html

__all__ = ["KINDS", "NO_TOKEN", "READY_MADE", "LibraryHandlers", "Shelf"]

KINDS = {"All": "", "Pictures": "text-to-image", "Texts": "language"}
"""Kind of model by label of the filter; empty for all."""

_USE: dict[Kind, str] = {"text-to-image": "Use in Images", "language": "Use in Text"}
_NONE = "There is no map of this kind yet. Learn one in the Learn tab, or import one."
_NOT_FOUND = "No map has these words in its name, model or keywords."
_NOT_OF_KIND = "No map for {} matches. Search all maps."
_ON_A_PAGE = 48
# Of the handlers that show cards, of clicks on cards, and of what shows the chosen map.
_CALLS, _PICKS, _DETAILS = LatestRequest(), LatestRequest(), LatestRequest()
READY_MADE = "Ready-made maps are read-only. Duplicate one to rename or change it."
NO_TOKEN = (
    "To publish maps, set the environment variable HF_TOKEN to a huggingface.co token with write "
    "access, then restart the app."
)


class Shelf(NamedTuple):
    """The cards of one page, and what goes with them.

    Attributes:
        cards: the cards as HTML.
        chosen: id of the chosen map; empty if there is none, no change if it stays.
        page: number of the page, from 1.
        pager: the row with the buttons between pages, hidden if there is only one.
        place: which of the maps these are, as HTML.
    """

    cards: str
    chosen: Any
    page: int
    pager: gr.Row
    place: str


class MapView(NamedTuple):
    """The parts of the tab that show a map; by default they do not change."""

    heading: object = gr.skip()
    sheet: object = gr.skip()
    modules: object = gr.skip()
    frame: object = gr.skip()
    use: object = gr.skip()
    confirm: object = gr.skip()
    name: object = gr.skip()
    delete: object = gr.skip()
    hint: object = gr.skip()
    norms: object = gr.skip()
    weights: object = gr.skip()
    repository: object = gr.skip()
    files: object = gr.skip()


class LibraryHandlers:
    """The event handlers of the Library tab, and its typed endpoint for programs.

    Attributes:
        publishes: whether there is a token for publishing maps.
        read_only: as in `Studio`.
        shown: id of the map that a session sees, for exports that take long.
    """

    def __init__(self, studio: Studio) -> None:
        self.shown = BySession[str]()
        self._studio, self._picked = studio, BySession[str]()
        self.publishes = bool(studio.hub_token)
        self.read_only = studio.read_only

    @latest_only(_CALLS)
    @user_errors
    def library(
        self, kind: str, chosen: str | None, words: str | None = "", page: float | None = None
    ) -> Shelf:
        """Show the cards of a kind of map: the user's own first, then those for pictures.

        Args:
            kind: kind of model; empty for all.
            chosen: id of the chosen map, which stays chosen if it is among them.
            words: words that all have to be in the name, model or keywords of a map.
            page: number of the page; None shows the page of the chosen map. Numbers beyond the
                pages show the nearest one.
        """
        return self._shelf(kind, chosen, words, page)

    @latest_only(_CALLS)
    @user_errors
    def turn(self, kind: str, chosen: str | None, words: str | None, page: float) -> Shelf:
        """Show the cards of the next page."""
        return self._shelf(kind, chosen, words, page + 1)

    @latest_only(_CALLS)
    @user_errors
    def turn_back(self, kind: str, chosen: str | None, words: str | None, page: float) -> Shelf:
        """Show the cards of the page before."""
        return self._shelf(kind, chosen, words, page - 1)

    @user_errors
    def list_maps(self) -> list[dict]:
        """List the maps: id, title, model, origin (ready-made or yours), kind of the model."""
        keys = ("id", "title", "model", "origin", "kind")
        return [{key: getattr(entry, key) for key in keys} for entry in self._studio.maps()]

    @latest_only(_PICKS)
    def pick(self, event: gr.SelectData) -> str:
        """Return the id of the card that was clicked."""
        self._picked[session()] = event.value
        return event.value

    @latest_only(_DETAILS)
    @user_errors
    def details(self, chosen: str | None) -> MapView:
        """Show the chosen map, and the actions that apply to it."""
        self.shown[session()] = chosen or ""
        if not chosen:
            return MapView("", "", "", gr.Column(visible=False))
        entry = self._studio.entry(chosen)
        own, prompts = entry.origin == "yours" and not self.read_only, prompts_of(entry)
        heading = library_html.heading(entry, self._studio.user_maps.pictures(entry))
        view = MapView(
            frame=gr.Column(visible=True),
            name=gr.Textbox(entry.title, visible=own),
            delete=gr.Button(visible=own),
            hint=gr.HTML(visible=not (own or self.read_only)),
            repository=slug(entry.title),
            files=gr.File(visible=False, value=None),
        )
        try:
            maps, warnings = self._studio.steering(entry), warnings_about(entry)
        except UserError as error:  # such as damaged values
            hidden = {n: gr.Button(visible=False) for n in ("use", "confirm", "norms", "weights")}
            heading += basics.warning(str(error))
            return view._replace(heading=heading, sheet="", modules="", **hidden)
        open_question = bool(suspicion(entry)) and not is_confirmed(entry)
        return view._replace(
            heading=heading + "".join(map(basics.warning, warnings)),
            sheet=library_html.sheet(entry, maps, prompts),
            modules=charts.modules(maps),
            use=gr.Button(_USE[entry.kind], visible=not open_question),
            confirm=gr.Button(visible=open_question and not self.read_only),
            norms=gr.Button(visible=exportable(maps)),
            weights=gr.Button(visible=len(maps.affine) == len(maps) and not self.read_only),
        )

    @changes
    @user_errors
    def confirm(self, chosen: str) -> None:
        """Let a map with implausible values steer."""
        confirm(self._studio.entry(chosen))

    @user_errors
    def use(self, map_id: str | None) -> tuple[Any, ...]:
        """Open the tab for the kind of a map, and choose the map there.

        Returns:
            The tabs, then the menu of maps for each kind of model.
        """
        kind = self._studio.entry(map_id or "").kind
        menus = [
            map_menu(self._studio, kind, map_id) if kind == other else gr.skip()
            for other in get_args(Kind)
        ]
        return gr.Tabs(selected=kind), *menus

    @changes
    @user_errors
    def rename(self, chosen: str, title: str) -> None:
        """Change the title of one of the user's maps."""
        self._studio.user_maps.rename(chosen, title)

    @changes
    @user_errors
    def duplicate(self, chosen: str) -> str:
        """Copy a map to the user's maps; returns the id of the copy."""
        return self._studio.user_maps.duplicate(self._studio.entry(chosen))

    @changes
    @user_errors
    def delete(self, chosen: str) -> tuple[gr.Row, str, str]:
        """Delete one of the user's maps.

        Returns:
            The row with the undo button, its sentence, and the id of the deleted map.
        """
        title = self._studio.user_maps.delete(chosen)
        return gr.Row(visible=True), _deleted(title), chosen

    @changes
    @user_errors
    def undo(self, deleted: str) -> tuple[gr.Row, str, str, str, str, str]:
        """Restore a deleted map, and offer to restore the one that was deleted before it.

        Returns:
            The row with the undo button, hidden if no map is left to restore; its sentence, and
            the id of that map; the filter, set to all kinds; the words of the search, none; and
            the id of the restored map.
        """
        self._studio.user_maps.restore(deleted)
        left, title = self._studio.user_maps.last_deleted()
        return gr.Row(visible=bool(left)), _deleted(title), left, "", "", deleted

    @changes
    @user_errors
    def import_map(self, path: str) -> tuple[str, str, str]:
        """Import a map from a zip archive or from its weights alone.

        Returns:
            The filter, set to all kinds; the words of the search, none; and the id of the map.
        """
        known = {entry.model for entry in self._studio.maps()}
        return "", "", self._studio.user_maps.import_map(Path(path), known)

    @changes
    @user_errors
    def publish(self, chosen: str, repository: str) -> str:
        """Upload a map to the hub, and show a link to it."""
        address = self._studio.publish(self._studio.entry(chosen), (repository or "").strip())
        return library_html.published(address)

    def _shelf(
        self, kind: str, chosen: str | None, words: str | None, page: float | None
    ) -> Shelf:
        self._picked.pop(session(), None)
        entries = [e for e in self._studio.maps() if kind in ("", e.kind) and e.has(words)]
        entries.sort(key=lambda e: (e.origin != "yours", e.kind == "language"))
        ids = [entry.id for entry in entries]
        damage = library_html.damaged(self._studio.user_maps.unreadable())
        if not ids:
            hint = basics.hint(_nothing(kind, words))
            return Shelf(damage + hint, "", 1, gr.Row(visible=False), "")
        asked, chosen = chosen, chosen if chosen in ids else self._instead(chosen, entries)
        last = (len(ids) - 1) // _ON_A_PAGE + 1
        place = ids.index(chosen) if chosen else 0
        page = place // _ON_A_PAGE + 1 if page is None else int(page)
        page = min(max(page, 1), last)
        start = (page - 1) * _ON_A_PAGE
        shown = entries[start : start + _ON_A_PAGE]
        cards = [(e, self._studio.user_maps.pictures(e), prompts_of(e)) for e in shown]
        told = basics.hint(f"{start + 1:,} to {start + len(shown):,} of {len(ids):,} maps")
        pager = gr.Row(visible=last > 1)
        clicked = self._picked.get(session())  # meanwhile
        chosen = clicked if clicked in ids else chosen
        marked = damage + library_html.cards(cards, chosen)
        return Shelf(marked, gr.skip() if chosen == asked else chosen, page, pager, told)

    def _instead(self, gone: str | None, entries: Sequence[MapEntry]) -> str:
        """Return the map to choose of those that are shown, because another one is not.

        After a deletion it is none of the user's own: a second click would delete it as well.
        """
        deleted = bool(gone) and gone not in {entry.id for entry in self._studio.maps()}
        fitting = [e.id for e in entries if not (deleted and e.origin == "yours")]
        return next(iter(fitting), "")


def _deleted(title: str) -> str:
    """Name the map that the undo button restores."""
    return basics.hint(f"“{title}” was deleted.")


def _nothing(kind: str, words: str | None) -> str:
    """Say why there is no map to show."""
    if not words:
        return _NONE
    if not kind:
        return _NOT_FOUND
    return _NOT_OF_KIND.format(next(label.lower() for label in KINDS if KINDS[label] == kind))
