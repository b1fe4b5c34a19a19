"""The texts of a PNG file from anywhere: no pixel is decoded and nothing is unpacked.

So neither a picture of a million million pixels nor a text that swells when it is unpacked can
do harm. What is read is `tEXt` and `iTXt` as it stands; `zTXt` and a packed `iTXt` are passed
over. See the PNG specification, sections 5 and 11.3.
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
_MOST_BYTES = 64 << 20  # of a file
_LONGEST = 1 << 16  # bytes of a text


def png_texts(file: Path) -> dict[str, str]:
    """Keyword -> text; empty where there is none.

    Args:
        file: a PNG file; what follows a broken place in it is ignored.

    Raises:
        UserError: it is no PNG file, or too large.
    """
    with file.open("rb") as stream:
        if stream.read(len(_SIGNATURE)) != _SIGNATURE:
            raise UserError("E_PNG", "this is no PNG file", remedy="Choose one that ends in .png.")
        if file.stat().st_size > _MOST_BYTES:
            what = f"the picture has more than {_MOST_BYTES >> 20} MB"
            raise UserError("E_PNG", what, remedy="Choose a smaller one.")
        return dict(_texts(stream))


def _texts(stream: BinaryIO) -> Iterator[tuple[str, str]]:
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        start = stream.tell()
        if kind in _READERS and length <= _LONGEST:
            yield from _READERS[kind](stream.read(length))
        stream.seek(start + length + 4, os.SEEK_SET)  # 4 bytes of checksum
        if kind == b"IEND":
            return


def _plain(data: bytes) -> Iterator[tuple[str, str]]:
    """Of `tEXt`: keyword, text."""
    keyword, _, text = data.decode("latin-1").partition("\0")
    yield keyword, text


def _international(data: bytes) -> Iterator[tuple[str, str]]:
    """Of `iTXt`: keyword, whether it is packed and how, language, translated keyword, text."""
    keyword, _, rest = data.partition(b"\0")
    packed, parts = rest[:1] != b"\0", rest[2:].split(b"\0", 2)
    if not packed and len(parts) == 3:
        yield keyword.decode("latin-1"), parts[2].decode("utf-8", "replace")


_READERS = {b"tEXt": _plain, b"iTXt": _international}
