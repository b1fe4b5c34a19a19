"""Errors of prompt files and prompt sets, each with its remedy."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lineas_core.errors import UserError

__all__ = ["UNCLEAR", "check_list", "check_texts", "listed", "plural", "prompt_error"]

UNCLEAR = ("E_COLUMNS", "E_LABELS")
"""Codes of the errors that a choice of columns resolves."""
_LONGEST_LIST = 160  # characters

_REMEDIES = {
    "E_BINARY": "Save the prompts as UTF-8 text.",
    "E_COUNT": "Choose a number in this range.",
    "E_WORD": "Name one thing in a few words, such as: car, or: the sea.",
    "E_COLUMN": "Name one that the file has, or leave it out.",
    "E_COLUMNS": "Rename the columns; a command also takes --text-column and --label-column.",
    "E_CSV": "Correct this line; put a text that contains the separator in double quotes.",
    "E_ENCODING": "Save the prompts as UTF-8 text.",
    "E_FILE": "Check the path.",
    "E_FORMAT": "Use a txt, csv, tsv, json, jsonl or ndjson file.",
    "E_HEADER": "Give each column a name of its own.",
    "E_JSON": "Correct this line.",
    "E_KEYWORDS": "Keep fewer, or shorter ones.",
    "E_KIND": "Choose one of them, or leave it out.",
    "E_LABEL": "Correct this label; a command also takes --source-label.",
    "E_LABELS": "Rename the labels to source and target; a command also takes --source-label.",
    "E_LAYOUT": "Give as many prompts on each side, or leave out the layout or --matched.",
    "E_PROMPTS": "Give a list of texts.",
    "E_SIDES": "Give one file with both sides, or two files with one side each.",
    "E_STYLES": "Give a file with the columns source and target, or one file for each side.",
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


def check_list(name: str, prompts: object) -> None:
    """Refuse one text in place of a list, whose letters would be taken for texts, and no list.

    Args:
        name: what to call the list in the error.
        prompts: what a caller gave.

    Raises:
        UserError: it is no list.
    """
    if isinstance(prompts, str) or not isinstance(prompts, Collection):
        raise prompt_error("E_PROMPTS", f"{name} is {prompts!r:.60}")


def check_texts(name: str, texts: Collection[object]) -> None:
    """Refuse what is no list of texts.

    Args:
        name: what to call them in the error.
        texts: what a caller gave.

    Raises:
        UserError: it is something else, or an item of it is.
    """
    check_list(name, texts)
    for text in texts:
        if not isinstance(text, str):
            raise prompt_error("E_PROMPTS", f"{name} has {text!r:.60} among its texts")


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, such as `1 prompt` or `2 prompts`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def listed(names: Iterable[str]) -> str:
    """Return names separated by commas, cut to 160 characters."""
    text = ", ".join(names)
    return text if len(text) <= _LONGEST_LIST else f"{text[:_LONGEST_LIST]} ..."
