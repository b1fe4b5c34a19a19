"""Tell whether a text is English, the one language that the judges of texts know.

By py3langid (Barbaresi), a naive Bayes classifier over byte sequences (Lui & Baldwin, "langid.py",
2012), which works offline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

__all__ = ["is_english", "judge_english"]

_SURE = 0.5  # a text is judged unless another language has this probability


def is_english(text: str) -> bool:
    """Return False if the text is in another language or has no words to judge.

    Short texts and names can be of any language: what is not surely in another one counts as
    English if it has Latin letters.
    """
    if not any("a" <= letter <= "z" for letter in text.lower()):
        return False
    language, probability = _identifier().classify(text)
    return bool(language == "en" or probability < _SURE)


def judge_english(
    score: Callable[[Sequence[str]], Sequence[float]], texts: Sequence[str]
) -> list[float | None]:
    """Score the English ones of n texts; the others get None, because no judge here knows them.

    Args:
        score: returns one number for each text.
        texts: n texts.
    """
    known = [
        text for text in dict.fromkeys(texts) if is_english(text)
    ]  # equal texts, equal scores
    scores = dict(zip(known, map(float, score(known)), strict=True))
    return [scores.get(text) for text in texts]


@cache
def _identifier() -> Any:
    from py3langid import langid  # reading its model takes a second

    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
