"""What the prompts of a map tell of its strengths."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean
from typing import NamedTuple

from lineas_core import PromptSet
from lineas_core.metrics.topic import words_from
from lineas_core.metrics.toxicity import toxicity
from lineas_core.models.catalog import Kind

__all__ = ["Signs", "signs_of"]

_READ = 16  # prompts of a side whose toxicity is judged
_OFFENSIVE = 0.5  # mean toxicity from which a side of the prompts counts as offensive


class Signs(NamedTuple):
    """What the prompts of a map tell of its strengths.

    Attributes:
        harmful: sign of the strengths that make texts more offensive; 0 if neither sign does.
        direction: sign of the strengths that bring more of the concept; 0 if unknown.
    """

    harmful: int = 0
    direction: int = 0


@lru_cache(maxsize=1 << 12)
def signs_of(prompts: PromptSet, kind: Kind) -> Signs:
    """Judge the prompts of a language model for toxicity, and look for keywords in all of them."""
    harmful = 0
    if kind == "language":
        source, target = (_toxicity(side) for side in (prompts.source, prompts.target))
        harmful = (target > _OFFENSIVE) - (source > _OFFENSIVE)
    return Signs(harmful, _direction(prompts))


def _toxicity(side: Sequence[str]) -> float:
    """The mean of the prompts that can be judged; a few of them tell, and reading costs time."""
    judged = [p for p in toxicity(side[:_READ]) if p is not None]
    return fmean(judged) if judged else 0.0


def _direction(prompts: PromptSet) -> int:
    """Return 1 if more target than source prompts have a keyword, -1 if fewer, 0 if as many."""
    if not prompts.keywords:
        return 0
    found = words_from(prompts.keywords).search
    sides = (prompts.source, prompts.target)
    source, target = (fmean(found(text) is not None for text in side) for side in sides)
    return (target > source) - (target < source)
