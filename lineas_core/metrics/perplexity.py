"""How natural texts are to a model: perplexity (LinEAS, section 4.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lineas_core.models.language import LanguageModel

__all__ = ["perplexity", "prose_perplexity"]


def perplexity(
    model: LanguageModel,
    openings: Sequence[str],
    continuations: Sequence[str],
    *,
    chat: bool = False,
) -> list[float]:
    """Exp of the mean negative log-likelihood per token of each continuation; NaN when empty.

    Call it outside of `steer`: the unsteered model is the judge of what a steered one wrote.
    """
    rows = model.log_likelihood(openings, continuations, chat=chat)
    return [math.exp(-total / count) if count else math.nan for total, count in rows.tolist()]


def prose_perplexity(model: LanguageModel, texts: Sequence[str]) -> float:
    """Perplexity of fixed texts, all tokens together, each text after its first word.

    Call it inside of `steer`: the steered model is judged by what others wrote.
    """
    halves = [text.partition(" ") for text in texts]
    rows = model.log_likelihood([first for first, *_ in halves], [f" {r}" for *_, r in halves])
    total, count = rows.sum(dim=0).tolist()
    return math.exp(-total / count)
