"""The menu of maps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lineas_core import UserError
from lineas_core.models import title_of
from lineas_core.models.catalog import Kind

from ..studio.maps import MapEntry
from ..studio.studio import Studio
from .menu import menu

__all__ = ["map_menu", "menu_line"]


def map_menu(
    studio: Studio,
    kind: Kind,
    chosen: str | None,
    suits: Callable[[MapEntry], bool] = lambda _: True,
    *,
    shown: str | None = None,
) -> Any:
    """Return an update of the menu of maps.

    Args:
        studio: lists the maps.
        kind: kind of model whose maps are offered.
        chosen: id of the map to choose, also of one that is still being learnt; if there is no
            such map, one that can run is chosen.
        suits: which of these maps are offered.
        shown: as in `menu`.
    """
    entries = [entry for entry in studio.maps() if entry.kind == kind and suits(entry)]
    if chosen and chosen not in {entry.id for entry in entries}:
        with suppress(UserError):
            entries += filter(suits, [studio.entry(chosen, kind)])
    ids = [entry.id for entry in entries]
    models = {name for name in {e.model for e in entries} if studio.models.installed(name)}
    ready = [entry.id for entry in entries if entry.model in models]
    value = chosen if chosen in ids else next(iter(ready or ids), None)
    return menu([(menu_line(e), e.id) for e in entries], value, shown)


def menu_line(entry: MapEntry) -> str:
    """Return the line of a map in a menu: its title, its model, and whether it is the user's."""
    yours = " · yours" if entry.origin == "yours" else ""
    return f"{entry.title} · {title_of(entry.model)}{yours}"
