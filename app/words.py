"""The words that a small image model knows, from the list that lies beside its weights.

One word or phrase a line; a line such as `# scenes` is the heading of those below it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["known_words", "unknown_words"]

_FILE = "words.txt"
_SMALL = (
    "a an and are as at beside by for from front has her his in into is it its left near next no "
    "of off on one onto or other out over right some that the their there these this to two "
    "under up very with without"
)  # words that say nothing about what there is to see


def known_words(folder: Path) -> dict[str, tuple[str, ...]]:
    """Heading -> words and phrases; empty for a model without a list."""
    try:
        lines = (folder / _FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    found: dict[str, list[str]] = {}
    heading = "words"
    for line in filter(None, map(str.strip, lines)):
        if line.startswith("#"):
            heading = line.lstrip("# ")
        else:
            found.setdefault(heading, []).append(line)
    return {heading: tuple(words) for heading, words in found.items()}


def unknown_words(prompt: str, known: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Words of the prompt that the list has not, in their order; none where there is no list."""
    small = _SMALL.split()
    listed = {part for words in known.values() for word in words for part in _parts(word)}
    if not listed:
        return ()
    return tuple(
        word
        for word in dict.fromkeys(_parts(prompt))
        if word not in small and not listed & {word, word + "s", *_singulars(word)}
    )


def _parts(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())


def _singulars(word: str) -> list[str]:
    return [word.removesuffix(ending) for ending in ("s", "es") if word.endswith(ending)]
