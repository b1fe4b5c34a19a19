"""Sweep the strengths of maps over generated texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

from lineas_core.errors import UserError
from lineas_core.evaluation.counts import Counts, Writer, count, row_seeds, summarise
from lineas_core.evaluation.inputs import STRENGTHS, check_not_empty, keywords_of
from lineas_core.metrics.topic import mentions
from lineas_core.metrics.toxicity import roberta_toxicity, toxicity
from lineas_core.steering.affine import SteeringMaps, compose

__all__ = ["METRICS", "sweep", "sweep_composed"]

_SEEDS = (0, 1, 2, 3)

METRICS: dict[str, Callable[[Sequence[str], Sequence[str]], list[bool]]] = {
    "topic": mentions,
    "toxicity": lambda texts, _: [p > 0.5 for p in toxicity(texts)],
    "roberta-toxicity": lambda texts, _: [p > 0.5 for p in roberta_toxicity(texts)],
}
"""Name -> (texts, keywords) -> whether each text has the property."""


def sweep(
    model: Writer,
    maps: SteeringMaps,
    openings: Sequence[str],
    *,
    metric: str,
    strengths: Sequence[float] = STRENGTHS,
    seeds: Sequence[int] = _SEEDS,
) -> Iterator[dict]:
    """Continue every opening with every seed at every strength, and count a property.

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

    def has(texts: Sequence[str]) -> list[bool]:
        return METRICS[metric](texts, keywords)

    rows = [row_seeds(seed, range(len(openings))) for seed in seeds]
    for strength in strengths:
        yield summarise(strength, count(model, maps, openings, has, strength=strength, seeds=rows))


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
            counts += count(model, maps, openings, has_all, strength=1.0, seeds=rows)
        yield summarise(strength, counts) | {"each": [fmean(mentions(written, w)) for w in words]}
