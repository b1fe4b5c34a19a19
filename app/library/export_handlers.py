"""Event handlers of the exports of the Library tab: files of the chosen map to download.

An export is three events: `begin` notes for which map it was asked, one of the others makes the
files, and `end` gives the buttons back. The files of a whole model take minutes, in which another
map may be chosen; they are not shown under that one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import gradio as gr

from lineas_core.storage.disk import saving
from lineas_core.storage.places import slug

from ..events import changes, inform, session, user_errors
from ..html import basics
from ..studio.maps import MapEntry
from ..studio.studio import Studio
from .handlers import LibraryHandlers

__all__ = ["ExportHandlers"]


class ExportHandlers:
    """The event handlers of the exports."""

    def __init__(self, studio: Studio, library: LibraryHandlers) -> None:
        self._studio, self._library = studio, library

    @user_errors
    def begin(self, chosen: str) -> tuple[str, str, gr.Button, gr.Button, gr.Button]:
        """Return the map to export, a note, and the buttons, of which none can be clicked now."""
        note = f"“{self._studio.entry(chosen).title}” is being exported …"
        return chosen, basics.hint(note), *_buttons(interactive=False)

    def end(self) -> tuple[str, gr.Button, gr.Button, gr.Button]:
        """Take the note away, and give the buttons back."""
        return "", *_buttons(interactive=True)

    @user_errors
    def pack(self, asked: str) -> Iterator[Any]:
        """Offer a map with all its files as a zip archive to download."""
        entry = self._studio.entry(asked)
        name = slug(entry.title)
        with TemporaryDirectory() as folder:  # Gradio copies the file before the generator ends
            file = Path(folder, f"{name}.zip")
            with saving("the archive was"), ZipFile(file, "w", ZIP_DEFLATED) as archive:
                for path, data in self._studio.user_maps.contents(entry).items():
                    archive.writestr(f"{name}/{path}", data)
            yield self._offered(entry, [file])

    @user_errors
    def norms(self, asked: str) -> Iterator[Any]:
        """Offer a map of norms and its inverse as files for other tools to download."""
        with TemporaryDirectory() as folder:
            entry = self._studio.entry(asked, "text-to-image")
            files, note = self._studio.export_norms(entry, Path(folder))
            inform([note] if note else [])
            yield self._offered(entry, files)

    @changes
    @user_errors
    def weights(self, asked: str, strength: float) -> Iterator[Any]:
        """Offer the model of a map, with the map in its weights, as a zip archive to download."""
        entry = self._studio.entry(asked)
        with TemporaryDirectory() as folder:
            model = self._studio.export_weights(entry, strength, Path(folder))
            file = model.with_name(f"{model.name}.zip")
            with saving("the archive was"), ZipFile(file, "w", ZIP_STORED) as archive:
                for path in model.iterdir():
                    archive.write(path, f"{model.name}/{path.name}")
            yield self._offered(entry, [file])

    def _offered(self, entry: MapEntry, files: list[Path]) -> Any:
        """Show files, unless another map is chosen by now."""
        if self._library.shown.get(session(), entry.id) == entry.id:
            return gr.File([str(file) for file in files], visible=True)
        inform([f"“{entry.title}” is not chosen any more: choose it and export it again"])
        return gr.skip()


def _buttons(*, interactive: bool) -> tuple[gr.Button, gr.Button, gr.Button]:
    return tuple(gr.Button(interactive=interactive) for _ in range(3))  # type: ignore[return-value]
