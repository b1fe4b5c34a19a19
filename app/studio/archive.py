"""Import of maps from zip archives, as the page exports them.

    lineas.safetensors, lineas_config.json, prompts.json, README.md    as `save_maps` writes them
    previews/                                                          pictures

In an archive the files may be in a folder. Imported archives are untrusted: only weights, prompts
and pictures are read, each by its strict reader, and nothing is unpacked to a path that the
archive names.
"""

from __future__ import annotations

import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from PIL import Image

from lineas_core import SteeringMaps, UserError, load_maps
from lineas_core.storage.disk import saving
from lineas_core.storage.maps import read_prompts
from lineas_core.storage.places import PROMPTS, WEIGHTS
from lineas_core.storage.publishing import PREVIEWS, SUFFIXES

__all__ = [
    "LARGEST",
    "UNREADABLE",
    "ImportedMap",
    "read_imported_map",
]

LARGEST = 32 << 20
"""Maximal size in bytes of an imported file, and of its unpacked content."""

_MOST_ENTRIES, _WIDEST = 100, 4096
_DAMAGED = (OSError, RuntimeError, EOFError, ValueError, zlib.error)
UNREADABLE = (Image.DecompressionBombError, SyntaxError, *_DAMAGED)
"""Exceptions that reading a damaged picture can raise."""


@dataclass(frozen=True, eq=False)
class ImportedMap:
    """The validated content of an imported file.

    Attributes:
        maps: the maps with their metadata.
        files: content of the prompts and previews, by path within the folder of the map.
    """

    maps: SteeringMaps
    files: dict[str, bytes]


def read_imported_map(file: Path) -> ImportedMap:
    """Read a zip of a map, or its `lineas.safetensors` alone.

    Raises:
        UserError: the file is too large, damaged or no map, or a path in it leaves its folder.
    """
    if file.stat().st_size > LARGEST:
        raise _refusal(file.name, f"it has more than {LARGEST >> 20} MB")
    with file.open("rb") as opened:
        zipped = opened.read(4) == b"PK\x03\x04"
    if not zipped:
        return ImportedMap(load_maps(file), {})
    with _refusals(file.name), ZipFile(file) as archive:
        files = _members(archive)
        with TemporaryDirectory() as scratch:
            weights = Path(scratch, WEIGHTS)
            with saving("the imported map was"):
                weights.write_bytes(files.pop(WEIGHTS))
            maps = load_maps(weights)
        if PROMPTS in files:
            read_prompts(files[PROMPTS], maps.metadata)
        for name in files.keys() - {PROMPTS}:
            _check_picture(name, files[name])
    return ImportedMap(maps, files)


class _Refusal(Exception):  # noqa: N818 - becomes a UserError with the file's name
    """The reason why a file cannot be imported."""


@contextmanager
def _refusals(name: str) -> Iterator[None]:
    try:
        yield
        return
    except UserError:
        raise
    except _Refusal as refusal:
        reason = str(refusal)
    except (BadZipFile, *_DAMAGED):
        reason = "it is damaged or has a password"
    raise _refusal(name, reason)


def _refusal(name: str, reason: str) -> UserError:
    return UserError(
        "E_ARCHIVE",
        f"the map cannot be imported: {reason}",
        where=name,
        remedy="Export the map again, or give its lineas.safetensors.",
    )


def _members(archive: ZipFile) -> dict[str, bytes]:
    """Return the content of the files that we can read, by path within the folder of the map."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > _MOST_ENTRIES or sum(entry.file_size for entry in entries) > LARGEST:
        raise _Refusal(f"it contains more than {_MOST_ENTRIES} files or {LARGEST >> 20} MB")
    for entry in entries:
        if _leaves_folder(entry):
            raise _Refusal(f"its entry {entry.filename!r} points outside its folder")
    paths = [PurePosixPath(entry.filename) for entry in entries]
    roots = [path.parent for path in paths if path.name == WEIGHTS]
    if len(roots) != 1:
        raise _Refusal(f"it contains {len(roots)} files named {WEIGHTS} instead of one")
    inner = [
        (path.relative_to(roots[0]), entry)
        for path, entry in zip(paths, entries, strict=True)
        if path.is_relative_to(roots[0])
    ]
    return {str(path): _read(archive, entry) for path, entry in inner if _known(path)}


def _read(archive: ZipFile, entry: ZipInfo) -> bytes:
    """Return the content of an entry, at most as many bytes as it declares.

    `ZipFile.read` would inflate the whole entry before cutting it, and compression methods other
    than these two always inflate the whole entry.
    """
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise _Refusal(f"its entry {entry.filename!r} uses an unsupported compression method")
    with archive.open(entry) as opened:
        return opened.read(entry.file_size)


def _leaves_folder(entry: ZipInfo) -> bool:
    path = PurePosixPath(entry.filename)
    link = stat.S_ISLNK(entry.external_attr >> 16)
    return link or path.is_absolute() or ".." in path.parts or bool(set("\\:") & set(str(path)))


def _known(path: PurePosixPath) -> bool:
    if str(path) in (WEIGHTS, PROMPTS):
        return True
    return str(path.parent) == PREVIEWS and path.suffix.lower() in SUFFIXES


def _check_picture(name: str, data: bytes) -> None:
    try:
        with Image.open(BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
            if max(image.size) > _WIDEST:
                raise _Refusal(f"its picture {name} is wider or higher than {_WIDEST} pixels")
            image.load()
    except UNREADABLE:
        raise _Refusal(f"its picture {name} cannot be read") from None
