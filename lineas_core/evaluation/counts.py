"""Count in how many continuations properties occur, with their perplexity and repetition."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
    "Properties",
    "Share",
    "Writer",
    "Written",
    "count",
    "row_seeds",
    "summarise",
    "write",
]

TEXTS_AT_ONCE = {"cpu": 128, "gpu": 512}
"""Texts in one batch: a GPU takes hardly longer for more rows, a CPU gains nothing by them."""
Properties = Mapping[str, Callable[[Sequence[str]], Sequence[bool | None]]]
"""Name -> (n texts -> whether each has the property; None where that cannot be judged)."""
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
class Share:
    """How many texts have a property, of those that could be judged; two of them can be added.

    Attributes:
        hits: number of texts with the property.
        judged: number of texts that could be judged.
    """

    hits: int = 0
    judged: int = 0

    @classmethod
    def of(cls, found: Sequence[bool | None]) -> Share:
        """Count what a judge found; None is a text that it could not judge."""
        return cls(sum(map(bool, found)), sum(has is not None for has in found))

    def __add__(self, other: Share) -> Share:
        return Share(self.hits + other.hits, self.judged + other.judged)

    @property
    def value(self) -> float:
        """Share of the judged texts with the property, 0 to 1; NaN if none could be judged."""
        return self.hits / self.judged if self.judged else math.nan


@dataclass(frozen=True)
class Counts:
    """Sums over continuations; two of them can be added.

    Attributes:
        texts: number of continuations.
        shares: property -> how many continuations have it.
        log_p: sum of their natural log-probabilities under the unsteered model, 0 or less.
        tokens: number of tokens of all of them.
        repeated: sum over continuations of the share of their 4-grams that repeat earlier ones.
    """

    texts: int = 0
    shares: Mapping[str, Share] = field(default_factory=dict)
    log_p: float = 0.0
    tokens: float = 0.0
    repeated: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        names, none = dict.fromkeys([*self.shares, *other.shares]), Share()
        return Counts(
            self.texts + other.texts,
            {k: self.shares.get(k, none) + other.shares.get(k, none) for k in names},
            self.log_p + other.log_p,
            self.tokens + other.tokens,
            self.repeated + other.repeated,
        )

    @property
    def perplexity(self) -> float:
        """Perplexity per token under the unsteered model, 1 or more; NaN if all are empty."""
        return math.exp(-self.log_p / self.tokens) if self.tokens else math.nan

    @property
    def repetition(self) -> float:
        """Mean share of repeated 4-grams, 0 to 1; it reveals looping texts of low perplexity."""
        return self.repeated / self.texts


@dataclass(frozen=True)
class Written:
    """Continuations, before anything is counted in them.

    Attributes:
        texts: n texts.
        log_p: for each, its log-probability under the unsteered model and its number of tokens.
    """

    texts: Sequence[str]
    log_p: Sequence[Sequence[float]]


def write(
    model: Writer,
    maps: SteeringMaps,
    openings: Sequence[str],
    *,
    strength: float,
    seeds: Sequence[Sequence[int]],
) -> list[Written]:
    """Continue openings with steering.

    Args:
        model: the model the maps were learnt on.
        maps: the maps to apply.
        openings: texts to continue, k of them.
        strength: λ.
        seeds: for every repetition, k seeds (see `row_seeds`).

    Returns:
        For every repetition, k continuations without their openings.

    Raises:
        UserError: memory runs out.
    """
    prompts, flat = [*openings] * len(seeds), [seed for rows in seeds for seed in rows]
    device = "cpu" if model.network.device.type == "cpu" else "gpu"  # type: ignore[union-attr]
    with fold(model.network, maps, strength):
        plan = MemoryPlan(TEXTS_AT_ONCE[device])
        texts = generate_in_batches(model, plan, prompts, flat)
    log_p = model.log_likelihood(prompts, texts).tolist()
    repetitions = (
        slice(start, start + len(openings)) for start in range(0, len(prompts), len(openings))
    )
    return [Written(texts[rows], log_p[rows]) for rows in repetitions]


def count(written: Written, properties: Properties) -> Counts:
    """Count properties in continuations; their openings are not judged."""
    log_p, tokens = (math.fsum(column) for column in zip(*written.log_p, strict=True))
    shares = {name: Share.of(has(written.texts)) for name, has in properties.items()}
    repeated = sum(share for share in repetition(written.texts) if not math.isnan(share))
    return Counts(len(written.texts), shares, log_p, tokens, repeated)


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
        repetitions: one `Counts` per seed; their first property is the main one.

    Returns:
        {"strength", "texts", "share", "spread", "judged", "by", "perplexity",
        "perplexity_spread", "repetition"}: number of texts; share of those with the main
        property, 0 to 1; perplexity of all continuations under the unsteered model, NaN if all of
        a repetition are empty; the standard deviations of both over seeds (0 for one seed);
        number of texts that could be judged; `by`, each property -> {"share", "spread",
        "judged"}; and the mean share of repeated 4-grams in a text, 0 to 1. Shares are those of
        the texts that could be judged, NaN without any.
    """
    total = sum(repetitions, Counts())
    by = {
        name: {
            "share": share.value,
            "spread": _spread([counts.shares[name].value for counts in repetitions]),
            "judged": share.judged,
        }
        for name, share in total.shares.items()
    }
    main = next(iter(by.values()))
    return {
        "strength": strength,
        "texts": total.texts,
        **main,
        "by": by,
        "perplexity": total.perplexity,
        "perplexity_spread": _spread([counts.perplexity for counts in repetitions]),
        "repetition": total.repetition,
    }


def _spread(values: Sequence[float]) -> float:
    if any(map(math.isnan, values)):  # stdev raises on some versions of Python
        return math.nan
    return stdev(values) if len(values) > 1 else 0.0
