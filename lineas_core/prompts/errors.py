"""Errors of prompt files and prompt sets, each with its remedy."""

from __future__ import annotations

from lineas_core.errors import UserError

__all__ = ["plural", "prompt_error"]

_REMEDIES = {
    "E_BINARY": "Save the prompts as UTF-8 text.",
    "E_COUNT": "Choose a number in this range.",
    "E_WORD": "Name one thing in a few words, such as: car, or: the sea.",
    "E_CSV": "Correct this line; put a text that contains the separator in double quotes.",
    "E_ENCODING": "Save the prompts as UTF-8 text.",
    "E_FILE": "Check the path.",
    "E_FORMAT": "Use a csv, json or jsonl file, or for one side also txt.",
    "E_JSON": "Correct this line.",
    "E_KIND": "Choose one of them, or leave it out.",
    "E_ONE_SIDE": "Give a csv, json or jsonl file that has both, source and target.",
    "E_SIDES": "Give a file with one text per line, or leave out one of the sides.",
    "E_TOO_FEW": "Add prompts to this side.",
    "E_TOO_LARGE": "Keep fewer prompts.",
    "E_TOO_LONG": "Shorten this text.",
    "E_TOO_MANY": "Keep fewer prompts.",
}


def prompt_error(code: str, what: str, where: int | str = "") -> UserError:
    """Create the error of a code.

    Args:
        code: a key of the table of remedies.
        what: the invalid content and what is allowed.
        where: name of a file or side, or number of a line; empty if there is none.
    """
    place = f"line {where}" if isinstance(where, int) else where
    return UserError(code, what, where=place, remedy=_REMEDIES[code])


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, such as `1 prompt` or `2 prompts`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
