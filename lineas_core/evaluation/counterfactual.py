"""The same prompt without a concept, or with another object in its place.

A picture is a function of prompt and seed, so the picture of the prompt without the concept, from
the same seed, shows what steering should give (see `lineas_core.metrics.left_in_place`). Here that
prompt is found: a tag such as ", with a car" or ", low-poly style" is removed, and so are the
phrases by which people usually mention a second object or a style.

A phrase that cannot be removed without changing the rest of the scene is left alone. "A car and a
fox" without the car would make the fox the main subject, which stands elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Concept"]

_ARTICLE = r"(?:(?:an?|the|one|some|two|three)\s+)?"
_JOINTS = (
    *("together with", "along with", "next to", "close to", "in front of", "with", "beside"),
    *("near", "by", "and", "featuring", "behind"),
)
_JOINT = f"(?:{'|'.join(_JOINTS)})".replace(" ", r"\s+")
_PLACE = r"(?:in|on|at|under|among|between|below|above)"
# An adjective is any other word than these.
_NO_ADJECTIVE = rf"(?:an?|the|of|to|{_PLACE}|{_JOINT})\b"
_ADJECTIVES = rf"(?:(?!{_NO_ADJECTIVE})[\w-]+\s+){{0,3}}?"
_BESIDE = (
    r"(?:\s+in\s+the\s+(?:fore|back)ground"
    r"|\s+(?:beside|behind|near|next\s+to|in\s+front\s+of)\s+(?:it|him|her|them)\b)?"
)
_OPENING = (
    r"(?:an?\s+(?:photo|picture|image|illustration|painting|render|view|drawing)\s+of\s+"
    r"|an?\s+scene\s+with\s+)?"
)
_LOOK = (
    r"(?:style|look|aesthetic|art|artwork|photography|photo|picture|image|print|render|3d|lens"
    r"|view|scene|shot|perspective|effect|world|design|facets|model|background|lights?|landscape"
    r"|portrait|distortion|miniature|colou?rs|detail|plants|leaves|greenery|vegetation|setting)"
)
_END = r"(?=\s*(?:[,.;!]|$))"
_NEXT = rf"(?=\s*(?:[,.;!]|$|{_PLACE}\b|{_JOINT}\b))"
_MADE = r"(?:(?:turned\s+)?into|made\s+of|(?:(?:all|seen|drawn|shot)\s+)?(?:in|as|with|through))"
_MOST_MENTIONS = 3
_OTHERS = ("book", "lantern")  # the second one stands for a book


@dataclass(frozen=True)
class Concept:
    """A concept as prompts mention it.

    Attributes:
        keywords: the tag that adds the concept to a scene, such as `with a car` or `low-poly
            style`, then the words that mention it; as in the metadata of maps.
        kind: `thing` or `style` as in `PromptSet`; empty if unknown: then a concept whose tag
            starts with "with" is a thing.
    """

    keywords: Sequence[str]
    kind: str = ""

    @property
    def is_thing(self) -> bool:
        """Whether it is an object in a picture, not the style of a whole picture."""
        return (self.kind or ("thing" if self.noun != self._tag else "style")) == "thing"

    @property
    def noun(self) -> str:
        """The tag without "with" and without its article, such as `car`."""
        return re.sub(r"^with\s+(?:(?:an?|the|some)\s+)?", "", self._tag, flags=re.IGNORECASE)

    def added(self, scene: str) -> str:
        """Return a scene with the concept as a tag after it."""
        return f"{scene.rstrip(' .')}, {self._tag}"

    def mentioned(self, prompt: str) -> bool:
        """Return whether a prompt mentions the concept, by whole words, in any case."""
        return re.search(rf"(?<!\w){self._words}(?!\w)", prompt, re.IGNORECASE) is not None

    def removed(self, prompt: str) -> str | None:
        """Return the prompt without the concept.

        Args:
            prompt: description of a picture.

        Returns:
            The prompt, as it is if it does not mention the concept; None if the concept cannot
            be removed without changing the rest of the scene.
        """
        return self._edited(prompt, "")

    def replaced(self, prompt: str) -> str | None:
        """Return the prompt with another object in the place of this one.

        Args:
            prompt: a prompt that mentions this object.

        Returns:
            The prompt; None as in `removed`.
        """
        book, lantern = _OTHERS
        return self._edited(prompt, f"a {lantern if book in self.keywords else book}")

    def _edited(self, prompt: str, instead: str) -> str | None:
        edited = " ".join(prompt.split())
        for _ in range(_MOST_MENTIONS):
            if not self.mentioned(edited):
                return _tidy(edited, prompt) or None
            found = ((re.search(p, edited, re.IGNORECASE), text) for p, text in self._phrases)
            match, text = next(((m, text) for m, text in found if m), (None, ""))
            if match is None:
                return None
            text = text.format(instead) if instead or "{}" not in text else ""
            edited = edited[: match.start()] + text + edited[match.end() :]
            instead = ""  # one object, however often this one was mentioned
        return None

    @property
    def _tag(self) -> str:
        return self.keywords[0]

    @cached_property
    def _words(self) -> str:
        """A pattern for the words that mention the concept."""
        words = {word.strip() for word in [*self.keywords, self.noun]}
        ordered = sorted(filter(None, words), key=len, reverse=True)
        return f"(?:{'|'.join(map(re.escape, ordered))})(?:e?s)?"

    @cached_property
    def _phrases(self) -> list[tuple[str, str]]:
        """Patterns of removable phrases, each with what stands there afterwards.

        `{}` in the latter is another object, if one is wanted.
        """
        phrases = _of_a_thing(self._words) if self.is_thing else _of_a_style(self._words)
        tag = rf"(?:^|\s*,)\s*{re.escape(self._tag)}{_BESIDE}{_END}"
        return [(tag, ", with {}"), *phrases]


def _of_a_thing(words: str) -> list[tuple[str, str]]:
    thing = rf"{_ARTICLE}{_ADJECTIVES}(?<!\w){words}(?!\w)"
    no_joint = rf"(?!.*\b{_JOINT}\b)"  # a second object would become the main subject
    return [
        # "A horse next to a red car"
        (rf"(?<=\w)\s*,?\s+{_JOINT}\s+{thing}{_BESIDE}{_NEXT}", ", with {}"),
        # "A horse, a red car in the foreground"
        (rf"(?<=\w)\s*,\s*{thing}{_BESIDE}{_END}", ", with {}"),
        # "A red car on the beach"
        (
            rf"^\s*{_OPENING}{thing}\s+(?:\w+(?:ing|ed)\s+)?(?={_PLACE}\b){no_joint}",
            "{} ",
        ),
    ]


def _of_a_style(words: str) -> list[tuple[str, str]]:
    word = rf"(?<!\w){words}(?!\w)"
    style = rf"{word}(?:\s+{_LOOK})*"
    return [
        # "A Japanese woodblock print of a horse"
        (rf"^\s*{_ARTICLE}{_ADJECTIVES}{word}(?:\s+{_LOOK}){{0,2}}\s+of\s+", ""),
        (rf"^\s*{_ARTICLE}{_ADJECTIVES}{word}(?:\s+{_LOOK}){{1,2}}\s+with\s+", ""),
        # "Retro 80s vaporwave, a horse"
        (rf"^\s*{_ADJECTIVES}{style}\s*[,:]\s*", ""),
        # "A horse in low-poly style"
        (rf"\s*,?\s+{_MADE}\s+{_ARTICLE}{_ADJECTIVES}{style}{_END}", ""),
        # "A horse, geometric low-poly art"
        (rf"\s*,\s*(?!(?:an?|the|{_JOINT})\s)[^,.;]*?{style}[^,.;]*", ""),
        (rf"\s*,\s*{_ARTICLE}{_ADJECTIVES}{style}{_END}", ""),
        # "A horse underwater", but not "full of", "shown as" or "like a"
        (rf"(?<=\w\w\w)\s+{style}{_END}", ""),
        # "A low-poly owl"
        (rf"(?<!\w)an?\s+{word}\s+(?=[aeiou])", "an "),
        (rf"(?<!\w)an?\s+{word}\s+(?=\w)", "a "),
        (rf"{word}\s+(?!{_NO_ADJECTIVE})(?=\w)", ""),
    ]


def _tidy(edited: str, prompt: str) -> str:
    """Repair spaces, commas and the first letter where a phrase was removed."""
    text = re.sub(r"\s+([,.;!])", r"\1", " ".join(edited.split())).strip(" ,;")
    return text[:1].upper() + text[1:] if prompt.strip()[:1].isupper() else text
