"""Small JPEG pictures that stand inside HTML."""

from __future__ import annotations

import base64
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from PIL import Image

__all__ = ["small_jpeg", "thumbnail"]


_THUMBNAIL = 160  # pixels


@lru_cache(maxsize=256)
def thumbnail(file: Path) -> str:
    """A small JPEG: a job is looked at every second or two, and all its pictures with it."""
    with Image.open(file) as image:
        return small_jpeg(image)


def small_jpeg(image: Image.Image) -> str:
    """The content of a small JPEG file, as base64."""
    data, small = BytesIO(), image.convert("RGB")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    small.save(data, "JPEG", quality=85)
    return base64.b64encode(data.getvalue()).decode()
