"""The maps there are: shipped with the app, put into a folder by the user, or learnt by a job."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from lineas_core import PromptSet, UserError, load_maps
from lineas_core.methods import METHODS
from lineas_core.metrics.toxicity import toxicity
from lineas_core.models.catalog import MODELS, Kind

__all__ = [
    "WEIGHTS",
    "MapEntry",
    "alike",
    "find_map",
    "prompts_of",
    "read_map",
    "ready_made",
    "siblings",
    "stored",
]

Origin = Literal["ready-made", "yours"]

# Models without licence questions, and concepts that show at once.
_OPENS_ON = ("football-smollm2-135m", "vaporwave-emoji-world")
WEIGHTS = "lineas.safetensors"
"""The file of a map's tensors; a folder without it is not a map."""
_OFFENSIVE = 0.3  # mean toxicity of one side of the prompts

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MapEntry:
    """A map of the library.

    Attributes:
        id: name of its folder, or the id of the job that learnt it.
        title: what a menu shows, any text.
        model: catalog name, hub id or folder of the model it was learnt on.
        origin: shipped with the app, or learnt or put there by the user.
        folder: where it is kept, to be read by `load_maps`.
        metadata: facts about its making.
        harmful: sign of the strengths that lead towards offensive texts; 0 where neither does.
        kind: what its model makes.
    """

    id: str
    title: str
    model: str
    origin: Origin
    folder: Path
    metadata: dict[str, Any]
    harmful: int = 0
    kind: Kind = "language"

    @property
    def keywords(self) -> tuple[str, ...]:
        """Words that tell its topic; empty for most maps."""
        words = self.metadata.get("keywords")
        return tuple(map(str, words)) if isinstance(words, list) else ()

    @property
    def method(self) -> str:
        """What learnt it: a key of `METHODS`, or whatever the file says."""
        return str(self.metadata.get("method", next(iter(METHODS))))

    @property
    def method_label(self) -> str:
        """The method in a word or two."""
        return METHODS[self.method].label if self.method in METHODS else self.method

    @property
    def method_title(self) -> str:
        """The method in a sentence."""
        return METHODS[self.method].title if self.method in METHODS else self.method

    @property
    def strength(self) -> float:
        """λ to start with, above 0; a file that says something else is not believed."""
        told = self.metadata.get("strength")
        return told if isinstance(told, float) and 0 < told <= 1 else 1.0

    def within(self, scene: str) -> str:
        """The description of a picture with the concept in it, where the map tells its tag."""
        return f"{scene}, {self.keywords[0]}" if self.keywords else scene


def ready_made(library: Path) -> list[MapEntry]:
    """The maps of a shipped folder: those to open on, then in the order of their models."""
    rank = {name: place for place, name in enumerate(MODELS)}
    found = stored("ready-made", library)
    return sorted(found, key=lambda e: (e.id not in _OPENS_ON, rank.get(e.model, len(rank))))


def stored(origin: Origin, library: Path) -> list[MapEntry]:
    """The maps of a folder, by name."""
    folders = sorted(library.glob("*/"))
    return [entry for f in folders if (entry := read_map(f.name, origin, f))]


def find_map(map_id: object, origin: Origin, library: Path) -> MapEntry | None:
    """Read the map of one subfolder; None if there is none of this name.

    Args:
        map_id: whatever a request names; only the plain name of a subfolder is looked up.
        origin: of the maps in this folder.
        library: the folder that holds them.
    """
    if not isinstance(map_id, str) or map_id in ("", ".", "..") or Path(map_id).name != map_id:
        return None
    try:
        found = (library / map_id / WEIGHTS).is_file()
    except OSError:  # a name that is too long for the file system
        return None
    return read_map(map_id, origin, library / map_id) if found else None


def read_map(map_id: str, origin: Origin, folder: Path) -> MapEntry | None:
    """The map in a folder; None, with a line in the log, where it cannot be read."""
    try:
        facts, harmful, kind = _read(folder, (folder / WEIGHTS).stat().st_mtime_ns)
    except (OSError, UserError) as error:
        _log.warning("The map %r is left out: %s", folder.name, error)
        return None
    title, model = str(facts.get("title") or folder.name), str(facts.get("model"))
    return MapEntry(map_id, title, model, origin, folder, facts, harmful, kind)


def prompts_of(entry: MapEntry) -> PromptSet | None:
    """What a map was learnt from; None where that is not told, or not in a way we can read."""
    try:
        return PromptSet.load(entry.folder / "prompts.json")
    except UserError:
        return None


def siblings(entry: MapEntry, maps: Sequence[MapEntry]) -> list[MapEntry]:
    """The maps that learnt from the very prompts of this one, on its model; it is among them.

    They come in the order of `METHODS`; of maps with the same values one is enough.
    """
    prompts, order = prompts_of(entry), [*METHODS]
    others = [e for e in maps if (e.model, e.kind) == (entry.model, entry.kind)]
    same = [e for e in others if prompts and alike(prompts, prompts_of(e))]
    distinct = {e.metadata.get("sha256", e.id): e for e in [*reversed(same), entry]}
    return sorted(
        distinct.values(),
        key=lambda e: order.index(e.method) if e.method in order else len(order),
    )


def alike(one: PromptSet, other: PromptSet | None) -> bool:
    """Whether the prompts are the same on all sides, also those that are only measured on."""
    sides = ("source", "target", "heldout_source", "heldout_target")
    return other is not None and all(getattr(one, s) == getattr(other, s) for s in sides)


@lru_cache(maxsize=1 << 14)  # more than a library has maps: listing all is no cycle of misses
def _read(
    folder: Path,
    changed: int,  # noqa: ARG001 - of the key
) -> tuple[dict[str, Any], int, Kind]:
    """Metadata, sign of the harmful strengths, and what the model makes.

    Which strengths are harmful is told by the prompts that the map was learnt from.
    """
    facts, harmful = load_maps(folder).metadata, 0
    kind: Kind = "text-to-image" if facts.get("kind") == "text-to-image" else "language"
    if kind == "language" and (folder / "prompts.json").is_file():
        prompts = PromptSet.load(folder / "prompts.json")
        source, target = (fmean(toxicity(side)) for side in (prompts.source, prompts.target))
        harmful = (target > _OFFENSIVE) - (source > _OFFENSIVE)
    return facts, harmful, kind
