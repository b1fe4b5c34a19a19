"""How the prompts about one concept are worded."""

from __future__ import annotations

__all__ = ["as_phrase", "capitalised", "keyword", "with_article"]

_SPOKEN_VOWEL = ("a", "e", "i", "o", "u", "hour", "honest", "heir")
_SPOKEN_CONSONANT = ("uni", "use", "uku", "eu", "one")


def with_article(word: str) -> str:
    """Return a word with its indefinite article, unless it has one or needs none."""
    lowered = word.lower()
    if lowered.split(maxsplit=1)[0] in ("a", "an", "the", "some"):
        return word
    spoken = lowered.startswith(_SPOKEN_VOWEL) and not lowered.startswith(_SPOKEN_CONSONANT)
    return f"{'an' if spoken else 'a'} {word}"


def as_phrase(prompt: str) -> str:
    """Lower the first letter and drop the full stop, for use within a longer prompt."""
    return prompt[:1].lower() + prompt[1:].rstrip(" .")


def capitalised(text: str) -> str:
    """Return a text with a capital first letter."""
    return f"{text[0].upper()}{text[1:]}"


def keyword(template: str, names: dict[str, str]) -> str:
    """Return the text that a template adds after the scene, or the word if it has no scene."""
    _, scene, tail = template.partition("{scene}")
    return tail.strip(" ,").format(**names) if scene else names["word"]
