"""Event handlers of the Library tab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, get_args
from zipfile import ZIP_DEFLATED, ZipFile

import gradio as gr

from lineas_core.models.catalog import Kind
from lineas_core.storage.lycoris import exportable

from ..events import user_errors
from ..html import basics, charts
from ..studio.maps import prompts_of
from ..studio.studio import Studio
from ..studio.user_maps import slug
from ..widgets.map_menu import map_menu
from . import html as library_html

__all__ = ["KINDS", "NO_TOKEN", "READY_MADE", "LibraryHandlers"]

KINDS = {"All": "", "Pictures": "text-to-image", "Texts": "language"}
"""Kind of model by label of the filter; empty for all."""

_USE: dict[Kind, str] = {"text-to-image": "Use in Images", "language": "Use in Text"}
_NONE = "There is no map of this kind yet. Learn one in the Learn tab, or import one."
READY_MADE = "Ready-made maps are read-only. Duplicate one to rename or change it."
NO_TOKEN = (
    "To publish maps, set the environment variable HF_TOKEN to a write token of huggingface.co "
    "and start the app again."
)


class MapView(NamedTuple):
    """The parts of the tab that show a map; by default they do not change."""

    heading: object = gr.skip()
    sheet: object = gr.skip()
    modules: object = gr.skip()
    frame: object = gr.skip()
    use: object = gr.skip()
    name: object = gr.skip()
    delete: object = gr.skip()
    hint: object = gr.skip()
    norms: object = gr.skip()
    repository: object = gr.skip()
    files: object = gr.skip()


class LibraryHandlers:
    """The event handlers of the Library tab, and its typed endpoint for programs.

    Attributes:
        publishes: whether there is a token for publishing maps.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.publishes = bool(studio.hub_token)

    @user_errors
    def library(self, kind: str, chosen: str | None) -> tuple[str, str]:
        """Show the cards of a kind of map: the user's own first, then those for pictures.

        Args:
            kind: kind of model; empty for all.
            chosen: id of the chosen map, which stays chosen if it is among them.

        Returns:
            The cards as HTML, and the id of the chosen map; empty if there is none.
        """
        entries = [e for e in self._studio.maps() if kind in ("", e.kind)]
        entries.sort(key=lambda e: (e.origin != "yours", e.kind == "language"))
        ids = [entry.id for entry in entries]
        damage = "".join(map(_damaged, self._studio.user_maps.unreadable()))
        if not ids:
            return damage + basics.hint(_NONE), ""
        chosen = chosen if chosen in ids else ids[0]
        cards = [(e, self._studio.user_maps.pictures(e), prompts_of(e)) for e in entries]
        return damage + library_html.cards(cards, chosen), chosen

    @user_errors
    def list_maps(self) -> list[dict]:
        """List the maps: id, title, model, origin (ready-made or yours), kind of the model."""
        keys = ("id", "title", "model", "origin", "kind")
        return [{key: getattr(entry, key) for key in keys} for entry in self._studio.maps()]

    def pick(self, event: gr.SelectData) -> str:
        """Return the id of the card that was clicked."""
        return event.value

    @user_errors
    def details(self, chosen: str | None) -> MapView:
        """Show the chosen map, and the actions that apply to it."""
        if not chosen:
            return MapView("", "", "", gr.Column(visible=False))
        entry = self._studio.entry(chosen)
        maps, own = self._studio.steering(entry), entry.origin == "yours"
        return MapView(
            heading=library_html.heading(entry, self._studio.user_maps.pictures(entry)),
            sheet=library_html.sheet(entry, maps, prompts_of(entry)),
            modules=charts.modules(maps),
            frame=gr.Column(visible=True),
            use=gr.Button(_USE[entry.kind]),
            name=gr.Textbox(entry.title, visible=own),
            delete=gr.Button(visible=own),
            hint=gr.HTML(visible=not own),
            norms=gr.Button(visible=exportable(maps)),
            repository=slug(entry.title),
            files=gr.File(visible=False, value=None),
        )

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

    @user_errors
    def rename(self, chosen: str, title: str) -> None:
        """Change the title of one of the user's maps."""
        self._studio.user_maps.rename(chosen, title)

    @user_errors
    def duplicate(self, chosen: str) -> str:
        """Copy a map to the user's maps; returns the id of the copy."""
        return self._studio.user_maps.duplicate(self._studio.entry(chosen))

    @user_errors
    def delete(self, chosen: str) -> tuple[gr.Row, str, str]:
        """Delete one of the user's maps.

        Returns:
            The row with the undo button, its sentence, and the id of the deleted map.
        """
        title = self._studio.user_maps.delete(chosen)
        return gr.Row(visible=True), basics.hint(f"“{title}” is deleted."), chosen

    @user_errors
    def undo(self, deleted: str) -> tuple[gr.Row, str, str]:
        """Restore the map that was deleted last.

        Returns:
            The row with the undo button, hidden; the filter, set to all kinds; and the id of the
            map.
        """
        self._studio.user_maps.restore(deleted)
        return gr.Row(visible=False), "", deleted

    @user_errors
    def import_map(self, path: str) -> tuple[str, str]:
        """Import a map from a zip archive or from its weights alone.

        Returns:
            The filter, set to all kinds, and the id of the map.
        """
        known = {entry.model for entry in self._studio.maps()}
        return "", self._studio.user_maps.import_map(Path(path), known)

    @user_errors
    def pack(self, chosen: str) -> Iterator[Any]:
        """Offer a map with all its files as a zip archive to download."""
        entry = self._studio.entry(chosen)
        name = slug(entry.title)
        with TemporaryDirectory() as folder:  # Gradio copies the file before the generator ends
            file = Path(folder, f"{name}.zip")
            with ZipFile(file, "w", ZIP_DEFLATED) as archive:
                for path, data in self._studio.user_maps.contents(entry).items():
                    archive.writestr(f"{name}/{path}", data)
            yield _download([file])

    @user_errors
    def norms(self, chosen: str) -> Iterator[Any]:
        """Offer a map of norms and its inverse as files for other tools to download."""
        with TemporaryDirectory() as folder:
            entry = self._studio.entry(chosen, "text-to-image")
            yield _download(self._studio.export_norms(entry, Path(folder)))

    @user_errors
    def publish(self, chosen: str, repository: str) -> str:
        """Upload a map to the hub, and show a link to it."""
        address = self._studio.publish(self._studio.entry(chosen), (repository or "").strip())
        return library_html.published(address)


def _download(files: list[Path]) -> Any:
    return gr.File([str(file) for file in files], visible=True)


def _damaged(name: str) -> str:
    return basics.warning(
        f"The map “{name}” is damaged and not listed. Import it again, or delete its folder from "
        "the data folder."
    )
