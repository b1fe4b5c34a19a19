"""Folders of safetensors files, made from the pickled weights of language models.

transformers reads the weights of such a folder like those of any other model. The folders are in
the cache of the user: that of the model may be read-only, and is left as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
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

__all__ = ["convert", "convert_file", "place_of", "unconverted", "with_safetensors"]

_MB = 1 << 20
_SETTINGS = (CONFIG, "generation_config.json")


Progress = Callable[[str], None]
"""Called with a sentence, every quarter of a second; an exception that it raises ends the work."""


def with_safetensors(
    source: str | Path, progress: Progress = lambda _: None, **files: Any
) -> str | Path:
    """Return where transformers finds the weights of a language model in safetensors format.

    Pickled weights, if there are no others, are downloaded if necessary and converted once.

    Args:
        source: folder or hub id.
        progress: told how far the conversion is; files that are converted are kept if it ends.
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
    return _converted(folder, weights, progress) if are_pickled(weights) else source


def convert(folder: Path, progress: Progress) -> None:
    """Convert the weights in the folder of a language model, if they are pickled and were not yet.

    Args:
        folder: the folder; of a repository, that in the hub's cache.
        progress: as in `with_safetensors`.

    Raises:
        UserError, ValueError: as in `with_safetensors`.
    """
    if unconverted(folder):
        _converted(folder, weights_of(os.listdir(folder)), progress)


def unconverted(folder: Path) -> int:
    """Return how many bytes of pickled weights in a folder are still to be converted."""
    weights = weights_of(os.listdir(folder))
    if not are_pickled(weights):
        return 0
    target = _target(folder, weights)
    missing = [file for file, name in _names(weights).items() if not (target / name).is_file()]
    return sum((folder / file).stat().st_size for file in missing)


def convert_file(pickle: Path, revision: str, progress: Progress = lambda _: None) -> Path:
    """Convert a pickled file of another repository, unless it was; returns the converted one.

    Args:
        pickle: the file, in the hub's cache.
        revision: commit of its repository.
        progress: as in `with_safetensors`.

    Raises:
        UserError: as in `with_safetensors`.
    """
    tell = _teller(pickle.name, pickle.stat().st_size, progress)
    return convert_pickle(pickle, place_of(pickle, revision), tell)


def place_of(pickle: Path, revision: str) -> Path:
    """Return where `convert_file` puts the converted file."""
    return user_cache_path("lineas") / "models" / f"{pickle.stem}-{revision[:8]}.safetensors"


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


def _names(weights: list[str]) -> dict[str, str]:
    """Return the name of each converted file, by that of the pickled one."""
    return {name: f"{name.removeprefix('pytorch_')[:-4]}.safetensors" for name in weights}


def _settings(folder: Path) -> list[str]:
    return [name for name in _SETTINGS if (folder / name).is_file()]


def _index(folder: Path, weights: list[str]) -> bytes:
    """Return the index of the converted weights; empty for those in one file."""
    split = "-of-" in weights[0]
    return _converted_index(folder / PICKLED_PARTS, _names(weights)) if split else b""


def _target(folder: Path, weights: list[str]) -> Path:
    """Return the folder of the converted weights; another one once any file has changed."""
    place = user_cache_path("lineas") / "models" / "converted" / _digest(str(folder.resolve()))
    states = [_state(folder / name) for name in (*weights, *_settings(folder))]
    return place / _digest(*states, _index(folder, weights))


def _converted(folder: Path, weights: list[str], progress: Progress) -> Path:
    """Convert the weights in a folder, unless the same ones were; returns the folder with them."""
    index, target = _index(folder, weights), _target(folder, weights)
    for other in target.parent.glob("*"):
        if other != target:  # of weights that were replaced since
            shutil.rmtree(other, ignore_errors=True)
    for number, (name, converted) in enumerate(_names(weights).items(), start=1):
        part = f"file {number} of {len(weights)}, {name}" if index else name
        tell = _teller(part, (folder / name).stat().st_size, progress)
        convert_pickle(folder / name, target / converted, tell)
    texts = {name: (folder / name).read_bytes() for name in _settings(folder)}
    for name, data in (texts | ({PARTS: index} if index else {})).items():
        if not (target / name).is_file():
            with conversion_errors(target), TemporaryDirectory(dir=target) as unfinished:
                file = Path(unfinished) / name
                file.write_bytes(data)
                file.replace(target / name)
    return target


def _teller(what: str, size: int, progress: Progress) -> Callable[[int], None]:
    """Return a function that tells how many bytes of a file are converted."""

    def tell(count: int) -> None:
        done = f"{count / _MB:,.1f} of {size / _MB:,.1f} MB"
        progress(f"converting the weights to safetensors, {done} written, now {what}")

    return tell


def _converted_index(file: Path, names: dict[str, str]) -> bytes:
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
