"""How natural texts are to the model itself: perplexity of continuations (LinEAS, section 4.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lineas_core.models.language import LanguageModel

__all__ = ["corpus_perplexity", "perplexity"]


def perplexity(
    model: LanguageModel, openings: Sequence[str], continuations: Sequence[str]
) -> list[float]:
    """Exp of the mean negative log-likelihood per token of each continuation; NaN when empty.

    Call it outside of `steer`: the unsteered model is the judge.
    """
    rows = model.log_likelihood(openings, continuations)
    return [math.exp(-total / count) if count else math.nan for total, count in rows.tolist()]


def corpus_perplexity(
    model: LanguageModel, openings: Sequence[str], continuations: Sequence[str]
) -> float:
    """The same over all tokens of all continuations together."""
    total, count = model.log_likelihood(openings, continuations).sum(dim=0).tolist()
    return math.exp(-total / count) if count else math.nan
