"""Detect texts that mention a topic, by the keywords of its prompt set."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import regex

__all__ = ["mentions", "words_from"]

_WITHOUT_SPACES = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
)
_LETTER = r"[\w\p{M}]"  # vowel signs, as in Hindi, are marks, not letters


def mentions(texts: Sequence[str], keywords: Sequence[str]) -> list[bool]:
    """Return for each text whether a word starts with one of the keywords, in any case.

    Differs from the paper, which asks a language model (section J); one that can
    judge is too slow on a CPU.
    """
    words = words_from(keywords)
    return [words.search(unicodedata.normalize("NFC", text)) is not None for text in texts]


def words_from(keywords: Sequence[str]) -> regex.Pattern[str]:
    """Compile a pattern for words that start with a keyword, as its one group, in NFC texts.

    Keywords in scripts without spaces between words, such as Chinese, are found anywhere.
    """
    starts = [unicodedata.normalize("NFC", word.strip()) for word in keywords]
    found = "|".join(_word(start) for start in starts if start)
    return regex.compile(f"({found})" if found else r"((?!))", regex.IGNORECASE)


def _word(start: str) -> str:
    anywhere = _WITHOUT_SPACES.match(start) is not None
    # `escape` alone would also escape the marks of a letter, which is not allowed.
    literal = regex.escape(start, special_only=True, literal_spaces=True)
    return literal if anywhere else rf"(?<!{_LETTER}){literal}{_LETTER}*"
