"""The strict reader of the weights of a map, `lineas.safetensors`.

No content of a file is ever executed. The safetensors library accepts duplicate keys, NaN and
any number of tensors, so this module checks the header before the library reads the file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.storage.disk import read_regular
from lineas_core.storage.tensors import shapes_of

__all__ = [
    "FORMAT_VERSION",
    "MAX_FILE",
    "MAX_VALUE",
    "WEIGHTS",
    "checksum",
    "format_errors",
    "has_half_a_character",
    "read_header",
    "read_tensors",
    "usable",
]

FORMAT_VERSION = 3
"""Version 2 has low-rank maps, version 3 maps that only shift. Without any of them a file is of
version 1, which every release reads."""
WEIGHTS = "lineas.safetensors"
"""Name of the file in the folder of a map."""
MAX_VALUE = 1e4
"""Largest absolute value of a tensor."""
MAX_FILE = 64 << 20
"""Maximal size in bytes of the file."""
_MAX_HEADER = 1 << 20
_HALF = re.compile("[\ud800-\udfff]")
_MALFORMED = (
    *(OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError),
    SafetensorError,
)


class _FormatError(Exception):
    """The reason why a file is rejected."""


@contextmanager
def format_errors(name: str) -> Iterator[None]:
    """Raise the errors of reading a file as one `UserError` that names it."""
    try:
        yield
        return
    except FileNotFoundError:
        reason = f"there is no {WEIGHTS}"
    except _FormatError as error:
        reason = str(error)
    except _MALFORMED as error:
        reason = f"its header is malformed ({type(error).__name__})"
    raise UserError(
        "E_FILE",
        f"this is not a usable steering map, {reason}",
        where=name,
        remedy="Download it or learn it again.",
    )


def read_header(file: Path) -> dict[str, Any]:
    """Read the metadata of a file of the right length, without its values.

    Must be called within `format_errors`.
    """
    if not file.is_file():
        raise FileNotFoundError(file)
    size = file.stat().st_size
    if size > MAX_FILE:
        raise _FormatError(f"it has more than {MAX_FILE >> 20} MB")
    with file.open("rb") as opened:
        start = opened.read(8)
        for magic, kind in ((b"PK", "zip archive or a pickle"), (b"GGUF", "GGUF model")):
            if start.startswith(magic):
                raise _FormatError(f"the file is a {kind}, not safetensors")
        length = int.from_bytes(start, "little")
        if size < 8 or length > min(_MAX_HEADER, size - 8):
            raise _FormatError("it is not in safetensors format, or is cut short")
        header = json.loads(opened.read(length).decode(), object_pairs_hook=_no_duplicates)
    config = _checked_config(header)
    if size != 8 + length + sum(4 * prod(shape) for shape in shapes_of(config).values()):
        raise _FormatError("its length is malformed")
    return config


def read_tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read and check tensors and metadata; must be called within `format_errors`."""
    config = read_header(file)
    tensors = safetensors.torch.load(read_regular(file))
    if checksum(tensors) != config.get("sha256"):
        raise _FormatError("it is damaged: its checksum does not match")
    if not usable(tensors):
        raise _FormatError(f"it has values that are not finite or beyond {MAX_VALUE:g}")
    return tensors, config


def checksum(tensors: dict[str, Tensor]) -> str:
    """Return the sha256 of the values of tensors on the CPU, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(tensors[key].numpy().tobytes())
    return digest.hexdigest()


def has_half_a_character(config: dict[str, Any]) -> bool:
    """Return whether a text in metadata contains half of a surrogate pair."""
    return _HALF.search(json.dumps(config, ensure_ascii=False)) is not None


def usable(tensors: dict[str, Tensor]) -> bool:
    """Return whether all values are finite and within `MAX_VALUE`."""
    return all(bool((v.abs() <= MAX_VALUE).all()) for v in tensors.values())  # False for NaN


def _checked_config(header: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a header that names exactly the tensors of the map."""
    config_text = header.pop("__metadata__", {}).get("lineas.config")
    if config_text is None:
        raise _FormatError(
            "the file has tensors other than scales and shifts; it may be a LoRA or a model"
        )
    config = json.loads(config_text, object_pairs_hook=_no_duplicates)
    # Only an escape can stand for half a character; the file is UTF-8.
    if "\\u" in config_text and has_half_a_character(config):
        raise _FormatError("its metadata has an unpaired surrogate")
    if config["format_version"] > FORMAT_VERSION:
        raise _FormatError(
            f"it has format {config['format_version']}, this version reads formats up to "
            f"{FORMAT_VERSION}"
        )
    if not config["modules"]:
        raise _FormatError("it steers no module")
    expected = {key: ("F32", shape) for key, shape in shapes_of(config).items()}
    if {key: (entry["dtype"], entry["shape"]) for key, entry in header.items()} != expected:
        raise _FormatError("its tensors are not the ones that its metadata names")
    return config


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise _FormatError("its header has a key twice")
    return table
