"""Prompt sets: the sentences a map is learnt from, read strictly and reported honestly.

A map moves the activations of the `source` prompts onto those of the `target` prompts (LinEAS,
section 3); held-out prompts of either side are never learnt from, only measured on. The formats
of the files stand in `lineas_core.prompts.files`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path, PurePath
from typing import Any

from lineas_core.prompts.files import (
    LISTS,
    SIDES,
    TEXTS,
    Row,
    fault,
    plural,
    read_file,
    read_rows,
    tidy,
)

__all__ = ["MIN_PROMPTS", "PromptSet"]

MIN_PROMPTS = 2  # of a side: one prompt has no spread
_KINDS = ("", "style", "thing", "manner")
_LONGEST_WORD = 60
_SPOKEN_VOWEL = ("a", "e", "i", "o", "u", "hour", "honest", "heir")
_SPOKEN_CONSONANT = ("uni", "use", "uku", "eu", "one")


@dataclass(frozen=True)
class PromptSet:
    """The two sides a map is learnt between.

    Attributes:
        source: Prompts whose activations are moved, at least two.
        target: Prompts onto whose activations they are moved, at least two.
        heldout_source: Source prompts to measure on; empty: none.
        heldout_target: Target prompts to measure on; empty exactly if `heldout_source` is.
        name: Title of the set; where the file gives none, the file's name.
        description: What the target side has and the source side has not.
        kind: What the concept is: of a picture a `style`, which fills it, or a `thing` in it; of a
            text the `manner` in which something is said. Empty for a topic, or what is not known.
        keywords: Words or stems; a text in which some word starts with one is on topic.
        dropped: One sentence for each kind of prompt the reader dropped.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    heldout_source: tuple[str, ...] = ()
    heldout_target: tuple[str, ...] = ()
    name: str = ""
    description: str = ""
    kind: str = ""
    keywords: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        heldout = 1 if self.heldout_source or self.heldout_target else 0
        for side, least in zip(SIDES, (MIN_PROMPTS, MIN_PROMPTS, heldout, heldout), strict=True):
            found = len(getattr(self, side))
            if found < least:
                what = f"{plural(found, 'prompt')} found, at least {least} needed"
                raise fault("E_TOO_FEW", what, f"{self.name}, {side}" if self.name else side)
        if self.kind not in _KINDS:
            what = f"kind is {self.kind!r}, possible are {', '.join(map(repr, _KINDS[1:]))}"
            raise fault("E_KIND", what, self.name)

    @classmethod
    def load(
        cls, path: str | PathLike[str], target_path: str | PathLike[str] | None = None
    ) -> PromptSet:
        """Reads one file with both sides, or two files with one side each.

        Args:
            path: The file with both sides, or with the source side.
            target_path: The file with the target side; None if `path` holds both.

        Raises:
            UserError: A file cannot be read, or its content breaks a rule of this module.
        """
        if target_path is None:
            return cls.parse(*read_file(Path(path)))
        return cls.parse(*read_file(Path(path)), *read_file(Path(target_path)))

    @classmethod
    def parse(
        cls,
        data: bytes,
        filename: str,
        target_data: bytes | None = None,
        target_filename: str = "",
    ) -> PromptSet:
        """Does what `load` does, with the content of the files and their names."""
        if target_data is None:
            return cls._from_rows(read_rows(data, filename), PurePath(filename).stem)
        rows = read_rows(data, filename, side="source")
        rows += read_rows(target_data, target_filename, side="target")
        return cls._from_rows(rows, PurePath(target_filename).stem)

    @classmethod
    def from_texts(cls, source: str, target: str) -> PromptSet:
        """Reads two texts with one prompt per line, under the rules for files."""
        rows = []
        for side, text in (("source", source), ("target", target)):
            data = text.encode("utf-8", "surrogatepass")  # the reader refuses it with its line
            rows += read_rows(data, f"{side}.txt", side=side)
        return cls._from_rows(rows, name="")

    @classmethod
    def about(
        cls, word: str, templates: Sequence[str], plain: Sequence[str], *, remove: bool = False
    ) -> PromptSet:
        """Writes a set about one thing: plain prompts against templates filled with its name.

        Args:
            word: What the set is about, such as `car`, `ukiyo-e` or `the sea`.
            templates: Lines with `{word}`, or `{a_word}` for the word with its article; where
                they hold `{scene}`, each fills itself with the plain prompt of its place, and
                templates come around again.
            plain: Prompts without the thing.
            remove: Whether the prompts about the thing are the source side, not the target.

        Raises:
            UserError: The word is empty, longer than 60 characters or has several lines.
        """
        word = word.strip()
        if not 1 <= len(word) <= _LONGEST_WORD or len(word.splitlines()) > 1:
            what = f"the name has {len(word)} characters, 1 to {_LONGEST_WORD} on one line needed"
            raise fault("E_WORD", what)
        names = {"word": word, "a_word": _with_article(word)}
        count = len(plain) if any("{scene}" in line for line in templates) else len(templates)
        filled = tuple(
            _sentence(templates[k % len(templates)].format(**names, scene=_begun(plain[k])))
            for k in range(min(count, len(plain)))
        )
        others = tuple(plain[: len(filled)])
        source, target = (filled, others) if remove else (others, filled)
        end = "plain prompts." if remove else f"prompts about {word}."
        start = f"prompts about {word}" if remove else "plain prompts"
        return cls(
            source,
            target,
            name=word[0].upper() + word[1:],
            description=f"Continuation from templates: from {start} to {end}",
            keywords=tuple(dict.fromkeys([_tag(templates[0], names), word])),
        )

    @staticmethod
    def parse_side(data: bytes, filename: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Reads a file with one side: its prompts, and a sentence for each kind it dropped."""
        return tidy(read_rows(data, filename, side="source"), filename)

    @property
    def settings(self) -> dict[str, bool]:
        """What of `LearnConfig` suits the kind, as measured in `assets/tables/README.md`."""
        style, manner = self.kind == "style", self.kind == "manner"
        return {"both_ways": style, "identity_loss": manner, "shift_only": manner}

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each thing dropped, and for each thing to know about the set."""
        notes = list(self.dropped)
        n, m = len(self.source), len(self.target)
        if n != m:
            notes.append(f"sizes differ ({n} and {m}): quantile matching is used")
        for one, other in (SIDES[:2], SIDES[::2], SIDES[1::2]):
            if shared := set(getattr(self, one)) & set(getattr(self, other)):
                notes.append(f"{one} and {other} share {plural(len(shared), 'prompt')}")
        if set(self.source) == set(self.target):
            notes.append("source and target are equal: the map will be the identity")
        return tuple(notes)

    def holdout(self, count: int) -> PromptSet:
        """Moves the last `count` prompts of each side to the held-out ones, unless it has some.

        Raises:
            UserError: `count` is negative, or fewer than two prompts would remain on a side.
        """
        if self.heldout_source:
            return self
        _check_count(count, 0, min(len(self.source), len(self.target)) - MIN_PROMPTS)
        n, m = len(self.source) - count, len(self.target) - count
        return replace(
            self,
            source=self.source[:n],
            target=self.target[:m],
            heldout_source=self.source[n:],
            heldout_target=self.target[m:],
        )

    def take(self, count: int) -> PromptSet:
        """Keeps the first `count` prompts of each side, and all held-out ones.

        Raises:
            UserError: `count` is below two, or a side has fewer prompts.
        """
        _check_count(count, MIN_PROMPTS, min(len(self.source), len(self.target)))
        return replace(self, source=self.source[:count], target=self.target[:count])

    @classmethod
    def _from_rows(cls, rows: list[Row], name: str) -> PromptSet:
        texts = {row.field: row.text for row in rows if row.field in TEXTS}
        about: dict[str, Any] = {k: v for k, v in texts.items() if k != "license"}
        dropped: list[str] = []
        for field in LISTS:
            about[field], notes = tidy([row for row in rows if row.field == field], field)
            dropped += notes
        return cls(**{"name": name, **about}, dropped=tuple(dropped))


def _with_article(word: str) -> str:
    lowered = word.lower()
    if lowered.split(maxsplit=1)[0] in ("a", "an", "the", "some"):
        return word
    spoken = lowered.startswith(_SPOKEN_VOWEL) and not lowered.startswith(_SPOKEN_CONSONANT)
    return f"{'an' if spoken else 'a'} {word}"


def _begun(prompt: str) -> str:
    """A prompt as a part of a longer one."""
    return prompt[:1].lower() + prompt[1:].rstrip(" .")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def _tag(template: str, names: dict[str, str]) -> str:
    """What a template puts behind a scene; the word alone where it knows no scene."""
    _, scene, tail = template.partition("{scene}")
    return tail.strip(" ,").format(**names) if scene else names["word"]


def _check_count(count: int, least: int, most: int) -> None:
    if not least <= count <= most:
        what = f"{plural(count, 'prompt')} a side asked for, {least} to {most} possible"
        raise fault("E_COUNT", what)
