"""Where the files lie that come with the project, and those that the page keeps.

The former are maps, the built-in model, tables and prompts.

In a clone they are the folders `assets` and `prompts` beside the packages; the wheel carries both
inside this package, in `data`.
"""

from pathlib import Path

from platformdirs import user_data_path

__all__ = ["ASSETS", "DATA", "PROMPTS"]

_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE / "data" if (_PACKAGE / "data").is_dir() else _PACKAGE.parent

ASSETS = _ROOT / "assets"
"""Ready-made maps, the built-in image model, tables of results, style sheet and scripts."""

PROMPTS = _ROOT / "prompts"
"""Prompt sets, templates, openings and scenes."""

DATA = user_data_path("lineas-studio")
"""Folder of the page's maps and jobs, unless it is started with another --data-dir."""
