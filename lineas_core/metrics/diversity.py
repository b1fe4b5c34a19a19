"""How varied texts are: different n-grams over all of them, repeated ones within each.

Sources: distinct-n is from Li et al., "A Diversity-Promoting Objective Function for Neural
Conversation Models" (2016, arXiv 1510.03055); repetition is the seq-rep-n of Welleck et al.,
"Neural Text Generation With Unlikelihood Training" (2020, arXiv 1908.04319).

Words count in any case, and so does every mark between them: a model that has lost its way
often repeats nothing else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

__all__ = ["distinct", "repetition"]

_WORD = re.compile(r"\w+|[^\w\s]")


def distinct(texts: Sequence[str], n: int) -> float:
    """Share of different n-grams among those of all texts, 0 to 1; NaN when there is none.

    More text has a lower share, so compare texts of equal number and length only.

    Differs from Li et al., who divide by the number of words: a single text of different words
    reaches 1 here for every n.
    """
    grams = [gram for text in texts for gram in _grams(text, n)]
    return len(set(grams)) / len(grams) if grams else math.nan


def repetition(texts: Sequence[str], n: int = 4) -> list[float]:
    """Share of each text's n-grams that came before in it, 0 to 1; NaN when it has none."""
    rows = [_grams(text, n) for text in texts]
    return [1 - len(set(grams)) / len(grams) if grams else math.nan for grams in rows]


def _grams(text: str, n: int) -> list[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
