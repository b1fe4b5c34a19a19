"""The installation of a model: its download, and the conversion of pickled weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from lineas_core.errors import UserError
from lineas_core.models import converted, embedded
from lineas_core.models.catalog import MODELS
from lineas_core.models.downloads import download, files_of, read_repository
from lineas_core.models.integrity import damage
from lineas_core.models.locations import files_here, locate, on_the_hub, short_name
from lineas_core.models.repositories import HubPlace

__all__ = ["convert", "fetch", "unconverted"]


def fetch(
    name: str, progress: Callable[[str], None] = lambda _: None, *, verify: bool = False
) -> None:
    """Download a model and convert pickled weights, unless that was done already.

    Args:
        name: catalog name, hub id, or a folder, which is looked at alone.
        progress: called with a sentence at each step, and with the same one again while nothing
            changes; an exception that it raises ends the work, and what is complete is kept.
        verify: as in `embedded.fetch`; the hub's client checks its files itself.

    Raises:
        UserError: the model is shipped with the project, there is none of this name, it lacks
            something, or the download failed.
    """
    if name in MODELS and not on_the_hub(name):
        embedded.fetch(name, progress, verify=verify)
        return
    place = locate(name)
    if not on_the_hub(name):
        convert(name, progress)
        progress(f"{short_name(name)}: ready, it is a folder of this machine")
        return
    own = HubPlace(place.source, place.options["revision"])
    if place.options["local_files_only"]:
        remedy = "Check the network and try again."
        raise UserError("E_HUB", "the hub cannot be reached", where=str(own), remedy=remedy)
    download(files_of(name, place, read_repository(own)), _named(name, progress))
    convert(name, progress)
    progress(f"{short_name(name)}: ready")


def unconverted(name: str) -> int:
    """Return how many bytes of pickled weights on this machine are still to be converted.

    Args:
        name: as in `locate`; 0 if there is no such model.
    """
    folder, unet = files_here(name), _pickled_unet(name)
    if unet and not converted.place_of(*unet).is_file():
        return unet[0].stat().st_size
    if folder and not damage(folder):
        with suppress(OSError, ValueError):  # what is wrong with them is told at the conversion
            return converted.unconverted(folder)
    return 0


def convert(name: str, progress: Callable[[str], None]) -> None:
    """Convert the pickled weights of a model that are on this machine, unless that was done.

    Args:
        name: as in `locate`.
        progress: as in `fetch`.

    Raises:
        UserError: they are damaged, hold anything else than named tensors, or the converted ones
            cannot be written.
    """
    folder, unet = files_here(name), _pickled_unet(name)
    if unet:
        converted.convert_file(*unet, _named(name, progress))
    elif folder and unconverted(name):
        converted.convert(folder, _named(name, progress))


def _named(name: str, progress: Callable[[str], None]) -> Callable[[str], None]:
    """Return what tells sentences with the name of a model before them."""
    return lambda sentence: progress(f"{short_name(name)}: {sentence}")


def _pickled_unet(name: str) -> tuple[Path, str] | None:
    """Return the pickled weights of a UNet that replaces that of a pipeline, and their commit."""
    entry = MODELS.get(name)
    if not entry or not entry.painting or not entry.painting.unet:
        return None
    repository, revision, path = entry.painting.unet
    found = try_to_load_from_cache(repository, path, revision=revision)
    return (Path(found), revision) if isinstance(found, str) and path.endswith(".bin") else None
