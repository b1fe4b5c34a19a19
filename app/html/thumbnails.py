"""Small JPEG pictures to embed in HTML."""

from __future__ import annotations

import base64
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from PIL import Image

from lineas_core.storage.disk import read_regular

__all__ = ["small_jpeg", "thumbnail"]


_THUMBNAIL = 160  # pixels


@lru_cache(maxsize=256)
def thumbnail(file: Path) -> str:
    """Return a file as a small JPEG in base64.

    Cached, because a running job and all its pictures are redrawn every second or two.
    """
    with Image.open(BytesIO(read_regular(file))) as image:
        return small_jpeg(image)


def small_jpeg(image: Image.Image, side: int = _THUMBNAIL) -> str:
    """Return a picture as a JPEG in base64, at most `side` pixels wide and high."""
    data, small = BytesIO(), image.convert("RGB")
    small.thumbnail((side, side))
    small.save(data, "JPEG", quality=85)
    return base64.b64encode(data.getvalue()).decode()
