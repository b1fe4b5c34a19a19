"""Whether two lists of prompts are pairs: one scene with a concept and without it."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["are_matched"]


def are_matched(source: Sequence[str], target: Sequence[str]) -> bool:
    """Whether line k of one side is line k of the other with words added, for every k.

    "A fox in the snow, with a car" and "A fox in the snow." are a pair, and so are "A low-poly
    picture of a fox" and "A fox". Case and punctuation do not count.

    Args:
        source: n prompts.
        target: m prompts; sides of different size are not matched.
    """
    if len(source) != len(target) or list(source) == list(target):
        return False
    return all(map(_differ_by_added_words, source, target))


def _differ_by_added_words(one: str, other: str) -> bool:
    shorter, longer = sorted((_words(one), _words(other)), key=len)
    rest = iter(longer)
    return bool(shorter) and all(word in rest for word in shorter)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
