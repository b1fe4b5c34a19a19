"""What the Library tab does: maps in, cards and files out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args
from zipfile import ZIP_DEFLATED, ZipFile

import gradio as gr

from app import figures
from app.checks import map_menu, notices
from app.library import prompts_of
from app.shelf import slug
from app.studio import Studio
from app.tabs import cards, fragments
from lineas_core.export import exportable
from lineas_core.models.catalog import Kind

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

    @notices
    def library(self, kind: str, chosen: str | None) -> tuple[str, str]:
        """The cards of a kind, the user's own first, then pictures; the choice stays."""
        entries = [e for e in self._studio.maps() if kind in ("", e.kind)]
        entries.sort(key=lambda e: (e.origin != "yours", e.kind == "language"))
        ids = [entry.id for entry in entries]
        damage = "".join(map(_left_out, self._studio.shelf.unreadable()))
        if not ids:
            return damage + fragments.hint(_NONE), ""
        chosen = chosen if chosen in ids else ids[0]
        shown = [(e, self._studio.shelf.pictures(e), prompts_of(e)) for e in entries]
        return damage + cards.cards(shown, chosen), chosen

    def pick(self, event: gr.SelectData) -> str:
        """The id of the card that was clicked."""
        return event.value

    @notices
    def details(self, chosen: str | None) -> tuple[Any, ...]:
        """What there is to see of a map, and what can be done with it.

        Returns:
            Heading, sheet, picture of the modules, frame, use, name, delete, hint, norms,
            repository, files.
        """
        if not chosen:
            return "", "", "", gr.Column(visible=False), *(gr.skip(),) * 7
        entry = self._studio.entry(chosen)
        maps, own = self._studio.steering(chosen), entry.origin == "yours"
        return (
            cards.heading(entry, self._studio.shelf.pictures(entry)),
            cards.sheet(entry, maps, prompts_of(entry)),
            figures.modules(maps),
            gr.Column(visible=True),
            gr.Button(_USE[entry.kind]),
            gr.Textbox(entry.title, visible=own),
            gr.Button(visible=own),
            gr.HTML(visible=not own),
            gr.Button(visible=exportable(maps)),
            slug(entry.title),
            gr.File(visible=False, value=None),
        )

    @notices
    def use(self, map_id: str | None) -> tuple[Any, ...]:
        """The tab of a map's kind, opened, and the menus of both tabs, the map chosen."""
        kind = self._studio.entry(map_id or "").kind
        menus = [
            map_menu(self._studio, kind, map_id) if kind == other else gr.skip()
            for other in get_args(Kind)
        ]
        return gr.Tabs(selected=kind), *menus

    @notices
    def rename(self, chosen: str, title: str) -> None:
        """Give the user's own map another title."""
        self._studio.shelf.rename(chosen, title)

    @notices
    def duplicate(self, chosen: str) -> str:
        """Copy a map; the copy is the user's, and chosen."""
        return self._studio.shelf.duplicate(self._studio.entry(chosen))

    @notices
    def delete(self, chosen: str) -> tuple[Any, ...]:
        """Delete the user's own map.

        Returns:
            The row that offers to undo it, its sentence, what was deleted.
        """
        title = self._studio.shelf.delete(chosen)
        return gr.Row(visible=True), fragments.hint(f"“{title}” is deleted."), chosen

    @notices
    def undo(self, deleted: str) -> tuple[Any, ...]:
        """Bring back what was deleted last.

        Returns:
            The row that offered it, closed, and the map, chosen among those of every kind.
        """
        self._studio.shelf.restore(deleted)
        return gr.Row(visible=False), "", deleted

    @notices
    def take_in(self, path: str) -> tuple[str, str]:
        """Import a zip of a map, or its weights alone; it is chosen among those of every kind."""
        known = {entry.model for entry in self._studio.maps()}
        return "", self._studio.shelf.take_in(Path(path), known)

    @notices
    def pack(self, chosen: str) -> Iterator[Any]:
        """A map with all that belongs to it, as a zip to download."""
        entry = self._studio.entry(chosen)
        name = slug(entry.title)
        with TemporaryDirectory() as folder:  # until the page has taken its copy
            file = Path(folder, f"{name}.zip")
            with ZipFile(file, "w", ZIP_DEFLATED) as archive:
                for path, data in self._studio.shelf.contents(entry).items():
                    archive.writestr(f"{name}/{path}", data)
            yield _download([file])

    @notices
    def norms(self, chosen: str) -> Iterator[Any]:
        """A map of norms and its inverse as files for other tools, to download."""
        with TemporaryDirectory() as folder:
            yield _download(self._studio.export_norms(chosen, Path(folder)))

    @notices
    def publish(self, chosen: str, repository: str) -> str:
        """Upload a map to the hub; a link to it."""
        address = self._studio.publish(chosen, (repository or "").strip())
        return cards.published(address)


def _download(files: list[Path]) -> Any:
    return gr.File([str(file) for file in files], visible=True)


def _left_out(name: str) -> str:
    return fragments.warning(
        f"“{name}” cannot be read and is left out. Import the map again, or delete its folder "
        "from the data folder."
    )
