"""What a map does to generated texts: one row of figures for each strength."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean, stdev

from lineas_core.affine import SteeringMaps
from lineas_core.folding import fold
from lineas_core.metrics.perplexity import corpus_perplexity
from lineas_core.metrics.topic import mentions
from lineas_core.metrics.toxicity import toxicity
from lineas_core.models import LanguageModel, Sampling

__all__ = ["METRICS", "sweep"]

METRICS: dict[str, Callable[[Sequence[str], Sequence[str]], list[bool]]] = {
    "topic": mentions,
    "toxicity": lambda texts, _: [p > 0.5 for p in toxicity(texts)],
}
"""Name -> (texts, keywords) -> whether each text has the property."""


def sweep(
    model: LanguageModel,
    maps: SteeringMaps,
    openings: Sequence[str],
    *,
    metric: str,
    strengths: Sequence[float] = (-1.0, -0.5, 0.0, 0.5, 1.0),
    seeds: Sequence[int] = (0, 1, 2, 3),
) -> Iterator[dict]:
    """Continue every opening with every seed at every strength and count.

    Only the continuations are judged. Random numbers depend on seed and opening alone, so rows
    differ by the strength.

    Args:
        model: the model the maps were learnt on.
        maps: what is evaluated; `metadata["keywords"]` are the words of a topic.
        openings: texts to continue.
        metric: a key of `METRICS`.
        strengths: λ of every row.
        seeds: repetitions; the spread over them is reported.

    Yields:
        {"strength", "texts", "share", "spread", "perplexity"}: number of texts; share of them
        with the property, 0 to 1, and its standard deviation over seeds (0 for a single seed);
        perplexity of all continuations under the unsteered model.
    """
    keywords = maps.metadata.get("keywords", ())
    for strength in strengths:
        shares, texts = [], []
        for seed in seeds:
            rows = [seed * 1_000_003 + row for row in range(len(openings))]
            with fold(model.network, maps, strength):
                batch = model.generate(openings, seeds=rows, sampling=Sampling())
            shares.append(fmean(METRICS[metric](batch, keywords)))
            texts += batch
        yield {
            "strength": strength,
            "texts": len(texts),
            "share": fmean(shares),
            "spread": stdev(shares) if len(shares) > 1 else 0.0,
            "perplexity": corpus_perplexity(model, list(openings) * len(seeds), texts),
        }
