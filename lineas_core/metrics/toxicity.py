"""Toxicity of texts, offline: the linear classifier of `alt-profanity-check`.

Trained by its authors on 200,000 labelled comments, independent of everything learnt here.
Differs from the paper, which uses a RoBERTa classifier from the hub (section 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["toxicity"]


def toxicity(texts: Sequence[str]) -> list[float]:
    """Probability that each text is offensive, 0 to 1; above 0.5 counts as toxic."""
    # Imported here: scikit-learn costs a second that most programs never need.
    from profanity_check import predict_prob

    return [float(p) for p in predict_prob(list(texts))] if texts else []
