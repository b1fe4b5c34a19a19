"""The vocabulary of a small image model, read from a word list beside its weights.

The list has one word or phrase per line; a line such as `# scenes` starts a new section.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from lineas_core.models.locations import files_here

__all__ = ["describe_unknown", "known_words", "note_unknown", "unknown_words"]

_LIST, _TOKENS = "words.txt", "*/tokenizer.json"
_END = "</w>"  # marks the end of a word in a CLIP tokenizer


def known_words(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the words and phrases of each section; empty for a model without a list."""
    try:
        lines = (folder / _LIST).read_text(encoding="utf-8").splitlines()
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


def unknown_words(prompt: str, folder: Path) -> dict[str, str]:
    """Find the words of a prompt that the model has not learnt.

    A model knows the words of its list, and words that are single tokens: those were common in
    the captions that its tokenizer was trained on.

    Returns:
        The words in their order, each with the listed word that is spelt most like it, or an empty
        text if none is. Empty for a model without a list.
    """
    listed = {part for words in known_words(folder).values() for w in words for part in _parts(w)}
    if not listed:
        return {}
    known, ordered = listed | _common_words(folder), sorted(listed)
    return {
        word: "".join(get_close_matches(word, ordered, n=1))
        for word in dict.fromkeys(_parts(prompt))
        if not known & {word, word + "s", *_singulars(word)}
    }


def describe_unknown(words: Mapping[str, str]) -> list[str]:
    """Return a sentence about words that a small model does not know, if there are any.

    Args:
        words: what `unknown_words` returns.
    """
    listed = [
        f"“{word}”" + (f" (it knows “{near}”)" if near else "") for word, near in words.items()
    ]
    return [f"Words that this small model has not learnt: {', '.join(listed)}."] if listed else []


def note_unknown(model: str, prompts: Sequence[str]) -> list[str]:
    """Return a sentence about words of prompts that a model does not know, if there are any.

    Args:
        model: as in `load_model`.
        prompts: the prompts.
    """
    folder = files_here(model)
    return describe_unknown(unknown_words("\n".join(prompts), folder)) if folder else []


def _common_words(folder: Path) -> set[str]:
    files = (json.loads(file.read_bytes()) for file in folder.glob(_TOKENS))
    tokens = {token for file in files for token in file["model"]["vocab"]}
    return {token.removesuffix(_END) for token in tokens if token.endswith(_END)}


def _parts(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())


def _singulars(word: str) -> list[str]:
    return [word.removesuffix(ending) for ending in ("s", "es") if word.endswith(ending)]
