"""Perplexity of texts under a language model (LinEAS, section 4.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lineas_core.models.chat import Prompt
from lineas_core.models.language import LanguageModel

__all__ = ["perplexity", "prose_perplexity"]


def perplexity(
    model: LanguageModel,
    openings: Sequence[Prompt],
    continuations: Sequence[str],
    *,
    chat: bool = False,
) -> list[float]:
    """Compute the perplexity per token of each continuation; NaN if it is empty.

    Call it outside `steer`: texts of a steered model are judged by the unsteered model.
    """
    rows = model.log_likelihood(openings, continuations, chat=chat)
    return [math.exp(-total / count) if count else math.nan for total, count in rows.tolist()]


def prose_perplexity(model: LanguageModel, texts: Sequence[str], before: str = "") -> float:
    """Compute the perplexity of all tokens of fixed texts, each without its first word.

    Call it inside `steer`: the steered model is judged on texts by people.

    Args:
        model: the model to evaluate.
        texts: one or more texts.
        before: what the model reads before each of them, such as an instruction and a space.
    """
    halves = [text.partition(" ") for text in texts]
    openings = [f"{before}{first}" for first, *_ in halves]
    rows = model.log_likelihood(openings, [f" {rest}" for *_, rest in halves])
    total, count = rows.sum(dim=0).tolist()
    return math.exp(-total / count)
