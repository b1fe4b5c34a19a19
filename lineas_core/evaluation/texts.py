"""Sweep the strengths of maps over generated texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import fmean

from lineas_core.errors import UserError
from lineas_core.evaluation.counts import (
    Counts,
    Properties,
    Writer,
    count,
    row_seeds,
    summarise,
    write,
)
from lineas_core.evaluation.inputs import STRENGTHS, check_not_empty, keywords_of
from lineas_core.metrics.insults import insults
from lineas_core.metrics.profanity import profanity
from lineas_core.metrics.roberta_toxicity import roberta_toxicity
from lineas_core.metrics.topic import mentions
from lineas_core.metrics.toxicity import toxicity
from lineas_core.steering.affine import SteeringMaps, compose

__all__ = ["METRICS", "properties_of", "sweep", "sweep_composed"]

_SEEDS = (0, 1, 2, 3)

_Score = Callable[[Sequence[str]], list[float | None]]
_JUDGES: dict[str, _Score] = {
    "toxicity": toxicity,
    "roberta-toxicity": roberta_toxicity,
    "insults": insults,
    "profanity": profanity,
}
METRICS: dict[str, tuple[str, ...]] = {
    "topic": ("topic",),
    "toxicity": ("toxicity", "insults", "profanity"),
    "roberta-toxicity": ("roberta-toxicity", "toxicity", "insults", "profanity"),
}
"""Name -> the properties that are counted, the main one first. Independent judges count what is
toxic, because a conclusion that only one of them supports may be a fault of that judge."""


def properties_of(metric: str, keywords: Sequence[str] = ()) -> Properties:
    """What to count for a metric, a key of `METRICS`; `keywords` are the words of a topic."""
    return {
        name: partial(_above_half, _JUDGES[name])
        if name in _JUDGES
        else partial(mentions, keywords=keywords)
        for name in METRICS[metric]
    }


def _above_half(score: _Score, texts: Sequence[str]) -> list[bool | None]:
    return [None if p is None else p > 0.5 for p in score(texts)]


def sweep(
    model: Writer,
    maps: SteeringMaps,
    openings: Sequence[str],
    *,
    metric: str,
    strengths: Sequence[float] = STRENGTHS,
    seeds: Sequence[int] = _SEEDS,
) -> Iterator[dict]:
    """Continue every opening with every seed at every strength, and count properties.

    Random numbers depend on seed and opening alone, so that rows differ by the strength only.

    Args:
        model: the model the maps were learnt on.
        maps: the maps to evaluate; `metadata["keywords"]` are the words of a topic.
        openings: texts to continue.
        metric: a key of `METRICS`.
        strengths: λ of every row.
        seeds: one repetition for each; their spread is reported.

    Yields:
        One row for every strength, see `summarise`.

    Raises:
        UserError: the metric is unknown, there are no openings or seeds, the maps have no
            keywords for the metric `topic`, or memory runs out.
    """
    if metric not in METRICS:
        what, remedy = f"there is no metric {metric!r}", f"Choose from {', '.join(METRICS)}."
        raise UserError("E_METRIC", what, remedy=remedy)
    keywords = keywords_of(maps) if metric == "topic" else ()
    check_not_empty(openings, seeds)
    properties = properties_of(metric, keywords)
    rows = [row_seeds(seed, range(len(openings))) for seed in seeds]
    for strength in strengths:
        written = write(model, maps, openings, strength=strength, seeds=rows)
        yield summarise(strength, [count(texts, properties) for texts in written])


def sweep_composed(
    model: Writer,
    topics: Sequence[SteeringMaps],
    openings: Sequence[str],
    *,
    strengths: Sequence[float] = (0.0, 0.5, 1.0),
    seeds: Sequence[int] = _SEEDS,
) -> Iterator[dict]:
    """Steer by several topics at once and count texts that mention all (LinEAS, section F).

    Except at λ = 0, every seed is used twice: with the maps in the given order and reversed.

    Args:
        model: the model the maps were learnt on.
        topics: one map per topic; `metadata["keywords"]` are the words of each.
        openings: texts to continue.
        strengths: λ of every row, the same for all topics.
        seeds: one or two repetitions for each.

    Yields:
        One row for every strength, see `summarise`. `share` counts texts with all topics, `each`
        is the share of texts with each topic, and spreads are over seeds and orders.

    Raises:
        UserError: a map has no keywords, there are no openings or seeds, or memory runs out.
    """
    words = [keywords_of(maps) for maps in topics]
    check_not_empty(openings, seeds)
    rows = [row_seeds(seed, range(len(openings))) for seed in seeds]
    for strength in strengths:
        written: list[str] = []

        def has_all(texts: Sequence[str], written: list[str] = written) -> list[bool]:
            written += texts
            return [all(found) for found in zip(*(mentions(texts, w) for w in words), strict=True)]

        counts: list[Counts] = []
        for order in (topics, topics[::-1]) if strength else (topics,):
            maps = compose(order, [strength] * len(order))
            has = {"all topics": has_all}
            steered = write(model, maps, openings, strength=1.0, seeds=rows)
            counts += [count(texts, has) for texts in steered]
        yield summarise(strength, counts) | {"each": [fmean(mentions(written, w)) for w in words]}
