"""What the Library tab does: maps in, cards and files out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args
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
"""What the filter shows -> kind of the models."""

_USE: dict[Kind, str] = {"text-to-image": "Use in Images", "language": "Use in Text"}
_NONE = "There is no map of this kind yet. Learn one in the Learn tab, or import one."
READY_MADE = "A ready-made map stays as it is. Duplicate it to rename or change it."
NO_TOKEN = (
    "To publish maps, set the environment variable HF_TOKEN to a write token of huggingface.co "
    "and start the app again."
)


class LibraryHandlers:
    """The events of the Library tab."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.publishes = bool(studio.hub_token)

    @user_errors
    def library(self, kind: str, chosen: str | None) -> tuple[str, str]:
        """The cards of a kind, the user's own first, then pictures; the choice stays."""
        entries = [e for e in self._studio.maps() if kind in ("", e.kind)]
        entries.sort(key=lambda e: (e.origin != "yours", e.kind == "language"))
        ids = [entry.id for entry in entries]
        damage = "".join(map(_left_out, self._studio.user_maps.unreadable()))
        if not ids:
            return damage + basics.hint(_NONE), ""
        chosen = chosen if chosen in ids else ids[0]
        shown = [(e, self._studio.user_maps.pictures(e), prompts_of(e)) for e in entries]
        return damage + library_html.cards(shown, chosen), chosen

    @user_errors
    def list_maps(self) -> list[dict]:
        """List the maps that can steer: id, title, model, origin, kind of the model."""
        keys = ("id", "title", "model", "origin", "kind")
        return [{key: getattr(entry, key) for key in keys} for entry in self._studio.maps()]

    def pick(self, event: gr.SelectData) -> str:
        """The id of the card that was clicked."""
        return event.value

    @user_errors
    def details(self, chosen: str | None) -> tuple[Any, ...]:
        """What there is to see of a map, and what can be done with it.

        Returns:
            Heading, sheet, picture of the modules, frame, use, name, delete, hint, norms,
            repository, files.
        """
        if not chosen:
            return "", "", "", gr.Column(visible=False), *(gr.skip(),) * 7
        entry = self._studio.entry(chosen)
        maps, own = self._studio.steering(entry), entry.origin == "yours"
        return (
            library_html.heading(entry, self._studio.user_maps.pictures(entry)),
            library_html.sheet(entry, maps, prompts_of(entry)),
            charts.modules(maps),
            gr.Column(visible=True),
            gr.Button(_USE[entry.kind]),
            gr.Textbox(entry.title, visible=own),
            gr.Button(visible=own),
            gr.HTML(visible=not own),
            gr.Button(visible=exportable(maps)),
            slug(entry.title),
            gr.File(visible=False, value=None),
        )

    @user_errors
    def use(self, map_id: str | None) -> tuple[Any, ...]:
        """The tab of a map's kind, opened, and the menus of both tabs, the map chosen."""
        kind = self._studio.entry(map_id or "").kind
        menus = [
            map_menu(self._studio, kind, map_id) if kind == other else gr.skip()
            for other in get_args(Kind)
        ]
        return gr.Tabs(selected=kind), *menus

    @user_errors
    def rename(self, chosen: str, title: str) -> None:
        """Give the user's own map another title."""
        self._studio.user_maps.rename(chosen, title)

    @user_errors
    def duplicate(self, chosen: str) -> str:
        """Copy a map; the copy is the user's, and chosen."""
        return self._studio.user_maps.duplicate(self._studio.entry(chosen))

    @user_errors
    def delete(self, chosen: str) -> tuple[Any, ...]:
        """Delete the user's own map.

        Returns:
            The row that offers to undo it, its sentence, what was deleted.
        """
        title = self._studio.user_maps.delete(chosen)
        return gr.Row(visible=True), basics.hint(f"“{title}” is deleted."), chosen

    @user_errors
    def undo(self, deleted: str) -> tuple[Any, ...]:
        """Bring back what was deleted last.

        Returns:
            The row that offered it, closed, and the map, chosen among those of every kind.
        """
        self._studio.user_maps.restore(deleted)
        return gr.Row(visible=False), "", deleted

    @user_errors
    def take_in(self, path: str) -> tuple[str, str]:
        """Import a zip of a map, or its weights alone; it is chosen among those of every kind."""
        known = {entry.model for entry in self._studio.maps()}
        return "", self._studio.user_maps.take_in(Path(path), known)

    @user_errors
    def pack(self, chosen: str) -> Iterator[Any]:
        """A map with all that belongs to it, as a zip to download."""
        entry = self._studio.entry(chosen)
        name = slug(entry.title)
        with TemporaryDirectory() as folder:  # until the page has taken its copy
            file = Path(folder, f"{name}.zip")
            with ZipFile(file, "w", ZIP_DEFLATED) as archive:
                for path, data in self._studio.user_maps.contents(entry).items():
                    archive.writestr(f"{name}/{path}", data)
            yield _download([file])

    @user_errors
    def norms(self, chosen: str) -> Iterator[Any]:
        """A map of norms and its inverse as files for other tools, to download."""
        with TemporaryDirectory() as folder:
            entry = self._studio.entry(chosen, "text-to-image")
            yield _download(self._studio.export_norms(entry, Path(folder)))

    @user_errors
    def publish(self, chosen: str, repository: str) -> str:
        """Upload a map to the hub; a link to it."""
        address = self._studio.publish(self._studio.entry(chosen), (repository or "").strip())
        return library_html.published(address)


def _download(files: list[Path]) -> Any:
    return gr.File([str(file) for file in files], visible=True)


def _left_out(name: str) -> str:
    return basics.warning(
        f"“{name}” cannot be read and is left out. Import the map again, or delete its folder "
        "from the data folder."
    )
