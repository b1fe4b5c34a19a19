"""The files of the pictures that Gradio shows, written once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from gradio import processing_utils
from PIL import Image

__all__ = ["write_pictures_once"]


def write_pictures_once() -> None:
    """Let Gradio write the file of a picture only if there is none.

    Gradio names the file by its content, and writes it again whenever the picture is shown.
    Whoever loads it at that moment, such as another visitor, gets only part of it.
    """
    # Of a subclass of a component, Gradio would write a .pyi file beside its module.
    processing_utils.save_pil_to_cache = _save  # type: ignore[assignment]


def _save(img: Image.Image, cache_dir: str, name: str = "image", format: str = "webp") -> str:  # noqa: A002 - as in Gradio
    """Return the path of a picture's file in a folder; write it if it is not there."""
    data = processing_utils.encode_pil_to_bytes(img, format)
    file = Path(cache_dir) / processing_utils.hash_bytes(data) / f"{name}.{format}"
    try:
        os.utime(file)  # Gradio removes old ones
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(handle, "wb") as written:
            written.write(data)
        Path(unfinished).replace(file)
    return str(file.resolve())
