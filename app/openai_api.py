"""The page's server also answers OpenAI's API, at `/v1`, for one language model."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Lock
from typing import Any

from starlette.routing import Mount

from lineas_core import UserError
from lineas_core.cli.serving import load_served
from lineas_core.serving.access import Access
from lineas_core.serving.endpoint import Endpoint
from lineas_core.serving.served import Served
from lineas_core.storage.places import WEIGHTS, slug

from .security import Lifespan
from .studio.maps import MapEntry, version_of
from .studio.plausible import is_confirmed, load_usable
from .studio.studio import Studio
from .studio.user_maps import UserMaps

__all__ = ["Library", "with_endpoint"]

_log = logging.getLogger(__name__)


def with_endpoint(lifespan: Lifespan, studio: Studio, name: str, key: str) -> Lifespan:
    """Return a lifespan that also mounts the endpoint, with all maps of its model.

    Args:
        lifespan: what `guarded` returns; its guard stands before the endpoint, too.
        studio: the state of the page. Its models get one with the same weights: the page steers
            it one request at a time, the endpoint a batch.
        name: language model.
        key: what requests must send as `Authorization: Bearer KEY`; empty for none.

    Raises:
        UserError: the model cannot be loaded or served.
    """
    served = load_served(name)
    studio.models.keep(served.model.twin())
    library = Library(studio.user_maps, served, name)

    @asynccontextmanager
    async def both(app: Any) -> AsyncIterator[None]:
        endpoint = Endpoint(served, now=library.served)
        # Names and origins of requests are checked by the guard.
        app.router.routes.insert(0, Mount("/v1", Access(endpoint.api(), key, names=None)))
        try:
            async with lifespan(app):
                yield
        finally:
            endpoint.close()

    return both


class Library:
    """A model with its ready-made maps and those of the user, which may change at any time."""

    def __init__(self, user_maps: UserMaps, ready: Served, model: str) -> None:
        """Start with the ready-made maps.

        Args:
            user_maps: the maps of the user.
            ready: the model with its ready-made maps.
            model: the name of the model with which the page was started.
        """
        self._user_maps, self._ready = user_maps, ready
        self._models = {model, ready.model.name}
        self._lock = Lock()
        self._version: dict[str, tuple[Any, ...]] = {}
        self._read: dict[str, Served] = {}
        self._served = ready

    def served(self) -> Served:
        """Return the model with the maps that are in the library now; no model is waited for."""
        with self._lock:
            named = self._named()
            version = {name: _version(entry) for name, entry in named.items()}
            if version != self._version:
                old, self._version = self._version, version
                unchanged = {name for name in old if old[name] == version.get(name)}
                self._read = {name: self._read[name] for name in unchanged & {*self._read}}
                for name in named.keys() - unchanged:
                    if read := _read(self._ready, name, named[name]):
                        self._read[name] = read
                self._served = self._ready.joined(self._read[n] for n in named if n in self._read)
            return self._served

    def _named(self) -> dict[str, MapEntry]:
        """Return the user's maps of the model by the names that requests give them.

        These are their titles, or their ids where another map has the same.
        """
        entries = [
            entry
            for entry in self._user_maps.maps()
            if entry.kind == "language" and entry.model in self._models
        ]
        short, taken = self._ready.short, {*self._ready.full_names}
        titles = Counter(short(slug(entry.title)) for entry in entries)
        found: dict[str, MapEntry] = {}
        for entry in entries:
            title = slug(entry.title)
            names = [title, entry.id] if titles[short(title)] == 1 else [entry.id]
            for name in names:
                if not {name, short(name)} & taken:
                    found[name] = entry
                    taken |= {name, short(name)}
                    break
        return found


def _read(ready: Served, name: str, entry: MapEntry) -> Served | None:
    """Return the model with a map; None if the map cannot be served."""
    try:
        return Served.of(ready.model, {name: load_usable(entry)})
    except UserError as error:
        _log.warning("The map %r is not served: %s", entry.id, error)
        return None


def _version(entry: MapEntry) -> tuple[Any, ...]:
    """Return what differs once a map has been changed, replaced or confirmed."""
    try:
        return entry.id, *version_of(entry.folder / WEIGHTS), is_confirmed(entry)
    except OSError:  # just deleted
        return (entry.id,)
