"""Folders of safetensors files, made from the pickled weights of language models.

transformers reads the weights of such a folder like those of any other model. The folders are in
the cache of the user: that of the model may be read-only, and is left as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import hf_hub_download, snapshot_download
from platformdirs import user_cache_path

from lineas_core.models.downloads import read_repository
from lineas_core.models.integrity import (
    CONFIG,
    PARTS,
    PICKLED_PARTS,
    are_pickled,
    damage,
    weights_of,
)
from lineas_core.models.pickled import conversion_errors, convert_pickle
from lineas_core.models.repositories import HubPlace

__all__ = ["with_safetensors"]

_SETTINGS = (CONFIG, "generation_config.json")


def with_safetensors(source: str | Path, **files: Any) -> str | Path:
    """Return where transformers finds the weights of a language model in safetensors format.

    Pickled weights, if there are no others, are downloaded if necessary and converted once.

    Args:
        source: folder or hub id.
        **files: `local_files_only` and `revision`, as transformers has them.

    Returns:
        The source, or the folder with its converted weights and its configuration.

    Raises:
        UserError: the weights are damaged, hold anything else than named tensors, or cannot be
            written.
        OSError, ValueError: raised by the hub's functions, or the index is damaged.
    """
    folder = Path(source)
    if folder.is_dir():
        weights = weights_of(os.listdir(folder))
    else:
        folder = Path(hf_hub_download(str(source), CONFIG, **files)).parent
        weights = _downloaded(str(source), folder, **files)
    return _converted(folder, weights) if are_pickled(weights) else source


def _downloaded(source: str, folder: Path, **files: Any) -> list[str]:
    """Return the files of the weights of a repository; pickled ones are downloaded.

    Args:
        source: hub id.
        folder: the repository in the hub's cache.
        **files: as in `with_safetensors`.
    """
    here = weights_of(os.listdir(folder))
    others = here and not are_pickled(here)
    if others or files.get("local_files_only") or not damage(folder):
        return here
    commit = folder.name
    weights = weights_of(read_repository(HubPlace(source, commit)).sizes)
    if are_pickled(weights):
        wanted = [*weights, PICKLED_PARTS, *_SETTINGS]
        snapshot_download(source, revision=commit, allow_patterns=wanted)
    return weights


def _converted(folder: Path, weights: list[str]) -> Path:
    """Convert the weights in a folder, unless the same ones were; returns the folder with them."""
    names = {name: f"{name.removeprefix('pytorch_')[:-4]}.safetensors" for name in weights}
    split = "-of-" in weights[0]
    index = _index(folder / PICKLED_PARTS, names) if split else b""
    settings = [name for name in _SETTINGS if (folder / name).is_file()]
    place = user_cache_path("lineas") / "models" / "converted" / _digest(str(folder.resolve()))
    target = place / _digest(*(_state(folder / name) for name in (*weights, *settings)), index)
    for other in place.glob("*"):
        if other != target:  # of weights that were replaced since
            shutil.rmtree(other, ignore_errors=True)
    for name, converted in names.items():
        convert_pickle(folder / name, target / converted)
    texts = {name: (folder / name).read_bytes() for name in settings}
    for name, data in (texts | ({PARTS: index} if split else {})).items():
        if not (target / name).is_file():
            with conversion_errors(target), TemporaryDirectory(dir=target) as unfinished:
                file = Path(unfinished) / name
                file.write_bytes(data)
                file.replace(target / name)
    return target


def _index(file: Path, names: dict[str, str]) -> bytes:
    """Return the index of the converted weights: name of each weight -> its file.

    Args:
        file: the index of the pickled ones.
        names: pickled file -> converted file.

    Raises:
        ValueError: it is damaged, or names another file.
    """
    try:
        facts = json.loads(file.read_bytes())
        table = {weight: names[part] for weight, part in facts["weight_map"].items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"its {file.name} is damaged or names files that are missing") from error
    return json.dumps({"metadata": {}, "weight_map": table}).encode()


def _state(file: Path) -> str:
    """Return what changes when a file is written anew."""
    found = file.stat()
    return f"{file.name} {file.resolve()} {found.st_size} {found.st_mtime_ns}"


def _digest(*parts: str | bytes) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
