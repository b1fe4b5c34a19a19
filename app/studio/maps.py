"""The maps of the library: shipped with the app, added by the user, or learnt by a job."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, NamedTuple

from lineas_core import PromptSet, UserError, load_maps
from lineas_core.methods import LINEAS, METHODS
from lineas_core.metrics.topic import words_from
from lineas_core.metrics.toxicity import toxicity
from lineas_core.models.catalog import MODELS, Kind

__all__ = [
    "WEIGHTS",
    "MapEntry",
    "same_prompts",
    "find_map",
    "prompts_of",
    "read_map",
    "ready_made",
    "siblings",
    "maps_in",
]

Origin = Literal["ready-made", "yours"]

# Maps to open on: their models have free licences, and their effect shows at once.
_OPENS_ON = ("football-smollm2-135m", "vaporwave-emoji-world")
WEIGHTS = "lineas.safetensors"
"""File name of a map's tensors; a folder without it is not a map."""
_PROMPTS = "prompts.json"
_OFFENSIVE = 0.3  # mean toxicity from which a side of the prompts counts as offensive

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
        harmful: sign of the strengths that make texts more offensive; 0 if neither sign does.
        kind: kind of its model.
        direction: sign of the strengths that bring more of the concept; 0 if unknown.
    """

    id: str
    title: str
    model: str
    origin: Origin
    folder: Path
    metadata: dict[str, Any]
    harmful: int = 0
    kind: Kind = "language"
    direction: int = 0

    @property
    def ends(self) -> tuple[str, str]:
        """What the strengths −1 and 1 do, in a few words."""
        concept = self.title[:1].lower() + self.title[1:]
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
        """Keywords of its topic; empty if the map has none."""
        words = self.metadata.get("keywords")
        return tuple(map(str, words)) if isinstance(words, list) else ()

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
        value = self.metadata.get("strength")
        return value if isinstance(value, float) and 0 < value <= 1 else 1.0

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
    folders = sorted(library.glob("*/"))
    return [entry for f in folders if (entry := read_map(f.name, origin, f))]


def find_map(map_id: object, origin: Origin, library: Path) -> MapEntry | None:
    """Read the map of one subfolder; None if there is none of this name.

    Args:
        map_id: any value from a request; only the plain name of a subfolder is looked up.
        origin: origin of the maps in this folder.
        library: folder with one subfolder per map.
    """
    if not isinstance(map_id, str) or map_id in ("", ".", "..") or Path(map_id).name != map_id:
        return None
    try:
        found = (library / map_id / WEIGHTS).is_file()
    except OSError:  # a name that is too long for the file system
        return None
    return read_map(map_id, origin, library / map_id) if found else None


def read_map(map_id: str, origin: Origin, folder: Path) -> MapEntry | None:
    """Read the map of a folder; if it is damaged, log a warning and return None."""
    try:
        facts = _read(folder, (folder / WEIGHTS).stat().st_mtime_ns)
    except (OSError, UserError) as error:
        _log.warning("The map %r is not listed: %s", folder.name, error)
        return None
    title = str(facts.metadata.get("title") or folder.name)
    return MapEntry(map_id, title, str(facts.metadata.get("model")), origin, folder, *facts)


def prompts_of(entry: MapEntry) -> PromptSet | None:
    """Load the prompts that a map was learnt from; None if they are missing or damaged."""
    try:
        return PromptSet.load(entry.folder / _PROMPTS)
    except UserError:
        return None


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


class _Facts(NamedTuple):
    """The fields of a `MapEntry` that are read from its files."""

    metadata: dict[str, Any]
    harmful: int
    kind: Kind
    direction: int


@lru_cache(maxsize=1 << 14)  # larger than any library: a smaller cache would miss on every listing
def _read(
    folder: Path,
    changed: int,  # noqa: ARG001 - part of the key, so that a changed file is read again
) -> _Facts:
    """Read what is known of a map; its signs are computed from the prompts saved with it."""
    metadata, harmful, direction = load_maps(folder).metadata, 0, 0
    kind: Kind = "text-to-image" if metadata.get("kind") == "text-to-image" else "language"
    file = folder / _PROMPTS
    if kind == "language" and file.is_file():  # damaged prompts would hide that a map is harmful
        prompts = PromptSet.load(file)
        source, target = (fmean(toxicity(side)) for side in (prompts.source, prompts.target))
        harmful = (target > _OFFENSIVE) - (source > _OFFENSIVE)
    with suppress(UserError):
        direction = _direction(PromptSet.load(file))
    return _Facts(metadata, harmful, kind, direction)


def _direction(prompts: PromptSet) -> int:
    """Return 1 if more target than source prompts have a keyword, -1 if fewer, 0 if as many."""
    if not prompts.keywords:
        return 0
    found = words_from(prompts.keywords).search
    sides = (prompts.source, prompts.target)
    source, target = (fmean(found(text) is not None for text in side) for side in sides)
    return (target > source) - (target < source)
