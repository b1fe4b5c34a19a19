"""Nothing is lost: what a link, a saved picture or an earlier result brings back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL.Image import Image

from lineas_core import UserError
from lineas_core.models.catalog import MODELS, Kind
from lineas_core.pictures import read_recipe

from ..events import user_errors
from ..html.basics import safe
from ..html.thumbnails import small_jpeg
from ..studio.checks import prompt_text
from ..studio.maps import MapEntry
from ..studio.mix import MOST_FURTHER
from ..studio.settings import Settings
from ..studio.studio import Studio
from ..widgets.map_menu import map_menu
from . import html as history_html
from .snippets import snippets

__all__ = ["HistoryHandlers"]

_MOST = 12  # earlier results
_SHOWN = {"text-to-image": 7 + 3 * MOST_FURTHER, "language": 8}  # values that `again` answers


class HistoryHandlers:
    """The events that bring settings back, and those that tell which there are.

    Settings that come back are answered as values for the components of a tab. Of both tabs:
    menu of maps, λ, prompt, seed, and (map, prompt), so that `choose` leaves this prompt alone.
    Then of pictures: the further pairs of map and λ, and the rows that show them; of texts:
    length, temperature, chat.
    """

    def __init__(self, studio: Studio, mix_rows: Callable[..., tuple[Any, ...]]) -> None:
        """Restore settings; `mix_rows(first, rows)` are the updates that show further maps."""
        self._studio, self._mix_rows = studio, mix_rows

    @user_errors
    def open(self, address: str) -> tuple[Any, ...]:
        """What the address of the page asks for; else, with a notice if it was broken, the usual.

        Returns:
            The tab to open, the address without what it asks for, then the settings of pictures
            and of texts; those of the other tab stay.
        """
        home, _, query = address.partition("#")[0].partition("?")
        settings = self._linked(query)
        kind = self._entries(settings)[0].kind if settings else self._studio.opens_on()
        stay = {each: (gr.skip(),) * count for each, count in _SHOWN.items()}
        shown = {**stay, kind: self._shown(settings) if settings else self._usual(kind)}
        return kind, _web(home), *shown["text-to-image"], *shown["language"]

    @user_errors
    def from_picture(self, file: str, chosen: str | None) -> tuple[Any, ...]:
        """The settings that a saved picture carries; an original keeps the map that is chosen."""
        recipe = read_recipe(Path(file))
        applied = recipe.maps[: MOST_FURTHER + 2] or [(None, 0.0)]  # one more is refused below
        settings = Settings(
            [self._named(title, recipe.model, chosen) for title, _ in applied],
            # A strip was made at several strengths; it opens at its last picture.
            [lam[-1] if isinstance(lam, list) and lam else lam for _, lam in applied],
            prompt_text(recipe.prompt),
            recipe.seed,
        )
        return self._shown(settings)

    @user_errors
    def again(self, event: gr.EventData) -> tuple[Any, ...]:
        """The settings of the earlier result that was clicked; it tells its own link."""
        settings = Settings.of_link(str(event.query)[1:])
        if not settings:
            raise UserError("E_LINK", "this is no result", remedy="Choose another one.")
        return self._shown(settings)

    @user_errors
    def begin(self, map_id: str | None, restored: Sequence[str], at: float) -> tuple[Any, ...]:
        """Where λ starts with the map that was just chosen.

        It goes to where the map's method starts. Between two that start at 1, as nearly all do,
        it stays where somebody put it, and so does a λ that was `restored` with its map.

        Args:
            map_id: the map.
            restored: map and prompt that came together.
            at: where the map before it started.

        Returns:
            λ, what is still restored, where this map starts.
        """
        if not map_id:
            return (gr.skip(),) * 3
        own = self._studio.entry(map_id).strength
        if map_id in restored[:1]:
            return gr.skip(), gr.skip(), own
        return gr.skip() if own == at == 1 else own, [], own

    @user_errors
    def describe(
        self,
        home: str,
        strength: float | None,
        map_id: str | None,
        further: Sequence[Sequence],
        *others: Any,
    ) -> tuple[Any, ...]:
        """What is asked for now, as the end of an address and to copy.

        Args:
            home: address of the page.
            strength: λ of the first map.
            map_id: the first map.
            further: pairs of map and λ.
            others: prompt, seed; of a text also length, temperature, chat.
        """
        # Whoever makes the result says what is wrong with it.
        with suppress(UserError):
            ids, lams = [pair[0] for pair in further], [pair[1] for pair in further]
            settings = Settings([map_id, *ids], [strength, *lams], *others)
            prompt_text(settings.prompt)
            found = snippets(settings, self._entries(settings), home)
            return settings.query, history_html.copies(found)
        return gr.skip(), gr.skip()

    @user_errors
    def keep(self, past: list[str], query: str) -> tuple[Any, ...]:
        """Put what was just made before the earlier results.

        What differs from one of them by the first λ alone takes its place, and nothing is drawn
        anew without need: a tile must not slip away from under a click.

        Args:
            past: ends of addresses, newest first.
            query: that of what is asked for now; empty at first.

        Returns:
            The results of this session, and what shows them.
        """
        with suppress(UserError):  # the map is gone
            if query and query not in past and self._is_made(query):
                works = [_work(each) for each in past]
                if _work(query) in works:
                    past[works.index(_work(query))] = query
                else:
                    past = [query, *past][:_MOST]
                return past, history_html.earlier([tile for q in past if (tile := self._tile(q))])
        return gr.skip(), gr.skip()

    def _linked(self, query: str) -> Settings | None:
        try:
            settings = Settings.of_link(query)
            if settings:
                self._entries(settings)
        except UserError as error:
            gr.Warning(safe(error), title="The link was not restored")
            return None
        return settings

    def _usual(self, kind: Kind) -> tuple[Any, ...]:
        return map_menu(self._studio, kind, None), *(gr.skip(),) * (_SHOWN[kind] - 1)

    def _shown(self, settings: Settings) -> tuple[Any, ...]:
        (first, *_), (strength, *_) = settings.maps, settings.strengths
        kind = self._entries(settings)[0].kind
        prompt = settings.prompt or gr.skip()
        both = (
            map_menu(self._studio, kind, first),
            strength,
            prompt,
            settings.seed,
            [first, settings.prompt],
        )
        if kind == "language":
            return *both, settings.length, settings.temperature, settings.chat
        rows = [*zip(settings.maps, settings.strengths, strict=True)][1:]
        return *both, rows, *self._mix_rows(first, rows)

    def _entries(self, settings: Settings) -> list[MapEntry]:
        """The maps of these settings, which must be there and fit together."""
        entries = [self._studio.entry(map_id) for map_id in settings.maps]
        if len({entry.model for entry in entries}) > 1:
            remedy = "Choose maps that were learnt on one model."
            raise UserError("E_MODEL", "only maps of one model act together", remedy=remedy)
        if len(entries) > 1 and entries[0].kind == "language":
            raise UserError("E_MAP", "a text takes one map", remedy="Choose one.")
        return entries

    def _named(self, title: str | None, model: str, chosen: str | None) -> str:
        """Id of the map for pictures with this title; without one, of any map of the model."""
        ours = [e for e in self._studio.maps() if (e.kind, e.model) == ("text-to-image", model)]
        fitting = [e.id for e in ours if title in (None, e.title)]
        if not fitting:
            made_for = MODELS[model].title if model in MODELS else f"{model:.60}"
            which = f"the map “{title:.60}” for {made_for}" if title else f"a map for {made_for}"
            what = f"{which}, which this picture needs, is not in the library"
            raise UserError("E_MAP", what, remedy="Learn or import it, then try again.")
        return chosen if chosen in fitting else fitting[0]

    def _is_made(self, query: str) -> bool:
        entries, image = self._look(Settings.of_link(query[1:]))
        if entries[0].kind == "language":
            return self._studio.models.installed(entries[0].model)
        return image is not None

    def _look(self, settings: Settings) -> tuple[list[MapEntry], Image | None]:
        """The maps, and what was painted with them if it is still at hand."""
        entries = self._entries(settings)
        if entries[0].kind == "language":
            return entries, None
        found = self._studio.pictures.painted(
            entries, settings.prompt, [settings.strengths], seed=settings.seed
        )
        return entries, found[0].image if found else None

    def _tile(self, query: str) -> history_html.Tile | None:
        """An earlier result to look at; None where its map is gone."""
        settings = Settings.of_link(query[1:])
        try:
            entries, image = self._look(settings)
        except UserError:
            return None
        titles = [entry.title for entry in entries]
        applied = [*zip(titles, settings.strengths, strict=True)]
        small = small_jpeg(image) if image else ""
        return history_html.Tile(query, applied, settings.prompt, settings.seed, small)


def _work(query: str) -> Settings:
    """All but the λ of the first map, which the slider moves."""
    settings = Settings.of_link(query[1:])
    return replace(settings, strengths=[0.0, *settings.strengths[1:]])


def _web(home: str) -> str:
    """The address of the page; what a stranger posts may be none."""
    return home if home.startswith(("http://", "https://")) else "http://127.0.0.1:7860/"
