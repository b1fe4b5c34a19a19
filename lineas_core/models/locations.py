"""Where the files of a model are: in a folder of this machine, or in a repository of the hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from lineas_core.errors import UserError, first_line
from lineas_core.models.catalog import MODELS, Kind, ModelEntry
from lineas_core.models.embedded import folder_of
from lineas_core.models.hub import HUB_ERRORS, INDEX, failure, unreachable
from lineas_core.models.integrity import CONFIG, damage
from lineas_core.models.repositories import HubPlace
from lineas_core.models.sources import ADAPTER, check_folder, check_path

__all__ = [
    "Location",
    "files_here",
    "hub_errors",
    "installed",
    "kind_of",
    "locate",
    "on_the_hub",
    "short_name",
    "title_of",
]


@dataclass(frozen=True)
class Location:
    """Where a model is loaded from.

    Attributes:
        name: under which maps remember the model: its catalog name, `owner/name@commit`, or the
            folder, resolved.
        source: folder, or repository on the hub.
        folder: folder of this machine with its configuration.
        options: what `from_pretrained` has to know besides the source.
    """

    name: str
    source: str
    folder: Path
    options: dict[str, Any] = field(default_factory=lambda: {"local_files_only": True})

    @property
    def is_pipeline(self) -> bool:
        """Whether it is a pipeline of diffusers."""
        return (self.folder / INDEX).is_file()


def locate(name: str, *, whole: bool = True) -> Location:
    """Find a model; of a repository, the commit is found out and its configuration downloaded.

    Args:
        name: a key of `catalog.MODELS`, `owner/name` or `owner/name@revision` on the hub, or a
            folder, which comes before a repository of the same name.
        whole: also check that the files in a folder are complete.

    Raises:
        UserError: there is no such model, its folder lacks something or has a part of a model
            alone, or the repository or its revision does not exist or is not accessible.
    """
    entry = MODELS.get(name)
    if entry and not on_the_hub(name):
        _check_installed(name, entry)
    if not entry:
        check_path(name)
    place = _place(name)
    if place is None:
        remedy = f"Choose from {', '.join(MODELS)}, or give OWNER/NAME of the hub or a folder."
        raise UserError("E_MODEL", f"there is no model {name!r:.200}", remedy=remedy)
    if isinstance(place, HubPlace):
        found = _pinned(place, name if entry else None)
    else:
        found = Location(name if entry else str(place), str(place), place)
    if not entry:
        check_folder(found.folder, name, whole=whole and isinstance(place, Path))
    return found


def _pinned(place: HubPlace, name: str | None) -> Location:
    offline = unreachable()
    with hub_errors(place):
        found = snapshot_download(
            place.repository,
            revision=place.revision,
            allow_patterns=[CONFIG, INDEX, ADAPTER],
            local_files_only=offline,
        )
    folder = Path(found)
    options = {"local_files_only": offline, "revision": folder.name}
    commit = HubPlace(place.repository, folder.name)
    return Location(name or str(commit), place.repository, folder, options)


@contextmanager
def hub_errors(place: HubPlace) -> Iterator[None]:
    """Raise what the hub's functions raise as one `UserError` about a model."""
    try:
        yield
    except HUB_ERRORS as error:
        if isinstance(error, UserError):
            raise
        reason, remedy = failure(error, place.repository) or (
            first_line(error),
            "Check the name and the network.",
        )
        if isinstance(error, LocalEntryNotFoundError):
            remedy += " A folder can be given instead; emoji-world needs no connection."
        what = f"the model {str(place)!r} could not be loaded ({reason})"
        raise UserError("E_MODEL", what, remedy=remedy) from error


def files_here(name: str) -> Path | None:
    """Return the folder of this machine with files of a model; None if there is none.

    The network is not asked, and the files may be incomplete.

    Args:
        name: as in `locate`.
    """
    place = _place(name)
    if not isinstance(place, HubPlace):
        return place if place and place.is_dir() else None
    with suppress(HFValidationError):  # a name that the hub does not allow
        for file in (CONFIG, INDEX):
            found = try_to_load_from_cache(place.repository, file, revision=place.revision)
            if isinstance(found, str):
                return Path(found).parent
    return None


def installed(name: str) -> bool:
    """Return whether all files of a model are on this machine.

    Args:
        name: as in `locate`; False if there is no such model.
    """
    folder, entry = files_here(name), MODELS.get(name)
    other = entry.painting.unet if entry and entry.painting else None
    if folder is None or damage(folder, besides=("unet",) if other else ()):
        return False
    return not other or isinstance(
        try_to_load_from_cache(other[0], other[2], revision=other[1]), str
    )


def kind_of(name: str) -> Kind:
    """Return the kind of a model; one that is not on this machine counts as a language model.

    Args:
        name: as in `locate`.
    """
    if entry := MODELS.get(name):
        return entry.kind
    folder = files_here(name)
    return "text-to-image" if folder and (folder / INDEX).is_file() else "language"


def on_the_hub(name: str) -> bool:
    """Return whether the files of a model come from the hub."""
    return isinstance(_place(name), HubPlace)


def short_name(name: str) -> str:
    """Return the name of a model without its revision, or the name of its folder."""
    place = None if name in MODELS else _place(name)
    return place.repository if isinstance(place, HubPlace) else place.name if place else name


def title_of(name: str) -> str:
    """Return the name of a model for people: its title in the catalog, or its short name."""
    return MODELS[name].title if name in MODELS else short_name(name)


def _place(name: str) -> Path | HubPlace | None:
    """Return a folder or a repository without looking into it; None if the name is neither."""
    if entry := MODELS.get(name):
        if entry.embedded or entry.folder:
            return folder_of(name)
        return HubPlace(str(entry.hub_id))
    if not name.strip():
        return None
    try:
        if (folder := Path(name).expanduser()).is_dir():
            return folder.resolve()
    except (OSError, RuntimeError):  # such as a name that is too long for the file system
        return None
    return HubPlace.parse(name)


def _check_installed(name: str, entry: ModelEntry) -> None:
    folder = folder_of(name)
    if reason := damage(folder):
        what = f"the weights of {entry.title} are missing from assets/{entry.folder}"
        remedy = "Install the project again: the weights are part of it."
        if entry.embedded:
            what = f"{entry.title} is not installed"
            remedy = f"Run `python -m lineas_core fetch {name}` ({entry.embedded.download_mb} MB)."
        if any(folder.glob("*")):
            what = f"the files of {entry.title} are damaged ({reason})"
        raise UserError("E_NOT_INSTALLED", what, remedy=remedy)
