"""Where the maps are that a text names: on this machine, or in a repository of the hub."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from lineas_core.errors import UserError
from lineas_core.models.repositories import HubPlace, download
from lineas_core.paths import ASSETS, DATA
from lineas_core.storage.disk import put_back
from lineas_core.storage.format import MAX_FILE, WEIGHTS, format_errors, read_header

__all__ = [
    "PROMPTS",
    "TEXTS",
    "WEIGHTS",
    "find_maps",
    "find_maps_here",
    "hub_place",
    "name_of_maps",
    "ready_made",
    "slug",
]

PROMPTS = "prompts.json"
"""Name of the file with the prompts in the folder of a map."""
TEXTS = ("README.md", "lineas_config.json", PROMPTS)
"""Names of all files in the folder of a map, besides the weights and the previews."""


def find_maps(path: str | Path, revision: str | None = None) -> Path:
    """Return the path of maps; those of a repository of the hub are downloaded.

    Args:
        path: folder or file, name of a ready-made map, or `owner/name` or `owner/name@revision`
            of the hub. What exists on this machine is preferred, and a `Path` is never one of
            the hub.
        revision: branch, tag or commit of the repository, if `path` names none.

    Returns:
        A folder, or a file if `path` is one. One that is given by its path need not exist.

    Raises:
        UserError: there is nothing of a plain name, the repository cannot be downloaded or has no
            map, or a revision is given for maps that are not on the hub.
    """
    place = hub_place(path)
    if revision is not None:
        if place is None or place.revision:
            what = f"revision {revision!r} is given for {str(path)!r}"
            remedy = "Give it once, and for OWNER/NAME of the hub only."
            raise UserError("E_HUB", what, remedy=remedy)
        place = HubPlace(place.repository, revision)
    if place is None:
        found = find_maps_here(path)
        if not found and isinstance(path, str) and not {*path} & {"/", "\\"}:
            raise _no_map(path)
        return found or Path(path)
    return download(place, WEIGHTS, TEXTS, MAX_FILE)


def find_maps_here(path: str | Path) -> Path | None:
    """Return the path of maps on this machine, or None if there is nothing.

    The name of a ready-made map stands for its folder, and so does that of a map of the page: its
    title as `slug` writes it, if no other has the same, or its id. Maps that a killed process was
    about to replace are put back first.
    """
    put_back(Path(path).parent if Path(path).name == WEIGHTS else path)
    return _found(path) or _learnt(path)


def _found(path: str | Path) -> Path | None:
    # Unlike a `Path`, this takes any text, such as one that is too long for a file name.
    return next((p for p in (Path(path), ASSETS / "maps" / path) if os.path.exists(p)), None)


def ready_made() -> list[Path]:
    """Return the folders of the ready-made maps, sorted by name."""
    return sorted(folder.parent for folder in (ASSETS / "maps").glob(f"*/{WEIGHTS}"))


def _learnt(name: str | Path) -> Path | None:
    """Return the folder of a map of the page, which may be that of a job."""
    if not isinstance(name, str) or not name or Path(name).name != name:
        return None
    folders = {
        file.parent.parent.name: file.parent for file in DATA.glob(f"jobs/[!.]*/map/{WEIGHTS}")
    }
    folders |= {file.parent.name: file.parent for file in DATA.glob(f"maps/[!.]*/{WEIGHTS}")}
    if name in folders:
        return folders[name]
    alike = [folder for folder in folders.values() if _has_title(folder, name)]
    return alike[0] if len(alike) == 1 else None


def _has_title(folder: Path, name: str) -> bool:
    try:
        with format_errors(folder.name):
            return slug(str(read_header(folder / WEIGHTS).get("title") or folder.name)) == name
    except (UserError, OSError):  # damaged, or just deleted
        return False


def hub_place(path: str | Path) -> HubPlace | None:
    """Return the repository that a text names; None if it names something on this machine."""
    if isinstance(path, Path) or find_maps_here(path):
        return None
    return HubPlace.parse(path)


def name_of_maps(path: str | Path) -> str:
    """Return the name of maps: that of their folder or repository, or the one on the page."""
    if place := hub_place(path):
        return place.repository.partition("/")[2]
    found = _found(path)
    if not found and _learnt(path):
        return str(path)
    return (found or Path(path)).resolve().name


def _no_map(name: str) -> UserError:
    """Return the error for a plain name, with the ready-made maps that may be meant."""
    sought, known = name.lower(), [folder.name for folder in ready_made()]
    # Close matches lack short names, such as `day`, to which that of the model is added.
    close = [each for each in known if sought and each.startswith(sought)]
    close = close or difflib.get_close_matches(sought, known, cutoff=0.5)
    remedy = "Give a folder, OWNER/NAME of the hub, or a name that `lineas maps` lists."
    if close:
        remedy = f"Did you mean {', '.join(close[:3])}?"
    return UserError("E_FILE", f"there is no map {name!r:.200}", remedy=remedy)


def slug(title: str) -> str:
    """Return a title in a form that can be a file name."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40] or "map"
