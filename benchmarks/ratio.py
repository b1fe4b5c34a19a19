"""Ratios of two implementations of the same computation, timed in turn in one run.

"Ours" is the implementation of this project, "other" the one it is compared with.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from torch import Tensor

__all__ = ["Ratio", "alone", "apart", "gate", "interleaved", "side_by_side"]

_DRAWS = 2000  # bootstrap samples
Clock = Callable[[Callable[[], Any]], float]


@dataclass(frozen=True)
class Ratio:
    """A measured ratio with its bounds.

    Attributes:
        name: what is compared, such as `R1 naive step ÷ ours, emoji-world`.
        ratio: median over the pairs; without a comparison, the median time itself.
        low: lower end of the 95% bootstrap interval of the median.
        high: its upper end.
        other: median of the other implementation.
        own: median of ours; None without a comparison.
        unit: unit of `other` and `own`.
        goal: bound to aim at; None for a ratio that is reported without a verdict.
        least: bound that must be met; None likewise.
        difference: relative difference of the two results, as checked by `gate`.
        smaller_is_better: True if goal and least are upper bounds.
    """

    name: str
    ratio: float
    low: float
    high: float
    other: float
    own: float | None
    unit: str = "s"
    goal: float | None = None
    least: float | None = None
    difference: float = 0.0
    smaller_is_better: bool = False

    @property
    def verdict(self) -> str:
        """`goal`, `at least` or `short`; `beside` without bounds."""
        for name, bound in (("goal", self.goal), ("at least", self.least)):
            if bound is None:
                return "beside"
            if self.ratio <= bound if self.smaller_is_better else self.ratio >= bound:
                return name
        return "short"

    def row(self) -> dict:
        """All fields and the verdict as a dict, for JSON."""
        return asdict(self) | {"verdict": self.verdict}


def side_by_side(
    name: str,
    other: Callable[[], object],
    own: Callable[[], object],
    *,
    goal: float | None = None,
    least: float | None = None,
    difference: float = 0.0,
    pairs: int = 7,
    smaller_is_better: bool = False,
    seconds: Clock | None = None,
) -> Ratio:
    """Time two implementations in the order A B B A, after a warm-up.

    The caller checks beforehand that their results agree.

    Args:
        name: what is compared.
        other: runs the other implementation.
        own: runs ours.
        goal: see `Ratio`.
        least: see `Ratio`.
        difference: relative difference of the results, for the report.
        pairs: number of times each is timed.
        smaller_is_better: see `Ratio`.
        seconds: runs an implementation and returns its time; None takes the time on the clock.
    """
    theirs, ours = interleaved((other, own), pairs, seconds)
    ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
    return Ratio(
        name,
        median(ratios),
        *_interval(ratios),
        median(theirs),
        median(ours),
        goal=goal,
        least=least,
        difference=difference,
        smaller_is_better=smaller_is_better,
    )


def alone(
    name: str, work: Callable[[], object], *, goal: float, least: float, times: int = 7
) -> Ratio:
    """Time a single implementation, without a comparison, in milliseconds.

    Args:
        name: what is timed.
        work: runs it.
        goal: bound to aim at, in milliseconds.
        least: bound that must be met, in milliseconds.
        times: number of times it is timed, after a warm-up.
    """
    work()
    taken = [1000 * _seconds(work) for _ in range(times)]
    middle = median(taken)
    return Ratio(
        name,
        middle,
        *_interval(taken),
        middle,
        None,
        unit="ms",
        goal=goal,
        least=least,
        smaller_is_better=True,
    )


def interleaved(
    works: Sequence[Callable[[], Any]], rounds: int, seconds: Clock | None = None
) -> list[list[float]]:
    """Time each work in every round, after a warm-up, with every other round in reverse order.

    A temporary slowdown of the machine therefore affects all of them alike. `seconds` is as in
    `side_by_side`.

    Returns:
        For each work, its seconds in every round.
    """
    for work in works:
        work()
    taken: list[list[float]] = [[] for _ in works]
    for number in range(rounds):
        for place in range(len(works))[:: -1 if number % 2 else 1]:
            taken[place].append((seconds or _seconds)(works[place]))
    return taken


def apart(result: Tensor, wanted: Tensor) -> float:
    """Relative difference |result - wanted| / |wanted| of two tensors of the same shape."""
    return ((result - wanted).norm() / wanted.norm()).item()


def gate(name: str, difference: float, tolerance: float) -> float:
    """Return `difference` if it is within the tolerance.

    Raises:
        SystemExit: it is not, so that a ratio would compare two different computations.
    """
    # `not ... <=` rather than `>`: NaN fails every comparison.
    if not difference <= tolerance:
        raise SystemExit(
            f"{name}: the two ways differ by {difference:.1e}, more than {tolerance:.0e}"
        )
    return difference


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """95% bootstrap interval of the median."""
    draw = random.Random(0)
    medians = sorted(median(draw.choices(values, k=len(values))) for _ in range(_DRAWS))
    return medians[int(0.025 * _DRAWS)], medians[int(0.975 * _DRAWS)]
