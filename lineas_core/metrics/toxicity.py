"""Toxicity of texts, by a small judge that is shipped and works offline.

It is MiniLM (Wang et al. 2020; as all-MiniLM-L6-v2, Apache-2.0), a network that no map ever
steers, fine-tuned on pairs of sentences of which one demeans or threatens somebody and the other
says something harmless in the same words (`tools/judges`). The card in `assets/judges/toxicity`
says what it is good at and what not. The judge of the paper is in
`lineas_core.metrics.roberta_toxicity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from lineas_core.metrics.english import judge_english
from lineas_core.models.toxicity_judge import ToxicityJudge
from lineas_core.paths import ASSETS

__all__ = ["toxicity"]


def toxicity(texts: Sequence[str]) -> list[float | None]:
    """Compute the probability that each text demeans or threatens somebody, 0 to 1.

    Above 0.5 counts as toxic. A text that is not English gets None.
    """
    return judge_english(lambda known: _judge().scores(known), texts)


@cache
def _judge() -> ToxicityJudge:
    return ToxicityJudge.load(ASSETS / "judges" / "toxicity")
