"""The weights of a map, `lineas.safetensors`, and their strict reader.

No content of a file is ever executed. The safetensors library accepts duplicate keys, NaN and
any number of tensors, so this module checks the header before the library reads the file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

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
    "check_content",
    "checksum",
    "content_of",
    "format_errors",
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
MAX_FILE = 1 << 30
"""Maximal size in bytes of the file: 80 modules of width 8,192 at rank 128 are 640 MB."""
_MAX_HEADER = 16 << 20  # 30,000 modules; a hostile one takes a second and 500 MB to parse
_CONFIG = "lineas.config"
# Names of the checksum of the metadata, which is there twice: else a file in which one of them is
# damaged would be taken for an early one, without any.
_SUMS = ("lineas.config_sha256", "lineas.config_sha256_again")
_UNUSABLE = "this is not a usable steering map"
_GET_ANOTHER = "Download it or learn it again."
_HALF = re.compile("[\ud800-\udfff]")
_HALF_A_CHARACTER = "its metadata has an unpaired surrogate"
_MALFORMED = (
    *(OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError),
    SafetensorError,
)


class _FormatError(Exception):
    """The reason why a file is rejected."""


@contextmanager
def format_errors(name: str, what: str = _UNUSABLE, remedy: str = _GET_ANOTHER) -> Iterator[None]:
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
    raise UserError("E_FILE", f"{what}, {reason}", where=name, remedy=remedy)


def content_of(
    tensors: dict[str, Tensor], config: dict[str, Any], further: Mapping[str, str]
) -> bytes:
    """Return the content of the file.

    Args:
        tensors: see `lineas_core.storage.tensors`.
        config: the metadata.
        further: texts that other tools show.

    Must be called within `format_errors`.
    """
    if _has_half_a_character(config):
        raise _FormatError(_HALF_A_CHARACTER)
    text = json.dumps(config)
    facts = {"format": "pt", _CONFIG: text, **dict.fromkeys(_SUMS, _sha256(json.loads(text)))}
    return safetensors.torch.save(tensors, {**facts, **further})


def check_content(data: bytes) -> None:
    """Check that the content of a file can be read; must be called within `format_errors`."""
    _read_values(data, _read_config(BytesIO(data), len(data)))


def read_header(file: Path) -> dict[str, Any]:
    """Read the metadata of a file of the right length, without its values.

    Must be called within `format_errors`.
    """
    if not file.is_file():
        raise FileNotFoundError(file)
    with file.open("rb") as opened:
        return _read_config(opened, file.stat().st_size)


def read_tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read and check tensors and metadata; must be called within `format_errors`."""
    config = read_header(file)
    return _read_values(read_regular(file), config), config


def checksum(tensors: dict[str, Tensor]) -> str:
    """Return the sha256 of the values of tensors on the CPU, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(tensors[key].numpy().tobytes())
    return digest.hexdigest()


def usable(tensors: dict[str, Tensor]) -> bool:
    """Return whether all values are finite and within `MAX_VALUE`."""
    return all(bool((v.abs() <= MAX_VALUE).all()) for v in tensors.values())  # False for NaN


def _read_config(opened: BinaryIO, size: int) -> dict[str, Any]:
    """Read the metadata of a file of `size` bytes, and compare its length and their checksum."""
    if size > MAX_FILE:
        raise _FormatError(f"it has more than {MAX_FILE >> 20} MB")
    start = opened.read(8)
    for magic, kind in ((b"PK", "zip archive or a pickle"), (b"GGUF", "GGUF model")):
        if start.startswith(magic):
            raise _FormatError(f"the file is a {kind}, not safetensors")
    length = int.from_bytes(start, "little")
    if size < 8 or length > size - 8:
        raise _FormatError("it is not in safetensors format, or is cut short")
    if length > _MAX_HEADER:
        raise _FormatError(f"its names and metadata have more than {_MAX_HEADER >> 20} MB")
    header = json.loads(opened.read(length).decode(), object_pairs_hook=_no_duplicates)
    config = _checked_config(header)
    if size != 8 + length + sum(4 * prod(shape) for shape in shapes_of(config).values()):
        raise _FormatError("its length is malformed")
    return config


def _read_values(data: bytes, config: dict[str, Any]) -> dict[str, Tensor]:
    """Read the tensors of a file with such metadata, and check their values."""
    tensors = safetensors.torch.load(data)
    if checksum(tensors) != config.get("sha256"):
        raise _FormatError("it is damaged: its checksum does not match")
    if not usable(tensors):
        raise _FormatError(f"it has values that are not finite or beyond {MAX_VALUE:g}")
    return tensors


def _sha256(config: dict[str, Any]) -> str:
    """Return the checksum of metadata as they were read: that of their JSON, in their order."""
    return hashlib.sha256(json.dumps(config).encode()).hexdigest()


def _checked_config(header: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a header that names exactly the tensors of the map."""
    facts = header.pop("__metadata__", {})
    config_text = facts.get(_CONFIG)
    if config_text is None:
        raise _FormatError(
            "the file has tensors other than scales and shifts; it may be a LoRA or a model"
        )
    config = json.loads(config_text, object_pairs_hook=_no_duplicates)
    # Only an escape can stand for half a character; the file is UTF-8.
    if "\\u" in config_text and _has_half_a_character(config):
        raise _FormatError(_HALF_A_CHARACTER)
    if config["format_version"] > FORMAT_VERSION:
        raise _FormatError(
            f"it has format {config['format_version']}, this version reads formats up to "
            f"{FORMAT_VERSION}"
        )
    if {facts.get(name) for name in _SUMS} not in ({None}, {_sha256(config)}):
        raise _FormatError("it is damaged: the checksum of its metadata does not match")
    if not config["modules"]:
        raise _FormatError("it steers no module")
    expected = {key: ("F32", shape) for key, shape in shapes_of(config).items()}
    if {key: (entry["dtype"], entry["shape"]) for key, entry in header.items()} != expected:
        raise _FormatError("its tensors are not the ones that its metadata names")
    return config


def _has_half_a_character(config: dict[str, Any]) -> bool:
    return _HALF.search(json.dumps(config, ensure_ascii=False)) is not None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise _FormatError("its header has a key twice")
    return table
