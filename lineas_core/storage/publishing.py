"""Publication of maps on the hub: one repository per map, with a card that shows how to use it.

The repository has the files of the map's folder and its preview pictures. `load_maps` reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from lineas_core.errors import UserError
from lineas_core.models.catalog import MODELS
from lineas_core.models.repositories import Published, push_to_hub
from lineas_core.steering.affine import SteeringMaps
from lineas_core.storage.disk import read_regular
from lineas_core.storage.maps import check_prompts, load_maps, save_maps
from lineas_core.storage.model_card import base_model, model_card
from lineas_core.storage.places import PROMPTS, TEXTS, WEIGHTS, find_maps

__all__ = ["PREVIEWS", "SUFFIXES", "contents", "pictures_in", "push_maps"]

PREVIEWS = "previews"
"""Name of the folder with the preview pictures in the folder of a map."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""Suffixes of preview pictures."""
_MOST_PICTURES = 16


def push_maps(
    maps: SteeringMaps | str | Path,
    repository: str,
    *,
    private: bool = True,
    pictures: Sequence[Path] | None = None,
    token: str | None = None,
) -> Published:
    """Upload maps to a repository of the hub, as a new version if it has maps already.

    Args:
        maps: what `load_maps` takes, or maps themselves, which have neither prompts nor pictures.
        repository: `name` or `owner/name`; created if missing.
        private: whether a repository that is created is private. It is by default, because the
            prompts may reveal more than their author wants to publish.
        pictures: preview pictures from strength -1 to 1; None takes those of the folder.
        token: access token with write permission; None for that of `hf auth login` or HF_TOKEN.

    Returns:
        The address of the repository, and the place by which `load_maps` finds these very maps.

    Raises:
        UserError: the maps are unusable, or were learnt on a model in a folder of this machine,
            whose name helps nobody else; or there is no token, or the hub rejects the upload.
    """
    folder = maps if isinstance(maps, SteeringMaps) else find_maps(maps)
    loaded = folder if isinstance(folder, SteeringMaps) else load_maps(folder)
    if isinstance(folder, SteeringMaps) or not folder.is_dir():
        with TemporaryDirectory() as scratch:
            saved = save_maps(loaded, Path(scratch) / "map")
            return push_maps(saved, repository, private=private, pictures=pictures, token=token)
    _check_model(loaded)
    files = contents(folder, pictures_in(folder) if pictures is None else pictures)
    if PROMPTS in files:
        check_prompts(files[PROMPTS], loaded.metadata)
    shown = [name for name in files if name.startswith(f"{PREVIEWS}/")]
    return push_to_hub(
        files,
        lambda place: model_card(loaded.metadata, place, shown),
        repository,
        replaces=[PROMPTS, f"{PREVIEWS}/*"],
        private=private,
        token=token,
    )


def pictures_in(folder: Path) -> list[Path]:
    """Return the preview pictures in the folder of a map, sorted by name."""
    found = (folder / PREVIEWS).glob("*")
    return sorted(f for f in found if f.suffix.lower() in SUFFIXES and f.is_file())


def contents(folder: Path, pictures: Sequence[Path]) -> dict[str, bytes]:
    """Return the files of a map for export: content by path within its folder.

    Args:
        folder: folder of the map.
        pictures: its preview pictures in order; the exported files are numbered from 0.
    """
    paths = {name: folder / name for name in (*TEXTS, WEIGHTS) if (folder / name).is_file()}
    for number, picture in enumerate(pictures[:_MOST_PICTURES]):
        paths[f"{PREVIEWS}/{number:02d}{picture.suffix.lower()}"] = picture
    return {name: read_regular(path) for name, path in paths.items()}


def _check_model(maps: SteeringMaps) -> None:
    model = str(maps.metadata.get("model", ""))
    if model not in MODELS and not base_model(model):
        raise UserError(
            "E_MODEL",
            f"the map was learnt on {model or 'an unnamed model'!r}, which others cannot load",
            remedy='Load it in Python, set `maps.metadata["model"]` to the id of the model on the '
            "hub, and push these maps.",
        )
