"""Two ways to the same result, measured side by side in one run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from torch import Tensor

__all__ = ["Ratio", "alone", "apart", "gate", "interleaved", "side_by_side"]

_DRAWS = 2000


@dataclass(frozen=True)
class Ratio:
    """How many times as much the other way takes.

    Attributes:
        name: which ratio, and of what.
        ratio: median over the pairs; what is measured alone is its own ratio.
        low: lower end of the 95 % bootstrap interval of the median.
        high: its upper end.
        other: median of the other way.
        own: median of ours; None for what is measured alone.
        unit: of both.
        goal: what is aimed at; None for what is only shown beside.
        least: what must be reached; None likewise.
        difference: largest relative difference of the results, the gate that was passed.
        smaller_is_better: whether goal and least are upper bounds.
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
        """`goal`, `at least`, `short`, or `beside` for what is not judged."""
        for name, bound in (("goal", self.goal), ("at least", self.least)):
            if bound is None:
                return "beside"
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
    goal: float | None = None,
    least: float | None = None,
    difference: float = 0.0,
    pairs: int = 7,
    smaller_is_better: bool = False,
) -> Ratio:
    """Time both, A B B A, after a warm-up; results are compared by the caller beforehand.

    Args:
        name: which ratio, and of what.
        other: the other way.
        own: ours.
        goal: what is aimed at; None for what is only shown beside.
        least: what must be reached; None likewise.
        difference: of the results, for the report.
        pairs: how often each is timed.
        smaller_is_better: whether the ratio should be small.
    """
    theirs, ours = interleaved((other, own), pairs)
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
    """Milliseconds of what has nothing to be compared with.

    Args:
        name: of what.
        work: what is timed, after a warm-up.
        goal: what is aimed at, in milliseconds.
        least: what must be reached, in milliseconds.
        times: how often it is timed.
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


def interleaved(works: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Seconds of each work in every round, after a warm-up; every other round runs backwards.

    So what slows the machine down for a while slows them all.
    """
    for work in works:
        work()
    taken: list[list[float]] = [[] for _ in works]
    for number in range(rounds):
        for place in range(len(works))[:: -1 if number % 2 else 1]:
            taken[place].append(_seconds(works[place]))
    return taken


def apart(result: Tensor, wanted: Tensor) -> float:
    """Relative difference of two tensors of one shape, by their norms."""
    return ((result - wanted).norm() / wanted.norm()).item()


def gate(name: str, difference: float, tolerance: float) -> float:
    """Let a difference pass that is within its tolerance.

    Raises:
        SystemExit: it is not; a ratio would compare two different things.
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
    """95 % bootstrap interval of the median."""
    draw = random.Random(0)
    medians = sorted(median(draw.choices(values, k=len(values))) for _ in range(_DRAWS))
    return medians[int(0.025 * _DRAWS)], medians[int(0.975 * _DRAWS)]
