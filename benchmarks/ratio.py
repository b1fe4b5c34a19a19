"""Two ways to the same result, timed side by side in one run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median

__all__ = ["Ratio", "side_by_side"]

_DRAWS = 2000


@dataclass(frozen=True)
class Ratio:
    """How many times as long the other way takes.

    Attributes:
        name: which ratio, and of what.
        goal: what is aimed at.
        least: what must be reached.
        ratio: median over the pairs.
        low: lower end of the 95 % bootstrap interval of the median.
        high: its upper end.
        other_seconds: median of the other way.
        own_seconds: median of ours.
        difference: largest relative difference of the results, the gate that was passed.
        smaller_is_better: whether goal and least are upper bounds.
    """

    name: str
    goal: float
    least: float
    ratio: float
    low: float
    high: float
    other_seconds: float
    own_seconds: float
    difference: float
    smaller_is_better: bool = False

    @property
    def verdict(self) -> str:
        """`goal`, `at least`, or `short`."""
        for name, bound in (("goal", self.goal), ("at least", self.least)):
            if self.ratio <= bound if self.smaller_is_better else self.ratio >= bound:
                return name
        return "short"

    def row(self) -> dict:
        """All of it, for JSON."""
        return asdict(self) | {"verdict": self.verdict}


def side_by_side(
    name: str,
    other: Callable[[], object],
    own: Callable[[], object],
    *,
    goal: float,
    least: float,
    difference: float = 0.0,
    pairs: int = 7,
    smaller_is_better: bool = False,
) -> Ratio:
    """Time both, A B B A, after a warm-up; results are compared by the caller beforehand.

    Args:
        name: which ratio, and of what.
        other: the other way.
        own: ours.
        goal: what is aimed at.
        least: what must be reached.
        difference: of the results, for the report.
        pairs: how often each is timed.
        smaller_is_better: whether the ratio should be small.
    """
    other(), own()
    seconds: dict[Callable, list[float]] = {other: [], own: []}
    for pair in range(pairs):
        for work in (other, own) if pair % 2 == 0 else (own, other):
            start = time.perf_counter()
            work()
            seconds[work].append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(seconds[other], seconds[own], strict=True)]
    draw = random.Random(0)
    medians = sorted(median(draw.choices(ratios, k=len(ratios))) for _ in range(_DRAWS))
    return Ratio(
        name,
        goal,
        least,
        median(ratios),
        medians[int(0.025 * _DRAWS)],
        medians[int(0.975 * _DRAWS)],
        median(seconds[other]),
        median(seconds[own]),
        difference,
        smaller_is_better,
    )
