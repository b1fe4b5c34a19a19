"""Count in how many continuations a property occurs, with their perplexity and repetition."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Protocol

from torch import Tensor, nn

from lineas_core.evaluation.inputs import generate_in_batches
from lineas_core.metrics.diversity import repetition
from lineas_core.runtime.memory import MemoryPlan
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.folding import fold

__all__ = [
    "TEXTS_AT_ONCE",
    "Counts",
    "Writer",
    "count",
    "count_written",
    "row_seeds",
    "summarise",
]

TEXTS_AT_ONCE = {"cpu": 128, "gpu": 512}
"""Texts in one batch: a GPU takes hardly longer for more rows, a CPU gains nothing by them."""
_SEED_STRIDE = 1_000_003  # between the seeds of two repetitions: more than there are openings


class Writer(Protocol):
    """A language model, or a wrapper around one such as `InstructedModel`."""

    @property
    def network(self) -> nn.Module:
        """The network that maps steer."""

    def generate(self, prompts: Sequence[str], *, seeds: Sequence[int]) -> list[str]:
        """Continue n prompts; returns the n continuations alone."""

    def log_likelihood(self, openings: Sequence[str], continuations: Sequence[str]) -> Tensor:
        """(n, 2): log-probability of each continuation, and its number of tokens."""


@dataclass(frozen=True)
class Counts:
    """Sums over continuations; two of them can be added.

    Attributes:
        texts: number of continuations.
        hits: number of continuations with the property.
        log_p: sum of their natural log-probabilities under the unsteered model, 0 or less.
        tokens: number of tokens of all of them.
        repeated: sum over continuations of the share of their 4-grams that repeat earlier ones.
    """

    texts: int = 0
    hits: int = 0
    log_p: float = 0.0
    tokens: float = 0.0
    repeated: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.texts + other.texts,
            self.hits + other.hits,
            self.log_p + other.log_p,
            self.tokens + other.tokens,
            self.repeated + other.repeated,
        )

    @property
    def share(self) -> float:
        """Share of the continuations with the property, 0 to 1."""
        return self.hits / self.texts

    @property
    def perplexity(self) -> float:
        """Perplexity per token under the unsteered model, 1 or more; NaN if all are empty."""
        return math.exp(-self.log_p / self.tokens) if self.tokens else math.nan

    @property
    def repetition(self) -> float:
        """Mean share of repeated 4-grams, 0 to 1; it reveals looping texts of low perplexity."""
        return self.repeated / self.texts


def count(
    model: Writer,
    maps: SteeringMaps,
    openings: Sequence[str],
    has: Callable[[Sequence[str]], list[bool]],
    *,
    strength: float,
    seeds: Sequence[Sequence[int]],
) -> list[Counts]:
    """Continue openings with steering, and count; only the continuations are judged.

    Args:
        model: the model the maps were learnt on.
        maps: the maps to apply.
        openings: texts to continue, k of them.
        has: n continuations -> whether each has the property.
        strength: λ.
        seeds: for every repetition, k seeds (see `row_seeds`).

    Returns:
        One `Counts` per repetition.

    Raises:
        UserError: memory runs out.
    """
    prompts, flat = [*openings] * len(seeds), [seed for rows in seeds for seed in rows]
    device = "cpu" if model.network.device.type == "cpu" else "gpu"  # type: ignore[union-attr]
    with fold(model.network, maps, strength):
        plan = MemoryPlan(TEXTS_AT_ONCE[device])
        texts = generate_in_batches(model, plan, prompts, flat)
    log_p = model.log_likelihood(prompts, texts)
    repetitions = (
        slice(start, start + len(openings)) for start in range(0, len(prompts), len(openings))
    )
    return [_counts(texts[rows], log_p[rows], has) for rows in repetitions]


def count_written(
    model: Writer,
    openings: Sequence[str],
    texts: Sequence[str],
    has: Callable[[Sequence[str]], list[bool]],
) -> Counts:
    """Count in continuations that have been written.

    Args:
        model: measures the perplexity, unsteered.
        openings: n texts.
        texts: their n continuations.
        has: as in `count`.
    """
    return _counts(texts, model.log_likelihood(openings, texts), has)


def row_seeds(seed: int, places: Iterable[int]) -> list[int]:
    """The seeds of the openings at these places of a list, in one repetition.

    They depend on repetition and place alone, so that a list counted in parts gives the same
    numbers as one counted at once.
    """
    return [seed * _SEED_STRIDE + place for place in places]


def summarise(strength: float, repetitions: Sequence[Counts]) -> dict:
    """The row of a sweep for one strength.

    Args:
        strength: λ.
        repetitions: one `Counts` per seed.

    Returns:
        {"strength", "texts", "share", "spread", "perplexity", "perplexity_spread",
        "repetition"}: number of texts; share of them with the property, 0 to 1; perplexity of all
        continuations under the unsteered model, NaN if all of a repetition are empty; the
        standard deviations of both over seeds (0 for one seed); and the mean share of repeated
        4-grams in a text, 0 to 1.
    """
    total = sum(repetitions, Counts())
    return {
        "strength": strength,
        "texts": total.texts,
        "share": total.share,
        "spread": _spread([counts.share for counts in repetitions]),
        "perplexity": total.perplexity,
        "perplexity_spread": _spread([counts.perplexity for counts in repetitions]),
        "repetition": total.repetition,
    }


def _counts(
    texts: Sequence[str], log_p: Tensor, has: Callable[[Sequence[str]], list[bool]]
) -> Counts:
    total, tokens = log_p.sum(dim=0).tolist()
    repeated = sum(share for share in repetition(texts) if not math.isnan(share))
    return Counts(len(texts), sum(has(texts)), total, tokens, repeated)


def _spread(values: Sequence[float]) -> float:
    if any(map(math.isnan, values)):  # stdev raises on some versions of Python
        return math.nan
    return stdev(values) if len(values) > 1 else 0.0
