"""Validation of values from the page and from programs. No gradio."""

from __future__ import annotations

from lineas_core import UserError
from lineas_core.prompts.files import MAX_CHARACTERS

__all__ = ["check_count", "number", "prompt_text", "seed_of", "whole"]


MOST_STRENGTHS = 9


def number(name: str, value: object, low: float, high: float) -> float:
    """Return a number if it lies between two bounds.

    Args:
        name: what the number is, for the error message.
        value: any value from a request.
        low: lowest valid number.
        high: highest valid number.

    Raises:
        UserError: the value is not a number, or out of bounds.
    """
    # `not low <= value` rather than `value < low`: NaN fails every comparison.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        remedy = f"Give a number from {low} to {high}."
        raise UserError("E_NUMBER", f"{name} is {value!r:.60}", remedy=remedy)
    return value


def whole(name: str, value: object, low: int, high: int) -> int:
    """Return a whole number if it lies between two bounds; see `number`.

    Raises:
        UserError: the value is not a number, not whole, or out of bounds.
    """
    if (checked := number(name, value, low, high)) != int(checked):
        remedy = f"Give a whole number from {low} to {high}."
        raise UserError("E_NUMBER", f"{name} is {value!r:.60}", remedy=remedy)
    return int(checked)


def seed_of(value: object) -> int:
    """Return a seed as a whole number, 0 to 2^53.

    Raises:
        UserError: the value is not a whole number, or out of bounds.
    """
    return whole("seed", value, 0, 2**53)


def check_count(strengths: object) -> None:
    """Check that a list of strengths is neither empty nor too long for one batch.

    Raises:
        UserError: it is not a list, or has no entry or more than nine.
    """
    if not isinstance(strengths, list | tuple):
        what = f"strengths is {strengths!r:.60}"
        raise UserError("E_STRENGTH", what, remedy="Give a list, such as [0, 1].")
    if not 1 <= len(strengths) <= MOST_STRENGTHS:
        what, remedy = f"{len(strengths)} strengths were given", f"Give 1 to {MOST_STRENGTHS}."
        raise UserError("E_STRENGTH", what, remedy=remedy)


def prompt_text(text: object) -> str:
    """Return a prompt without trailing whitespace, which would make an unusual next word.

    Raises:
        UserError: the prompt is empty or longer than `MAX_CHARACTERS`.
    """
    if not isinstance(text, str) or not text.strip():
        remedy = "Write a few words, or click an example."
        raise UserError("E_PROMPT", "the prompt is empty", remedy=remedy)
    if len(text) > MAX_CHARACTERS:
        what = f"the prompt has {len(text):,} characters, at most {MAX_CHARACTERS:,} are allowed"
        raise UserError("E_PROMPT", what, remedy="Shorten it.")
    return text.rstrip()
