"""Checks of what comes in from the page or from a program. No gradio."""

from __future__ import annotations

from lineas_core import UserError
from lineas_core.prompts.files import MAX_CHARACTERS

__all__ = ["check_count", "number", "prompt_text", "seed_of"]


MOST_STRENGTHS = 9


def number(name: str, value: object, low: float, high: float) -> float:
    """A number between two bounds."""
    # `not low <= value` rather than `value < low`: NaN fails every comparison.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        remedy = f"Give a number from {low} to {high}."
        raise UserError("E_NUMBER", f"{name} is {value!r:.60}", remedy=remedy)
    return value


def seed_of(value: object) -> int:
    """A seed."""
    return int(number("seed", value, 0, 2**53))


def check_count(strengths: object) -> None:
    """Refuse a batch that is empty or too large."""
    if not isinstance(strengths, list | tuple):
        what = f"strengths is {strengths!r:.60}"
        raise UserError("E_STRENGTH", what, remedy="Give a list, such as [0, 1].")
    if not 1 <= len(strengths) <= MOST_STRENGTHS:
        remedy = f"Give 1 to {MOST_STRENGTHS}."
        raise UserError("E_STRENGTH", f"{len(strengths)} strengths came", remedy=remedy)


def prompt_text(text: object) -> str:
    """A prompt that is neither empty nor too long."""
    if not isinstance(text, str) or not text.strip():
        remedy = "Write a few words, or click an example."
        raise UserError("E_PROMPT", "the prompt is empty", remedy=remedy)
    if len(text) > MAX_CHARACTERS:
        what = f"the prompt has {len(text):,} characters, at most {MAX_CHARACTERS:,} are allowed"
        raise UserError("E_PROMPT", what, remedy="Shorten it.")
    return text.rstrip()  # a space at the end would make an unusual next word
