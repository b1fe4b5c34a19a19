"""Whether texts mention a topic: keywords of its prompt set."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["mentions"]


def mentions(texts: Sequence[str], keywords: Sequence[str]) -> list[bool]:
    """Whether each text has a word that starts with one of the keywords, in any case.

    Differs from the paper, which asks a language model (section J): two cores run none that
    could judge.
    """
    pattern = re.compile(r"\b(?:" + "|".join(map(re.escape, keywords)) + ")", re.IGNORECASE)
    return [bool(keywords) and pattern.search(text) is not None for text in texts]
