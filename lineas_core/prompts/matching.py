"""Whether two lists of prompts are pairs: one scene with a concept and without it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lineas_core.prompts.errors import check_texts

__all__ = ["are_matched", "describe_matching"]

_SHOWN = 3  # deviating pairs


def are_matched(source: Sequence[str], target: Sequence[str]) -> bool:
    """Whether line k of one side is line k of the other with words added, for every k.

    "A fox in the snow, with a car" and "A fox in the snow." are a pair, and so are "A low-poly
    picture of a fox" and "A fox". Case and punctuation do not count.

    Args:
        source: n prompts.
        target: m prompts; sides of different size are not matched.

    Raises:
        UserError: a prompt is no text.
    """
    if len(source) != len(target) or list(source) == list(target):
        return False
    check_texts("source", source)
    check_texts("target", target)
    return all(map(_differ_by_added_words, source, target))


def describe_matching(source: Sequence[str], target: Sequence[str]) -> str:
    """Say whether two sides for pictures are matched, and which pairs of lines are not.

    Args:
        source: n prompts.
        target: m prompts.
    """
    if are_matched(source, target):
        return "The sides are matched: the two lines of every pair differ only by added words."
    advice = (
        "The sides are not matched. Maps for pictures are cleaner if line k of each side is the "
        "same scene, with and without the concept."
    )
    if len(source) != len(target) or list(source) == list(target):
        return advice
    pairs = enumerate(zip(source, target, strict=True), 1)
    others = [number for number, pair in pairs if not _differ_by_added_words(*pair)]
    named = ", ".join(map(str, others[:_SHOWN])) + ", ..." * (len(others) > _SHOWN)
    count = f"{len(others)} of {len(source)} pairs"
    return f"{advice} More than added words differ in {count} (line {named})."


def _differ_by_added_words(one: str, other: str) -> bool:
    shorter, longer = sorted((_words(one), _words(other)), key=len)
    rest = iter(longer)
    return bool(shorter) and all(word in rest for word in shorter)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
