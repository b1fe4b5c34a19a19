"""Detect texts that mention a topic, by the keywords of its prompt set."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["mentions", "words_from"]


def mentions(texts: Sequence[str], keywords: Sequence[str]) -> list[bool]:
    """Return for each text whether a word starts with one of the keywords, in any case.

    Differs from the paper, which asks a language model (section J); one that can
    judge is too slow on a CPU.
    """
    words = words_from(keywords)
    return [words.search(unicodedata.normalize("NFC", text)) is not None for text in texts]


def words_from(keywords: Sequence[str]) -> re.Pattern[str]:
    """Compile a pattern for words that start with a keyword, as its one group, in NFC texts.

    Keywords in scripts without spaces, such as Chinese, are found anywhere.
    """
    starts = [unicodedata.normalize("NFC", word.strip()) for word in keywords]
    found = "|".join(_word(start) for start in starts if start)
    return re.compile(f"({found})" if found else r"((?!))", re.IGNORECASE)


def _word(start: str) -> str:
    anywhere = unicodedata.category(start[0]) == "Lo"  # a letter without upper and lower case
    return re.escape(start) if anywhere else rf"(?<!\w){re.escape(start)}\w*"
