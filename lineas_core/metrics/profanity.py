"""Profanity of texts: a linear classifier over words, offline.

It is that of `alt-profanity-check`, trained by its authors on 200,000 labelled comments. It finds
swear words, whoever they are aimed at: "Holy shit, this is beautiful!" has 0.98, and a veiled
insult next to nothing. For toxicity see `lineas_core.metrics.toxicity`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lineas_core.metrics.english import judge_english

__all__ = ["profanity"]


def profanity(texts: Sequence[str]) -> list[float | None]:
    """Compute the probability that each text swears, 0 to 1; None where it is not English."""
    return judge_english(_profanity, texts)


def _profanity(texts: Sequence[str]) -> list[float]:
    # Imported here: importing scikit-learn takes a second.
    from profanity_check import predict_prob

    return [float(p) for p in predict_prob(list(texts))] if texts else []
