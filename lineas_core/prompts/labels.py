"""The values of a column: texts, labels, and scores from 0 to 1, which become the labels 0 and 1.

A csv file has texts only, a json file numbers and truth values, too: "1", 1.0 and true are one
label.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = [
    "are_flags",
    "are_scores",
    "are_texts",
    "is_missing",
    "label_of",
    "labels_of",
    "side_of",
]

_SOURCE_WORDS = {"toxic", "toxicity", "offensive", "hateful", "rude"}
_TARGET_WORDS = {"neutral", "civil", "polite", "detoxified", "nontoxic"}
_NEGATIONS = {"non", "not", "no"}
_TRUTHS = {"true": 1.0, "false": 0.0}
_THRESHOLD = 0.5  # as in the papers of RealToxicityPrompts and of the Jigsaw sets


def is_missing(value: object) -> bool:
    """Return whether a value is blank, null or not a number."""
    return value is None or str(value).strip().casefold() in ("", "nan")


def are_texts(values: Sequence[object]) -> bool:
    """Return whether there are texts among values, and not numbers only."""
    return any(isinstance(value, str) and _number(value) is None for value in values)


def are_scores(values: Sequence[object]) -> bool:
    """Return whether there are values, all of them numbers from 0 to 1."""
    numbers = [_number(value) for value in values]
    return bool(numbers) and all(n is not None and 0 <= n <= 1 for n in numbers)


def are_flags(values: Sequence[object]) -> bool:
    """Return whether there are values, all of them 0 or 1."""
    return bool(values) and all(_number(value) in (0, 1) for value in values)


def labels_of(values: Sequence[object]) -> list[str]:
    """Return the different labels in a column in their order."""
    scores = are_scores(values)
    return [*dict.fromkeys(label_of(value, scores=scores) for value in values)]


def label_of(value: object, *, scores: bool) -> str:
    """Return a label in lower case, without blanks around it; empty if it is missing.

    Args:
        value: a value of a column with labels.
        scores: whether the column holds scores; 0.5 or more becomes 1.
    """
    if is_missing(value):
        return ""
    if scores:
        return "1" if (_number(value) or 0) >= _THRESHOLD else "0"
    return f"{value:.15g}" if isinstance(value, float) else str(value).strip().casefold()


def side_of(name: str) -> str:
    """Return the side that a column or label is named after; empty if it is neither."""
    words = {*re.findall(r"[^\W\d_]+", name.casefold())}
    if words & _SOURCE_WORDS:
        return "target" if words & _NEGATIONS else "source"
    return "target" if words & _TARGET_WORDS else ""


def _number(value: object) -> float | None:
    """Return a value as a number; None if it is none."""
    text = str(value).strip().casefold()
    try:
        return _TRUTHS[text] if text in _TRUTHS else float(text)
    except ValueError:
        return None
