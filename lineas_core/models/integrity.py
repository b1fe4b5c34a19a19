"""Whether the files of a model in a folder are whole, so that no damaged model is ever used.

A model that was downloaded and converted here has a list of its files with their sizes and
checksums. Of other folders, the structure is checked: weights that are not cut short, a tokenizer,
and every component of a pipeline.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from lineas_core.models.hub import INDEX

__all__ = [
    "CONFIG",
    "PARTS",
    "PICKLED_PARTS",
    "TOKENIZERS",
    "are_pickled",
    "damage",
    "list_files",
    "missing_index",
    "weights_of",
]

CONFIG = "config.json"
_LIST = "files.json"
PARTS, PICKLED_PARTS = "model.safetensors.index.json", "pytorch_model.bin.index.json"
"""Files of transformers that say which of several files has which weight."""
_WHOLE, _PICKLED_WHOLE = "model.safetensors", "pytorch_model.bin"
_PICKLED = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin")
_NAMES = (re.compile(r"model(-\d+-of-\d+)?\.safetensors"), _PICKLED)
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
        if not pipeline and are_pickled(names := weights_of(os.listdir(part))):
            weights += [part / name for name in names]
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
    whole, parts = _whole_and_parts(os.listdir(folder))
    index = folder / parts
    if (folder / whole).is_file() or not index.is_file():
        return []
    names = {*json.loads(index.read_bytes())["weight_map"].values()}
    return sorted(name for name in names if not (folder / name).is_file())


def weights_of(names: Collection[str]) -> list[str]:
    """Return which files transformers reads the weights of a language model from.

    Args:
        names: names of its files.

    Returns:
        The safetensors files; if there are none, the pickled ones. The file with all weights comes
        before files with parts of them. Empty if there are no weights.
    """
    for pattern in _NAMES:
        if found := sorted(name for name in names if pattern.fullmatch(name)):
            return [name for name in found if "-of-" not in name] or found
    return []


def are_pickled(weights: Collection[str]) -> bool:
    """Return whether files of weights, from `weights_of`, are pickled."""
    return any(_PICKLED.fullmatch(name) for name in weights)


def missing_index(names: Collection[str]) -> str:
    """Return which file of a language model is missing, without which its weights are not found.

    Args:
        names: names of its files.

    Returns:
        The file; empty if none is missing.
    """
    whole, parts = _whole_and_parts(names)
    if {whole, parts} & {*names}:
        return ""
    return parts if any("-of-" in name for name in names) else whole


def _whole_and_parts(names: Collection[str]) -> tuple[str, str]:
    """Return how the file with all weights, and the index of its parts, are called."""
    if are_pickled(weights_of(names)):
        return _PICKLED_WHOLE, PICKLED_PARTS
    return _WHOLE, PARTS


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
    """Return whether a safetensors file is as long as its header says, or a pickle has an end.

    Of the pickles that early versions of torch wrote, only the start is recognised.
    """
    if _PICKLED.fullmatch(file.name):
        with file.open("rb") as opened:
            start = opened.read(2)
        return zipfile.is_zipfile(file) if start == b"PK" else start[:1] == b"\x80"
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
