"""The JavaScript of the page, one file in `assets/scripts` for each event."""

from __future__ import annotations

import json

from lineas_core.paths import ASSETS

__all__ = ["script"]


def script(name: str, **values: object) -> str:
    """Read a script; `$NAME` in it becomes the value of that name, as JSON."""
    text = (ASSETS / "scripts" / f"{name}.js").read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"${key.upper()}", json.dumps(value))
    return text
