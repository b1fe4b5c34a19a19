"""Read the texts of an untrusted PNG file without decoding pixels or decompressing anything.

Neither a huge picture nor a text that expands when it is decompressed can therefore do harm. Only
`tEXt` and uncompressed `iTXt` chunks are read; `zTXt` and compressed `iTXt` are skipped. See the
PNG specification, sections 5 and 11.3.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lineas_core.errors import UserError

__all__ = ["png_texts"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_FILE = 64 << 20  # bytes
_MAX_TEXT = 1 << 16  # bytes of a chunk


def png_texts(file: Path) -> dict[str, str]:
    """Return the texts of a PNG file, keyword -> text.

    Args:
        file: the PNG file; everything after a damaged chunk is ignored.

    Raises:
        UserError: the file is not a PNG file, or is larger than 64 MB.
    """
    with file.open("rb") as stream:
        if stream.read(len(_SIGNATURE)) != _SIGNATURE:
            raise UserError(
                "E_PNG", "this is not a PNG file", remedy="Choose one that ends in .png."
            )
        if file.stat().st_size > _MAX_FILE:
            what = f"the picture has more than {_MAX_FILE >> 20} MB"
            raise UserError("E_PNG", what, remedy="Choose a smaller one.")
        return dict(_texts(stream))


def _texts(stream: BinaryIO) -> Iterator[tuple[str, str]]:
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        start = stream.tell()
        if kind in _READERS and length <= _MAX_TEXT:
            yield from _READERS[kind](stream.read(length))
        stream.seek(start + length + 4, os.SEEK_SET)  # 4 bytes of checksum
        if kind == b"IEND":
            return


def _plain(data: bytes) -> Iterator[tuple[str, str]]:
    """Parse a `tEXt` chunk: keyword and text."""
    keyword, _, text = data.decode("latin-1").partition("\0")
    yield keyword, text


def _international(data: bytes) -> Iterator[tuple[str, str]]:
    """Parse an `iTXt` chunk: keyword, compression, language, translated keyword, text."""
    keyword, _, rest = data.partition(b"\0")
    compressed, parts = rest[:1] != b"\0", rest[2:].split(b"\0", 2)
    if not compressed and len(parts) == 3:
        yield keyword.decode("latin-1"), parts[2].decode("utf-8", "replace")


_READERS = {b"tEXt": _plain, b"iTXt": _international}
