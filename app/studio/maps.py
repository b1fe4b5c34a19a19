"""The maps of the library: shipped with the app, added by the user, or learnt by a job.

A listing reads the header of each file once and keeps it until the file changes. Values are read
when a map is used, and prompts when they are needed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from lineas_core import PromptSet, UserError
from lineas_core.evaluation.counterfactual import Concept
from lineas_core.methods import LINEAS, METHODS
from lineas_core.models import title_of
from lineas_core.models.catalog import MODELS, Kind
from lineas_core.prompts.files import are_keywords
from lineas_core.steering.plausible import recommended_strength
from lineas_core.storage.disk import has_links
from lineas_core.storage.maps import WEIGHTS, load_prompts, read_metadata

from .signs import Signs, signs_of

__all__ = [
    "MapEntry",
    "same_prompts",
    "find_map",
    "has_damaged_prompts",
    "prompts_of",
    "read_map",
    "ready_made",
    "siblings",
    "maps_in",
    "version_of",
]

Origin = Literal["ready-made", "yours"]

# Maps to open on: their models have free licences, and their effect shows at once.
_OPENS_ON = ("football-smollm2-135m", "vaporwave-emoji-world")
_PROMPTS, _ANY = "prompts.json", "any"  # maps of early versions do not name their prompts

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MapEntry:
    """A map of the library.

    Attributes:
        id: name of its folder, or the id of the job that learnt it.
        title: name shown on the page, any text.
        model: catalog name, hub id or folder of the model that it was learnt on.
        origin: whether it was shipped with the app, or learnt or added by the user.
        folder: folder that `load_maps` reads.
        metadata: facts about how it was learnt, as saved with its tensors.
        kind: kind of its model.
        signs: None if they are still to be read from its prompts, which takes some time.
    """

    id: str
    title: str
    model: str
    origin: Origin
    folder: Path
    metadata: dict[str, Any]
    kind: Kind = "language"
    signs: Signs | None = None

    @property
    def identity(self) -> tuple[str, str | None]:
        """Its id and the checksum of its values, as in `Recipe.identities`."""
        checksum = self.metadata.get("sha256")
        return self.id, checksum if isinstance(checksum, str) else None

    @property
    def harmful(self) -> int:
        """Sign of the strengths that make texts more offensive; 0 if neither sign does."""
        return (self.signs or _signs_of(self)).harmful

    @property
    def direction(self) -> int:
        """Sign of the strengths that bring more of the concept; 0 if unknown."""
        return (self.signs or _signs_of(self)).direction

    @property
    def ends(self) -> tuple[str, str]:
        """What the strengths −1 and 1 do, in a few words."""
        noun = Concept((f"with {self.title}",)).noun  # "no a balloon" would have an article
        concept = noun[:1].lower() + noun[1:]
        if self.harmful:
            less, more = "less offensive", "more offensive"
        elif self.direction:
            removes = self.kind == "text-to-image" and self.direction < 0
            less, more = f"{'no' if removes else 'less'} {concept}", f"more {concept}"
        else:
            return "towards the source prompts", "towards the target prompts"
        return (less, more) if (self.harmful or self.direction) > 0 else (more, less)

    @property
    def keywords(self) -> tuple[str, ...]:
        """Keywords of its topic; empty if the map has none, or what the file has are none."""
        words = self.metadata.get("keywords")
        return tuple(words) if isinstance(words, list) and are_keywords(words) else ()

    def has(self, words: str | None) -> bool:
        """Return whether all words are in its name, model or keywords, in capitals or not."""
        text = " ".join((self.title, self.model, title_of(self.model), *self.keywords)).casefold()
        return all(word in text for word in (words or "").casefold().split())

    @property
    def method(self) -> str:
        """Name of the method that learnt it: a key of `METHODS`, or any text from the file."""
        return str(self.metadata.get("method", LINEAS))

    @property
    def method_label(self) -> str:
        """Short name of the method, for display."""
        return METHODS[self.method].label if self.method in METHODS else self.method

    @property
    def method_title(self) -> str:
        """Description of the method in one sentence."""
        return METHODS[self.method].title if self.method in METHODS else self.method

    @property
    def strength(self) -> float:
        """Initial strength λ, above 0 and at most 1; invalid values in the file count as 1."""
        return recommended_strength(self.metadata)

    def within(self, scene: str) -> str:
        """Return a scene with the concept added, or the scene alone if the map has no keywords."""
        return f"{scene}, {self.keywords[0]}" if self.keywords else scene


def ready_made(library: Path) -> list[MapEntry]:
    """List the maps of a shipped folder: first those to open on, then in the order of `MODELS`."""
    rank = {name: place for place, name in enumerate(MODELS)}
    found = maps_in("ready-made", library)
    return sorted(found, key=lambda e: (e.id not in _OPENS_ON, rank.get(e.model, len(rank))))


def maps_in(origin: Origin, library: Path) -> list[MapEntry]:
    """List the maps of a folder, sorted by folder name."""
    if not library.is_dir():
        return []
    places = sorted((i.name, i.path) for i in os.scandir(library) if _is_visible_folder(i))
    return [entry for name, path in places if (entry := _read(name, origin, path))]


def find_map(map_id: object, origin: Origin, library: Path) -> MapEntry | None:
    """Read the map of one subfolder; None if there is none of this name.

    Args:
        map_id: any value from a request; only the plain name of a subfolder is looked up.
        origin: origin of the maps in this folder.
        library: folder with one subfolder per map.
    """
    if not isinstance(map_id, str) or not map_id or Path(map_id).name != map_id:
        return None
    if map_id.startswith("."):  # unfinished, or not in this folder
        return None
    try:
        found = (library / map_id / WEIGHTS).is_file()
    except OSError:  # a name that is too long for the file system
        return None
    return read_map(map_id, origin, library / map_id) if found else None


def read_map(map_id: str, origin: Origin, folder: Path) -> MapEntry | None:
    """Read the map of a folder; if it is damaged, log a warning and return None."""
    return _read(map_id, origin, str(folder))


def prompts_of(entry: MapEntry) -> PromptSet | None:
    """Load the prompts that a map was learnt from; None if they are missing or damaged."""
    try:
        version = version_of(entry.folder / _PROMPTS)
        return _prompts(entry.folder, version, entry.metadata.get("prompts_sha256", _ANY))
    except OSError:
        return None


def has_damaged_prompts(entry: MapEntry) -> bool:
    """Return whether a map has prompts that cannot be read or belong to another map."""
    return (entry.folder / _PROMPTS).exists() and prompts_of(entry) is None


def version_of(file: str | Path) -> tuple[int, ...]:
    """Return numbers that differ once a file has been replaced or changed.

    Raises:
        OSError: there is no such file.
    """
    found = os.stat(file)
    return found.st_ino, found.st_mtime_ns, found.st_size


def siblings(entry: MapEntry, maps: Sequence[MapEntry]) -> list[MapEntry]:
    """List the maps learnt from the same prompts on the same model, including this one.

    They are sorted in the order of `METHODS`; of several maps with the same values only one is
    listed.
    """
    prompts, order = prompts_of(entry), [*METHODS]
    others = [e for e in maps if (e.model, e.kind) == (entry.model, entry.kind)]
    same = [e for e in others if prompts and same_prompts(prompts, prompts_of(e))]
    distinct = {e.metadata.get("sha256", e.id): e for e in [*reversed(same), entry]}
    return sorted(
        distinct.values(),
        key=lambda e: order.index(e.method) if e.method in order else len(order),
    )


def same_prompts(one: PromptSet, other: PromptSet | None) -> bool:
    """Return whether two sets have the same prompts on both sides, held-out ones included."""
    sides = ("source", "target", "heldout_source", "heldout_target")
    return other is not None and all(getattr(one, s) == getattr(other, s) for s in sides)


def _is_visible_folder(item: os.DirEntry[str]) -> bool:
    # The names of unfinished folders begin with a dot.
    return item.is_dir() and not item.name.startswith(".")


def _read(map_id: str, origin: Origin, folder: str) -> MapEntry | None:
    # Paths are texts here, because the hash of a `Path` takes longer than the system.
    try:
        version = (*version_of(f"{folder}/{WEIGHTS}"), os.stat(folder).st_mtime_ns)
        return _entry(map_id, origin, folder, version)
    except OSError as error:
        _log.warning("The map %r is not listed: %s", map_id, error)
        return None


# Larger than any library: a smaller cache would miss on every listing.
@lru_cache(maxsize=1 << 14)
def _entry(
    map_id: str,
    origin: Origin,
    folder: str,
    version: tuple[int, ...],  # noqa: ARG001 - part of the key, so that a changed file is read
) -> MapEntry | None:
    place = Path(folder)
    if origin == "yours" and has_links(place):
        _log.warning("The map %r is not listed: it has links to other places.", place.name)
        return None
    try:
        metadata = read_metadata(place)
    except UserError as error:
        _log.warning("The map %r is not listed: %s", place.name, error)
        return None
    title, model = str(metadata.get("title") or place.name), str(metadata.get("model"))
    kind: Kind = "text-to-image" if metadata.get("kind") == "text-to-image" else "language"
    return MapEntry(map_id, title, model, origin, place, metadata, kind)


@lru_cache(maxsize=1 << 12)
def _prompts(
    folder: Path,
    version: tuple[int, ...],  # noqa: ARG001 - as in `_entry`
    sha256: str | None,
) -> PromptSet | None:
    known = {} if sha256 == _ANY else {"prompts_sha256": sha256}
    try:
        return load_prompts(folder, known)
    except UserError:
        return None


def _signs_of(entry: MapEntry) -> Signs:
    prompts = prompts_of(entry)
    return signs_of(prompts, entry.kind) if prompts else Signs()
