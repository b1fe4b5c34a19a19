"""Where the files lie that come with the project: maps, the built-in model, tables, prompts.

In a clone they are the folders `assets` and `prompts` beside the packages; the wheel carries both
inside this package, in `data`.
"""

from pathlib import Path

__all__ = ["ASSETS", "PROMPTS"]

_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE / "data" if (_PACKAGE / "data").is_dir() else _PACKAGE.parent

ASSETS = _ROOT / "assets"
"""Ready-made maps, the built-in image model, tables of results, style sheet and scripts."""

PROMPTS = _ROOT / "prompts"
"""Prompt sets, templates, openings and scenes."""
