"""The JavaScript of the page: one file per event in `assets/scripts`."""

from __future__ import annotations

import json

from lineas_core.paths import ASSETS

__all__ = ["script"]


def script(name: str, **values: object) -> str:
    """Read a script.

    Args:
        name: file name without its suffix.
        **values: `$NAME` in the script is replaced by the value `name`, as JSON.
    """
    text = (ASSETS / "scripts" / f"{name}.js").read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"${key.upper()}", json.dumps(value))
    return text
