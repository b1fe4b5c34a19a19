"""Diversity of texts: distinct n-grams over all texts, and repeated n-grams within a text.

Sources: distinct-n is from Li et al., "A Diversity-Promoting Objective Function for Neural
Conversation Models" (2016, arXiv 1510.03055); repetition is the seq-rep-n of Welleck et al.,
"Neural Text Generation With Unlikelihood Training" (2020, arXiv 1908.04319).

Words are compared without case. Punctuation marks count as words, because a degenerate model
often repeats only them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

__all__ = ["distinct", "repetition"]

_WORD = re.compile(r"\w+|[^\w\s]")


def distinct(texts: Sequence[str], n: int) -> float:
    """Compute the share of distinct n-grams in all texts, 0 to 1; NaN if there are none.

    The share falls with the amount of text: compare texts of equal number and length only.

    Differs from Li et al., who divide by the number of words: a single text of different words
    reaches 1 here for every n.
    """
    grams = [gram for text in texts for gram in _grams(text, n)]
    return len(set(grams)) / len(grams) if grams else math.nan


def repetition(texts: Sequence[str], n: int = 4) -> list[float]:
    """Compute the share of each text's n-grams that repeat earlier ones, 0 to 1; NaN if none."""
    rows = [_grams(text, n) for text in texts]
    return [1 - len(set(grams)) / len(grams) if grams else math.nan for grams in rows]


def _grams(text: str, n: int) -> list[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
