"""What a map does to generated texts or pictures: one row of figures for each strength."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.methods.prompting import instructed
from lineas_core.metrics.diversity import repetition
from lineas_core.metrics.topic import mentions
from lineas_core.metrics.toxicity import roberta_toxicity, toxicity
from lineas_core.models import LanguageModel, TextToImageModel
from lineas_core.runtime.memory import MemoryPlan
from lineas_core.steering.affine import SteeringMaps, compose
from lineas_core.steering.folding import fold

__all__ = [
    "METRICS",
    "STRENGTHS",
    "Tally",
    "count",
    "figures",
    "row_seeds",
    "sweep",
    "sweep_composed",
]


STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Where a map is measured unless told otherwise."""
_TEXTS_AT_ONCE = (128, 512)  # on a CPU, on a GPU
_APART = 1_000_003  # between the random numbers of two seeds: more than there are openings
METRICS: dict[str, Callable[[Sequence[str], Sequence[str]], list[bool]]] = {
    "topic": mentions,
    "toxicity": lambda texts, _: [p > 0.5 for p in toxicity(texts)],
    "roberta-toxicity": lambda texts, _: [p > 0.5 for p in roberta_toxicity(texts)],
}
"""Name -> (texts, keywords) -> whether each text has the property."""


@dataclass(frozen=True)
class Tally:
    """What was counted in continuations; tallies add up.

    Attributes:
        texts: number of continuations.
        hits: number of those with the property.
        log_p: sum of their log-probabilities under the unsteered model, 0 or less.
        tokens: of all of them together.
        repeated: sum of the shares of their 4-grams that came before in the same continuation.
    """

    texts: int = 0
    hits: int = 0
    log_p: float = 0.0
    tokens: float = 0.0
    repeated: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.texts + other.texts,
            self.hits + other.hits,
            self.log_p + other.log_p,
            self.tokens + other.tokens,
            self.repeated + other.repeated,
        )

    @property
    def share(self) -> float:
        """Share of the texts with the property, 0 to 1."""
        return self.hits / self.texts

    @property
    def perplexity(self) -> float:
        """Of all continuations under the unsteered model; NaN when all are empty."""
        return math.exp(-self.log_p / self.tokens) if self.tokens else math.nan

    @property
    def repetition(self) -> float:
        """Mean share of repeated 4-grams, 0 to 1; a text that loops is likely, and yet no text."""
        return self.repeated / self.texts


def count(
    model: LanguageModel,
    maps: SteeringMaps,
    openings: Sequence[str],
    has: Callable[[Sequence[str]], list[bool]],
    *,
    strength: float,
    luck: Sequence[Sequence[int]],
    instruction: str = "",
) -> list[Tally]:
    """Continue openings, and count; only the continuations are judged.

    Args:
        model: the model the maps were learnt on.
        maps: what steers.
        openings: texts to continue.
        has: tells of each continuation whether it has the property.
        strength: λ.
        luck: a seed for every opening (see `row_seeds`), as many times as each is continued.
        instruction: what the model is told before each opening (see `instructed`); what it writes
            is judged as if nothing had been said.

    Returns:
        A tally for each time.

    Raises:
        UserError: the memory does not suffice.
    """
    prompts, seeds = [*openings] * len(luck), [seed for rows in luck for seed in rows]
    # A GPU takes hardly longer for more rows than for few; a CPU gains nothing.
    plan = MemoryPlan(_TEXTS_AT_ONCE[model.network.device.type != "cpu"])
    said = instructed(prompts, instruction) if instruction else prompts
    with fold(model.network, maps, strength):
        texts = _generated(model, plan, said, seeds)
    log_p = model.log_likelihood(prompts, texts)
    tallies = []
    for start in range(0, len(prompts), len(openings)):
        rows = slice(start, start + len(openings))
        written = texts[rows]
        total, tokens = log_p[rows].sum(dim=0).tolist()
        repeated = sum(share for share in repetition(written) if not math.isnan(share))
        tallies.append(Tally(len(written), sum(has(written)), total, tokens, repeated))
    return tallies


def row_seeds(seed: int, places: Iterable[int]) -> list[int]:
    """Seeds of the openings at these places of a list, in one repetition.

    They depend on repetition and place alone: counted in parts, a list has the same luck.
    """
    return [seed * _APART + place for place in places]


def figures(strength: float, repetitions: Sequence[Tally]) -> dict:
    """One row of figures.

    Args:
        strength: λ.
        repetitions: one tally for every seed.

    Returns:
        {"strength", "texts", "share", "spread", "perplexity", "perplexity_spread",
        "repetition"}: number of texts; share of them with the property, 0 to 1; perplexity of all
        continuations under the unsteered model, NaN when all of a repetition are empty; the
        standard deviations of both over seeds (0 for one seed); and the mean share of repeated
        4-grams in a text, 0 to 1.
    """
    total = sum(repetitions, Tally())
    return {
        "strength": strength,
        "texts": total.texts,
        "share": total.share,
        "spread": _spread([tally.share for tally in repetitions]),
        "perplexity": total.perplexity,
        "perplexity_spread": _spread([tally.perplexity for tally in repetitions]),
        "repetition": total.repetition,
    }


def sweep(
    model: LanguageModel,
    maps: SteeringMaps,
    openings: Sequence[str],
    *,
    metric: str,
    strengths: Sequence[float] = STRENGTHS,
    seeds: Sequence[int] = (0, 1, 2, 3),
    instruction: str = "",
) -> Iterator[dict]:
    """Continue every opening with every seed at every strength and count.

    Random numbers depend on seed and opening alone, so rows differ by the strength.

    Args:
        model: the model the maps were learnt on.
        maps: what is evaluated; `metadata["keywords"]` are the words of a topic.
        openings: texts to continue.
        metric: a key of `METRICS`.
        strengths: λ of every row.
        seeds: repetitions; the spread over them is reported.
        instruction: see `count`.

    Yields:
        One row for every strength, see `figures`.

    Raises:
        UserError: a topic is to be counted and the map tells no keywords, nothing is to be
            counted, the metric is not known, or the memory does not suffice.
    """
    if metric not in METRICS:
        what, remedy = f"there is no metric {metric!r}", f"Choose from {', '.join(METRICS)}."
        raise UserError("E_METRIC", what, remedy=remedy)
    keywords = _keywords_of(maps) if metric == "topic" else ()
    _check_some(openings, seeds)

    def has(texts: Sequence[str]) -> list[bool]:
        return METRICS[metric](texts, keywords)

    luck = [row_seeds(seed, range(len(openings))) for seed in seeds]
    for lam in strengths:
        tallies = count(
            model, maps, openings, has, strength=lam, luck=luck, instruction=instruction
        )
        yield figures(lam, tallies)


def sweep_composed(
    model: LanguageModel,
    topics: Sequence[SteeringMaps],
    openings: Sequence[str],
    *,
    strengths: Sequence[float] = (0.0, 0.5, 1.0),
    seeds: Sequence[int] = (0, 1, 2, 3),
) -> Iterator[dict]:
    """Steer by several topics at once and count the texts that mention all (LinEAS, section F).

    Each seed is taken twice, but for λ = 0: in the order given, and in the reverse one.

    Args:
        model: the model the maps were learnt on.
        topics: maps, `metadata["keywords"]` are the words of each.
        openings: texts to continue.
        strengths: λ of every row, the same for all topics.
        seeds: repetitions.

    Yields:
        One row for every strength, see `figures`; `share` is that of texts with all topics,
        `each` has the share of texts with a topic, one for each; spreads are over seeds and
        orders.

    Raises:
        UserError: a map tells no keywords, nothing is to be counted, or the memory does not
            suffice.
    """
    words = [_keywords_of(maps) for maps in topics]
    _check_some(openings, seeds)
    orders = (topics, topics[::-1])
    luck = [row_seeds(seed, range(len(openings))) for seed in seeds]
    for lam in strengths:
        written: list[str] = []

        def all_of_them(texts: Sequence[str], written: list[str] = written) -> list[bool]:
            written += texts
            return [all(found) for found in zip(*(mentions(texts, w) for w in words), strict=True)]

        tallies = [
            tally
            for order in (orders if lam else orders[:1])
            for tally in count(
                model,
                compose(order, [lam] * len(order)),
                openings,
                all_of_them,
                strength=1.0,
                luck=luck,
            )
        ]
        yield figures(lam, tallies) | {"each": [fmean(mentions(written, w)) for w in words]}


def _generated(
    model: LanguageModel | TextToImageModel,
    plan: MemoryPlan,
    prompts: Sequence[str],
    seeds: Sequence[int],
) -> list[Any]:
    """A text or picture for each prompt, as many at a time as the plan says."""

    def batches() -> list[Any]:
        return [
            made
            for rows in map(Tensor.tolist, plan.chunks(len(prompts)))
            for made in model.generate([prompts[k] for k in rows], seeds=[seeds[k] for k in rows])
        ]

    return plan.within(len(prompts), batches)


def _keywords_of(maps: SteeringMaps) -> Sequence[str]:
    keywords = maps.metadata.get("keywords")
    if not keywords:
        raise UserError(
            "E_CONCEPT",
            "the map tells no keywords to look for",
            remedy="Learn it from a set that has some; toxicity is counted without.",
        )
    return keywords


def _check_some(prompts: Sequence[str], seeds: Sequence[int]) -> None:
    for what, given in (("texts", prompts), ("seeds", seeds)):
        if not given:
            raise UserError("E_PROMPTS", f"there are no {what}", remedy="Give one or more.")


def _spread(values: Sequence[float]) -> float:
    if any(map(math.isnan, values)):  # stdev raises on some versions of Python
        return math.nan
    return stdev(values) if len(values) > 1 else 0.0
