"""Learnt maps on disk: one folder per map, written atomically and read strictly.

    lineas.safetensors     the tensors, float32, see `lineas_core.storage.tensors`, and metadata
    lineas_config.json     a copy of the metadata, for people and other tools
    prompts.json           the prompts that the map was learnt from
    README.md              a model card

All files of a save appear at once, by the rename of their folder. The weights hold the checksum of
the prompts, so that prompts of another map are never taken for those of this one.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.steering.affine import SteeringMaps
from lineas_core.storage.disk import (
    new_folder,
    put_back,
    read_regular,
    replaced_folder,
    saving,
    write_together,
)
from lineas_core.storage.format import (
    FORMAT_VERSION,
    MAX_VALUE,
    WEIGHTS,
    check_content,
    checksum,
    content_of,
    format_errors,
    read_header,
    read_tensors,
    usable,
)
from lineas_core.storage.model_card import model_card, modelspec
from lineas_core.storage.places import PROMPTS, find_maps, hub_place
from lineas_core.storage.tensors import maps_of, sizes_of, tensors_of

__all__ = [
    "WEIGHTS",
    "check_prompts",
    "check_vacant",
    "holds_maps",
    "load_maps",
    "load_prompts",
    "read_metadata",
    "read_prompts",
    "save_maps",
]

_PROMPTS_SHA256 = "prompts_sha256"
_CARD, _CONFIG = "README.md", "lineas_config.json"
_MAX_PROMPTS = 64 << 20  # bytes
_UNSAVED = "the map cannot be saved"
_CORRECT = "Correct it, or its metadata, and save it again."


def save_maps(maps: SteeringMaps, folder: str | Path, *, prompts: PromptSet | None = None) -> Path:
    """Write maps to a folder, replacing those that it holds.

    All files appear at once, in a new folder or in place of the maps that an existing one holds.
    In a folder that cannot be renamed, such as the working folder, no file is changed before all
    of them are written, and the weights are replaced last.

    Args:
        maps: the learnt maps; their `metadata` must be JSON-like.
        folder: created if missing.
        prompts: the prompts that the maps were learnt from, saved with them; their name,
            description, keywords and kind become metadata unless the maps have their own. None
            keeps the prompts in the folder if it holds the same maps, and otherwise deletes them.

    Returns:
        The folder.

    Raises:
        UserError: a value is not finite or larger than 10,000, the metadata contain half a
            surrogate pair, `load_maps` could not read the map or `load_prompts` the prompts, the
            folder cannot be written, or see `check_vacant`.
    """
    folder = Path(folder)
    put_back(folder)
    check_vacant(folder)
    tensors = tensors_of(maps)
    if not usable(tensors):
        raise UserError(
            "E_VALUES",
            f"the map has values that are not finite or beyond {MAX_VALUE:g}",
            where=folder.name,
            remedy="Learn it again: with a lower learning rate, or with prompts that differ less.",
        )
    kept = _prompts_to_save(prompts, folder, checksum(tensors))
    config = _config(maps, tensors, prompts, kept)
    with format_errors(folder.name, _UNSAVED, _CORRECT):
        weights = content_of(tensors, config, modelspec(config))
        check_content(weights)
    if kept is not None:
        read_prompts(kept, config)
    files = _files(config, weights, kept)
    with saving("the map was", folder):
        if not folder.exists():
            with new_folder(folder) as unfinished:
                _write(unfinished, files)
        elif not (holds_maps(folder) and _replace(folder, files)):
            _write(folder, files)
    return folder


def holds_maps(folder: Path) -> bool:
    """Return True if a folder holds completely saved maps."""
    return (folder / WEIGHTS).is_file()


def check_vacant(folder: Path) -> None:
    """Check that saving maps in a folder replaces no file of somebody else.

    Raises:
        UserError: there is a `README.md` or `prompts.json`, and neither maps nor the rest of a
            save that was interrupted.
    """
    if holds_maps(folder) or (folder / _CONFIG).is_file():
        return
    if found := [name for name in (_CARD, PROMPTS) if (folder / name).exists()]:
        what = f"the folder holds no map, but a {found[0]} that saving a map would replace"
        raise UserError("E_FILE", what, where=str(folder), remedy="Give another folder.")


def load_maps(path: str | Path, *, revision: str | None = None) -> SteeringMaps:
    """Read learnt maps.

    Maps of the hub are downloaded once, and read with the same checks as any others.

    Args:
        path: the folder, the safetensors file, the name of a ready-made map, or `owner/name` or
            `owner/name@revision` of a repository of the hub. What exists on this machine is
            preferred, and a `Path` is never one of the hub.
        revision: branch, tag or commit of the repository; None takes that in `path`, or else
            the newest version. Only a commit always stands for the same maps.

    Returns:
        The maps, float32 on the CPU, with their metadata.

    Raises:
        UserError: the file is missing, is of another kind or is damaged, or the hub does not
            give it.
    """
    place = hub_place(path)
    found = find_maps(path, revision)
    with format_errors(str(place) if place else found.name):
        tensors, config = read_tensors(found / WEIGHTS if found.is_dir() else found)
    return maps_of(tensors, config)


def read_metadata(folder: Path) -> dict[str, Any]:
    """Read the metadata of saved maps without their values, whose checksum is not compared.

    Raises:
        UserError: the file is missing, is of another kind, or is cut short.
    """
    with format_errors(folder.name):
        return read_header(folder / WEIGHTS)


def load_prompts(folder: Path, metadata: Mapping[str, Any]) -> PromptSet:
    """Read the prompts that maps were learnt from.

    Args:
        folder: folder of the maps.
        metadata: metadata of the maps.

    Raises:
        UserError: the prompts are missing, damaged, or those of other maps.
    """
    try:
        data = read_regular(folder / PROMPTS)
    except OSError as error:
        remedy = "Learn the map again."
        raise UserError("E_FILE", "the prompts cannot be read", remedy=remedy) from error
    return read_prompts(data, metadata)


def read_prompts(data: bytes, metadata: Mapping[str, Any]) -> PromptSet:
    """Read the prompts that maps were learnt from; arguments and errors as in `check_prompts`.

    The file of a map holds what two files were read from, and may be larger than either.
    """
    prompts = PromptSet.parse(data, PROMPTS, limit=_MAX_PROMPTS)
    check_prompts(data, metadata)
    return prompts


def check_prompts(data: bytes, metadata: Mapping[str, Any]) -> None:
    """Check that the file of prompts is the one that maps were saved with.

    Args:
        data: content of the file.
        metadata: metadata of the maps; those of early versions fit any prompts.

    Raises:
        UserError: it is another one.
    """
    found = hashlib.sha256(data).hexdigest()
    if metadata.get(_PROMPTS_SHA256, found) != found:
        what = "these are not the prompts that the map was saved with"
        remedy = "Export the map again, or delete the file."
        raise UserError("E_FILE", what, where=PROMPTS, remedy=remedy)


def _replace(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Replace the files of a folder at once; return False if the folder cannot be renamed."""
    try:
        with replaced_folder(folder) as copy:
            _write(copy, files)
    except OSError as error:
        if error.errno in (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS):
            return False
        raise
    return True


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    write_together(folder, files)
    if PROMPTS not in files:  # they belong to the replaced map
        (folder / PROMPTS).unlink(missing_ok=True)


def _files(config: dict[str, Any], weights: bytes, prompts: bytes | None) -> dict[str, bytes]:
    """Return the content of the files in the order of writing."""
    return {
        # First: it shows that the others are ours, also if a save is interrupted.
        _CONFIG: json.dumps(config, indent=2).encode(),
        **({} if prompts is None else {PROMPTS: prompts}),
        _CARD: model_card(config).encode(),
        # Last: a folder counts as a map once its weights are there.
        WEIGHTS: weights,
    }


def _config(
    maps: SteeringMaps,
    tensors: dict[str, Tensor],
    prompts: PromptSet | None,
    kept: bytes | None,
) -> dict[str, Any]:
    """Return the metadata to save; the maps' own replaces that of the prompts."""
    about: dict[str, Any] = {}
    sizes = sizes_of(maps)
    if prompts is not None:
        about = {
            "title": prompts.name,
            "description": prompts.description,
            "keywords": list(prompts.keywords),
            "concept_kind": prompts.kind,  # `kind` is that of the model
        }
    return {
        "date": date.today().isoformat(),
        **about,
        **maps.metadata,
        **sizes,
        "format_version": FORMAT_VERSION if sizes["shifts"] else 2 if sizes["low_rank"] else 1,
        "sha256": checksum(tensors),
        _PROMPTS_SHA256: None if kept is None else hashlib.sha256(kept).hexdigest(),
    }


def _prompts_to_save(prompts: PromptSet | None, folder: Path, sha256: str) -> bytes | None:
    """Return the content for `prompts.json`: the given prompts, else those of the same maps."""
    if prompts is not None:
        facts = asdict(prompts) | {"layout": prompts.layout}
        given = {k: v for k, v in facts.items() if v and k != "dropped"}
        return json.dumps(given, indent=1, ensure_ascii=False).encode()
    try:
        saved = read_metadata(folder)
        if saved["sha256"] != sha256:
            return None
        data = read_regular(folder / PROMPTS)
        check_prompts(data, saved)
    except (OSError, LookupError, UserError):
        return None
    return data
