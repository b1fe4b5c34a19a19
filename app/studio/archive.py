"""A map to hand on: what belongs to it, and a zip that comes in, read with distrust.

    lineas.safetensors, lineas_config.json, prompts.json, README.md    as `save_maps` writes them
    previews/                                                          pictures

In a zip they may lie in a folder. Of what comes in only weights, prompts and pictures are taken,
each read by its strict reader; nothing is ever unpacked to where a name in the zip points.
"""

from __future__ import annotations

import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from PIL import Image

from lineas_core import PromptSet, SteeringMaps, UserError, load_maps

from .maps import WEIGHTS

__all__ = [
    "LARGEST",
    "UNREADABLE",
    "ImportedMap",
    "contents",
    "read_imported_map",
    "pictures_in",
]

LARGEST = 32 << 20
"""Bytes of a file that comes in, and of all that is packed in it."""

PROMPTS, PREVIEWS = "prompts.json", "previews"
_TEXTS = ("README.md", "lineas_config.json", PROMPTS)
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_MOST_ENTRIES, _MOST_PICTURES, _WIDEST = 100, 16, 4096
_DAMAGED = (OSError, RuntimeError, EOFError, ValueError, zlib.error)
UNREADABLE = (Image.DecompressionBombError, SyntaxError, *_DAMAGED)
"""What reading a broken picture can raise."""


@dataclass(frozen=True, eq=False)
class ImportedMap:
    """A map that came in, read and found sound.

    Attributes:
        maps: with their metadata.
        files: prompts and previews, path within the folder -> content.
    """

    maps: SteeringMaps
    files: dict[str, bytes]


def pictures_in(folder: Path) -> list[Path]:
    """The preview pictures of a map's folder, by name."""
    found = (folder / PREVIEWS).glob("*")
    return sorted(file for file in found if file.suffix.lower() in _SUFFIXES)


def contents(folder: Path, pictures: Sequence[Path]) -> dict[str, bytes]:
    """All that is handed on of a map: path within its folder -> content.

    Args:
        folder: where the map is kept.
        pictures: its previews in their order; the files are numbered anew.
    """
    paths = {name: folder / name for name in (*_TEXTS, WEIGHTS) if (folder / name).is_file()}
    for number, picture in enumerate(pictures[:_MOST_PICTURES]):
        paths[f"{PREVIEWS}/{number:02d}{picture.suffix.lower()}"] = picture
    return {name: path.read_bytes() for name, path in paths.items()}


def read_imported_map(file: Path) -> ImportedMap:
    """Read a zip of a map, or its `lineas.safetensors` alone.

    Raises:
        UserError: it is too large, is something else, is damaged, or a name in it leads out of
            its folder.
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
            weights.write_bytes(files.pop(WEIGHTS))
            maps = load_maps(weights)
        if PROMPTS in files:
            PromptSet.parse(files[PROMPTS], PROMPTS)
        for name in files.keys() - {PROMPTS}:
            _check_picture(name, files[name])
    return ImportedMap(maps, files)


class _Refusal(Exception):  # noqa: N818 - becomes a UserError with the file's name
    """Why a file is not taken."""


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
        f"this is not a usable map, {reason}",
        where=name,
        remedy="Export the map again, or give its lineas.safetensors.",
    )


def _members(archive: ZipFile) -> dict[str, bytes]:
    """What we know how to read, path within the map's folder -> content."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > _MOST_ENTRIES or sum(entry.file_size for entry in entries) > LARGEST:
        raise _Refusal(f"it holds more than {_MOST_ENTRIES} files or {LARGEST >> 20} MB")
    for entry in entries:
        if _leads_out(entry):
            raise _Refusal(f"its entry {entry.filename!r} leads out of its folder")
    paths = [PurePosixPath(entry.filename) for entry in entries]
    roots = [path.parent for path in paths if path.name == WEIGHTS]
    if len(roots) != 1:
        raise _Refusal(f"it holds {len(roots)} files called {WEIGHTS} instead of one")
    inner = [
        (path.relative_to(roots[0]), entry)
        for path, entry in zip(paths, entries, strict=True)
        if path.is_relative_to(roots[0])
    ]
    return {str(path): _read(archive, entry) for path, entry in inner if _known(path)}


def _read(archive: ZipFile, entry: ZipInfo) -> bytes:
    """The content of an entry, never more than it declared.

    `ZipFile.read` inflates whatever is there and then cuts; other methods than these two inflate
    all at once however it is read.
    """
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise _Refusal(f"its entry {entry.filename!r} is packed in an unusual way")
    with archive.open(entry) as opened:
        return opened.read(entry.file_size)


def _leads_out(entry: ZipInfo) -> bool:
    path = PurePosixPath(entry.filename)
    link = stat.S_ISLNK(entry.external_attr >> 16)
    return link or path.is_absolute() or ".." in path.parts or bool(set("\\:") & set(str(path)))


def _known(path: PurePosixPath) -> bool:
    if str(path) in (WEIGHTS, PROMPTS):
        return True
    return str(path.parent) == PREVIEWS and path.suffix.lower() in _SUFFIXES


def _check_picture(name: str, data: bytes) -> None:
    try:
        with Image.open(BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
            if max(image.size) > _WIDEST:
                raise _Refusal(f"its picture {name} is wider or higher than {_WIDEST} pixels")
            image.load()
    except UNREADABLE:
        raise _Refusal(f"its picture {name} cannot be read") from None
