"""How natural texts are to the model itself: perplexity of continuations (LinEAS, section 4.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lineas_core.models.language import LanguageModel

__all__ = ["perplexity"]


def perplexity(
    model: LanguageModel, openings: Sequence[str], continuations: Sequence[str]
) -> list[float]:
    """Exp of the mean negative log-likelihood per token of each continuation; NaN when empty.

    Call it outside of `steer`: the unsteered model is the judge.
    """
    rows = model.log_likelihood(openings, continuations)
    return [math.exp(-total / count) if count else math.nan for total, count in rows.tolist()]
