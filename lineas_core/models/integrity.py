"""Whether the files of a model in a folder are whole, so that no damaged model is ever used.

A model that was downloaded and converted here has a list of its files with their sizes and
checksums. Of other folders, the structure is checked: weights as long as their headers say, a
tokenizer, and every component of a pipeline.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from lineas_core.models.hub import INDEX

__all__ = ["CONFIG", "TOKENIZERS", "damage", "list_files", "missing_index"]

CONFIG = "config.json"
_LIST = "files.json"
_WHOLE, _PARTS = "model.safetensors", "model.safetensors.index.json"  # of transformers
TOKENIZERS = ("tokenizer.json", "*.model", "*.tiktoken", "vocab.*")
"""Patterns of the files of which a tokenizer needs one."""
_MALFORMED = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


def list_files(folder: Path) -> None:
    """Write the list of the files in the folder of a model, the last step of its installation."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != _LIST)
    table = {
        file.relative_to(folder).as_posix(): {"size": file.stat().st_size, "sha256": _sha256(file)}
        for file in files
    }
    (folder / _LIST).write_text(json.dumps(table, indent=1), encoding="utf-8")


def damage(folder: Path, *, hashes: bool = False, besides: Collection[str] = ()) -> str:
    """Check the files of a model.

    Args:
        folder: folder of a language model or of a pipeline.
        hashes: also compare checksums, which reads all files.
        besides: components of a pipeline whose weights come from elsewhere.

    Returns:
        What is wrong, in a few words; empty if nothing is.
    """
    try:
        if not any((folder / name).is_file() for name in (CONFIG, INDEX)):
            return f"{CONFIG} is missing"
        if (folder / _LIST).is_file():
            return next(_unlike_list(folder, hashes), "")
        if hashes:
            return "an early version installed it without checksums"
        return next(_unlike_model(folder, besides), "")
    except _MALFORMED as error:
        reason = getattr(error, "strerror", "") or type(error).__name__
        return f"a file cannot be read ({reason})"


def _unlike_list(folder: Path, hashes: bool) -> Iterator[str]:
    """Yield the differences from the list of files."""
    for name, known in json.loads((folder / _LIST).read_bytes()).items():
        file = folder / name
        if not file.is_file():
            yield f"{name} is missing"
        elif (size := file.stat().st_size) != known["size"]:
            yield f"{name} has {size:,} bytes instead of {known['size']:,}"
        elif hashes and _sha256(file) != known["sha256"]:
            yield f"the checksum of {name} differs"


def _unlike_model(folder: Path, besides: Collection[str]) -> Iterator[str]:
    """Yield what a folder lacks that a language model or a pipeline needs."""
    pipeline = (folder / INDEX).is_file()
    parts = _components(folder) if pipeline else [folder]
    parts = [part for part in parts if part.name not in besides]
    for part in parts:
        name = part.relative_to(folder.parent).as_posix()
        weights = [*part.glob("*.safetensors")]
        if not part.is_dir():
            yield f"{name} is missing"
        tokenizer = [file for pattern in TOKENIZERS for file in part.glob(pattern)]
        if (part.name.startswith("tokenizer") or not pipeline) and not tokenizer:
            yield f"{name} has no tokenizer"
        if (part / CONFIG).is_file() and not weights:
            yield f"{name} has no weights in safetensors format"
        if not pipeline and weights and (lacks := missing_index(os.listdir(part))):
            yield f"{name}/{lacks} is missing"
        yield from (f"{name}/{file} is missing" for file in _missing_parts(part))
        for file in weights:
            found = os.stat(file)
            if not _is_whole(file, found.st_size, found.st_mtime_ns):
                yield f"{file.name} is cut short"


def _missing_parts(folder: Path) -> list[str]:
    """Return the files of weights that are missing, if the weights are split into several."""
    index = folder / _PARTS
    if (folder / _WHOLE).is_file() or not index.is_file():
        return []
    names = {*json.loads(index.read_bytes())["weight_map"].values()}
    return sorted(name for name in names if not (folder / name).is_file())


def missing_index(names: Collection[str]) -> str:
    """Return which file of a language model with weights in safetensors format is missing.

    Args:
        names: names of its files.

    Returns:
        The file, without which transformers finds no weights; empty if none is missing.
    """
    if {_WHOLE, _PARTS} & {*names}:
        return ""
    return _PARTS if any("-of-" in name for name in names) else _WHOLE


def _components(folder: Path) -> list[Path]:
    """Return the folders of the components that the index of a pipeline names."""
    index: dict[str, Any] = json.loads((folder / INDEX).read_bytes())
    return [
        folder / name
        for name, origin in index.items()
        if isinstance(origin, list) and origin[0] is not None
    ]


@lru_cache(maxsize=256)
def _is_whole(
    file: Path,
    size: int,
    changed: int,  # noqa: ARG001 - part of the key, so that a changed file is read again
) -> bool:
    """Return whether a safetensors file is as long as its header says."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if length > size:
            return False
        header = json.loads(opened.read(length))
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return size == 8 + length + max(ends, default=0)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
