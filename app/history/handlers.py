"""Restores settings from a link, a saved picture or an earlier result, and describes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL.Image import Image

from lineas_core import UserError
from lineas_core.models import title_of
from lineas_core.models.catalog import Kind
from lineas_core.pictures import read_recipe

from ..events import user_errors
from ..html.basics import safe, sentence_of
from ..html.thumbnails import small_jpeg
from ..studio.checks import prompt_text
from ..studio.maps import MapEntry
from ..studio.mix import MOST_FURTHER
from ..studio.settings import Settings
from ..studio.steps import range_text, steps_of
from ..studio.studio import Studio
from ..widgets.map_menu import map_menu
from . import html as history_html
from .snippets import snippets
from .updates import PictureSettings, Start, TextSettings

__all__ = ["HistoryHandlers"]

_MOST = 12  # earlier results that are kept


class HistoryHandlers:
    """The event handlers that restore settings, and those that describe a result."""

    def __init__(self, studio: Studio, mix_rows: Callable[..., tuple[Any, ...]]) -> None:
        """Restore settings; `mix_rows(first, rows)` returns the updates that show further maps."""
        self._studio, self._mix_rows = studio, mix_rows

    @user_errors
    def open(self, address: str) -> tuple[Any, ...]:
        """Restore the settings in the address of the page; the default is the initial page.

        A broken link gives a warning and the initial page.

        Returns:
            The tab to open, the address without the settings, then the updates of the Images
            tab and of the Text tab. Only the tab that is opened changes.
        """
        home, _, query = address.partition("#")[0].partition("?")
        home, settings = _page_address(home), self._linked(query)
        kind = self._entries(settings)[0].kind if settings else self._studio.opens_on()
        restored = self._restored(settings) if settings else self._initial(kind)
        # The prompt comes with the answer to its map, which leaves what is typed meanwhile.
        restored = restored._replace(prompt=gr.skip())
        if isinstance(restored, PictureSettings):
            return kind, home, *restored.updates, *TextSettings().updates
        return kind, home, *PictureSettings().updates, *restored.updates

    @user_errors
    def from_picture(self, file: str, chosen: str | None) -> tuple[Any, ...]:
        """Restore the settings in a saved picture.

        Args:
            file: a PNG file.
            chosen: id of the chosen map; a picture of the original model keeps it.
        """
        recipe = read_recipe(Path(file))
        # One map more than allowed is enough for `Settings` to report it.
        applied: list[Any] = [*recipe.maps[: MOST_FURTHER + 2]] or [(None, 0.0)]
        known = [*recipe.identities[: MOST_FURTHER + 2]] or [("", None)] * len(applied)
        settings = Settings(
            [
                self._find(title, identity, recipe.model, chosen)
                for (title, _), identity in zip(applied, known, strict=True)
            ],
            # A strip has a strength for each picture; its last picture is restored.
            [each[-1] if isinstance(each, list) and each else each for _, each in applied],
            prompt_text(recipe.prompt),
            recipe.seed,
            *steps_of(recipe, self._studio.pictures.denoising(recipe.model)),
        )
        return self._restored(settings).updates

    @user_errors
    def again(self, event: gr.EventData) -> tuple[Any, ...]:
        """Restore the earlier result that was clicked; the event has its query."""
        return self._restored(_parsed(str(event.query))).updates

    @user_errors
    def begin(self, map_id: str | None, restored: Sequence[str], at: float) -> Start:
        """Set the initial strength after a map was chosen.

        It is that of the map's method. λ stays if it was restored with the map, and between two
        maps that start at 1, as nearly all do.

        Args:
            map_id: id of the map.
            restored: map and prompt that were restored together.
            at: initial strength of the previous map.
        """
        if not map_id:
            return Start()
        own = self._studio.entry(map_id).strength
        if map_id in restored[:1]:
            return Start(began=own)
        return Start(gr.skip() if own == at == 1 else own, [], own)

    @user_errors
    def describe(self, home: str, query: str) -> Any:
        """Describe the result that is shown as code to copy.

        Args:
            home: address of the page.
            query: query of its link; empty at first.

        Returns:
            The code as HTML.
        """
        with suppress(UserError):  # there is no result yet, or its map has been deleted
            settings = _parsed(query)
            return history_html.copies(snippets(settings, self._entries(settings), home))
        return gr.skip()

    @user_errors
    def keep(self, past: list[str], query: str) -> tuple[Any, Any]:
        """Prepend the new result to the earlier results.

        A result that differs from an earlier one only in the first strength replaces it. The
        tiles are redrawn only if needed, so that they do not move under the pointer.

        Args:
            past: queries of the earlier results, newest first.
            query: query of the new result; empty at first.

        Returns:
            The queries of all results, and the tiles as HTML.
        """
        with suppress(UserError):  # the map has been deleted
            if query and query not in past and self._is_made(query):
                earlier = [_without_strength(each) for each in past]
                new = _without_strength(query)
                if new in earlier:
                    past[earlier.index(new)] = query
                else:
                    past = [query, *past][:_MOST]
                return past, history_html.earlier([tile for q in past if (tile := self._tile(q))])
        return gr.skip(), gr.skip()

    def _linked(self, query: str) -> Settings | None:
        """Parse a link and check its maps; return None, with a warning, if it is broken."""
        try:
            settings = Settings.from_link(query)
            if settings:
                self._entries(settings)
        except UserError as error:
            gr.Warning(safe(sentence_of(str(error))), title="The link could not be restored")
            return None
        return settings

    def _initial(self, kind: Kind) -> PictureSettings | TextSettings:
        """Return the initial settings of a tab: a map that can run."""
        menu = map_menu(self._studio, kind, None)
        return PictureSettings(menu) if kind == "text-to-image" else TextSettings(menu)

    def _restored(self, settings: Settings) -> PictureSettings | TextSettings:
        """Return the updates that restore settings in the tab of their kind."""
        (first, *_), (strength, *_) = settings.maps, settings.strengths
        kind = self._entries(settings)[0].kind
        shared = {
            "concept": map_menu(self._studio, kind, first),
            "strength": strength,
            "prompt": settings.prompt or gr.skip(),
            "seed": settings.seed,
            "kept": [first, settings.prompt],
        }
        if kind == "language":
            return TextSettings(
                **shared,
                length=settings.length,
                temperature=settings.temperature,
                chat=settings.chat,
            )
        further = [*zip(settings.maps, settings.strengths, strict=True)][1:]
        return PictureSettings(
            **shared,
            further=further,
            steps=settings.steps,
            guidance=settings.guidance,
            steer_steps=range_text(settings.steer_steps),
            rows=self._mix_rows(first, further),
        )

    def _entries(self, settings: Settings) -> list[MapEntry]:
        """Find the maps of these settings.

        Raises:
            UserError: a map does not exist, or they cannot be combined.
        """
        entries = [self._studio.entry(map_id) for map_id in settings.maps]
        if len({entry.model for entry in entries}) > 1:
            remedy = "Choose maps that were learnt on the same model."
            raise UserError("E_MODEL", "these maps are of different models", remedy=remedy)
        if len(entries) > 1 and entries[0].kind == "language":
            raise UserError("E_MAP", "a text can be steered by one map only", remedy="Choose one.")
        return entries

    def _find(
        self,
        title: str | None,
        identity: tuple[str, str | None],
        model: str,
        chosen: str | None,
    ) -> str:
        """Return the id of the map for pictures with these values, this id or this title.

        A title that several maps have gives a warning.

        Args:
            title: title of the map; None accepts every map of the model.
            identity: its id and the checksum of its values, see `Recipe`.
            model: model that it was learnt on.
            chosen: id of the map to prefer among several.

        Raises:
            UserError: there is no such map.
        """
        entries = [e for e in self._studio.maps() if (e.kind, e.model) == ("text-to-image", model)]
        map_id, checksum = identity
        same = [e.id for e in entries if checksum and e.identity[1] == checksum]
        ids = same or [e.id for e in entries if e.id == map_id]
        titled = [] if ids else [e.id for e in entries if title in (None, e.title)]
        ids = ids or titled
        if not ids:
            which = f"the map “{title:.60}” for" if title else "a map for"
            what = (
                f"{which} {title_of(model):.60}, which this picture needs, is not in the library"
            )
            raise UserError("E_MAP", what, remedy="Learn or import it, then try again.")
        if title is not None and len(titled) > 1:
            what = f"{len(titled)} maps are called “{title:.60}”: this may not be the one."
            gr.Warning(safe(what), title="Several maps fit this picture")
        return next((each for each in (map_id, chosen) if each in ids), ids[0])

    def _is_made(self, query: str) -> bool:
        """Return whether its picture is still cached; texts are described once they are made."""
        entries, image = self._cached(_parsed(query))
        return entries[0].kind == "language" or image is not None

    def _cached(self, settings: Settings) -> tuple[list[MapEntry], Image | None]:
        """Return the maps of these settings, and their picture if it is cached."""
        entries = self._entries(settings)
        if entries[0].kind == "language":
            return entries, None
        pictures = self._studio.pictures.with_steps(settings.denoising)
        found = pictures.painted(
            entries, settings.prompt, [settings.strengths], seed=settings.seed
        )
        return entries, found[0].image if found else None

    def _tile(self, query: str) -> history_html.Tile | None:
        """Return the tile of an earlier result, or None if its map has been deleted."""
        settings = _parsed(query)
        try:
            entries, image = self._cached(settings)
        except UserError:
            return None
        applied = [*zip((each.title for each in entries), settings.strengths, strict=True)]
        small, steps = small_jpeg(image) if image else "", settings.denoising
        return history_html.Tile(query, applied, settings.prompt, settings.seed, small, steps)


def _parsed(query: str) -> Settings:
    """Parse the query of an earlier result, with its `?`.

    Raises:
        UserError: it has no settings.
    """
    settings = Settings.from_link(query[1:])
    if not settings:
        raise UserError("E_LINK", "this is not a result", remedy="Choose another one.")
    return settings


def _without_strength(query: str) -> Settings:
    """Return the settings of a query with λ of the first map, which the slider moves, at 0."""
    settings = _parsed(query)
    return replace(settings, strengths=[0.0, *settings.strengths[1:]])


def _page_address(home: str) -> str:
    """Return the address of the page, or the default one if a request contains no address."""
    return home if home.startswith(("http://", "https://")) else "http://127.0.0.1:7860/"
