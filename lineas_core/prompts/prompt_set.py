"""Prompt sets: the prompts that a map is learnt from and evaluated on.

A map moves the activations of the `source` prompts to the distribution of the `target` prompts
(LinEAS, section 3). Held-out prompts are used for evaluation only. The file formats are described
in `lineas_core.prompts.files`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path, PurePath
from typing import Any

from lineas_core.errors import UserError
from lineas_core.prompts.errors import check_texts, plural, prompt_error
from lineas_core.prompts.files import (
    MAX_BYTES,
    MAX_KEYWORD,
    MAX_KEYWORDS,
    are_keywords,
    read_file,
    read_lines,
    read_rows,
    tidy,
    tidy_pairs,
)
from lineas_core.prompts.formats import LISTS, SIDES, TEXTS
from lineas_core.prompts.syntax import describe_syntax
from lineas_core.prompts.tables import PAIRS, Columns, Row
from lineas_core.prompts.wording import as_phrase, capitalised, keyword, with_article

__all__ = ["MIN_PROMPTS", "PromptSet"]

MIN_PROMPTS = 2  # per side: one prompt has no variance
_KINDS = ("", "style", "thing", "manner", "topic")
_LONGEST_WORD = 60


@dataclass(frozen=True)
class PromptSet:
    """Source and target prompts of one concept; lists become tuples.

    Attributes:
        source: prompts whose activations are moved, at least two.
        target: prompts that define the target distribution, at least two.
        heldout_source: source prompts for evaluation; may be empty.
        heldout_target: target prompts for evaluation; empty if and only if `heldout_source` is.
        name: title of the set; the name of the file if it contains none.
        description: how the target prompts differ from the source prompts.
        kind: kind of concept: `style` (of a whole picture), `thing` (an object in a picture),
            `manner` (the tone of a text) or `topic` (what a text is about); empty if unknown.
        keywords: words or stems; a text is on topic if a word in it starts with one of them.
        dropped: one sentence for each kind of prompt that was dropped while reading, and for
            everything else in the file that was skipped or read in another way.
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
        for field in LISTS:
            check_texts(field, getattr(self, field))
            object.__setattr__(self, field, tuple(getattr(self, field)))
        heldout = 1 if self.heldout_source or self.heldout_target else 0
        for side, least in zip(SIDES, (MIN_PROMPTS, MIN_PROMPTS, heldout, heldout), strict=True):
            found = len(getattr(self, side))
            if found < least:
                what = f"{plural(found, 'prompt')} found, at least {least} needed"
                raise prompt_error(
                    "E_TOO_FEW", what, f"{self.name}, {side}" if self.name else side
                )
        if not are_keywords(self.keywords):
            found, longest = len(self.keywords), max(map(len, self.keywords))
            what = (
                f"{plural(found, 'keyword')} found, the longest with {longest:,} characters; at "
                f"most {MAX_KEYWORDS} of {MAX_KEYWORD} characters are allowed"
            )
            raise prompt_error("E_KEYWORDS", what, self.name)
        if self.kind not in _KINDS:
            what = f"kind is {self.kind!r}, known are {', '.join(map(repr, _KINDS[1:]))}"
            raise prompt_error("E_KIND", what, self.name)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        target_path: str | PathLike[str] | None = None,
        *,
        columns: Columns = Columns(),  # noqa: B008 - frozen
        layout: str = "",
    ) -> PromptSet:
        """Read one file with both sides, or two files with one side each.

        Args:
            path: the file with both sides, or with the source side.
            target_path: the file with the target side; None if `path` holds both.
            columns: the columns of a table; those that are not named are found by name.
            layout: `pairs` if prompt k of both sides belongs together, whatever the files say.

        Raises:
            UserError: a file cannot be read, or its content is invalid, or it is not certain
                which column holds what, or there are no pairs.
        """
        paths = (path,) if target_path is None else (path, target_path)
        return cls._from_files([read_file(Path(each)) for each in paths], columns, layout)

    @classmethod
    def parse(
        cls,
        data: bytes,
        filename: str,
        target_data: bytes | None = None,
        target_filename: str = "",
        *,
        columns: Columns = Columns(),  # noqa: B008 - frozen
        limit: int = MAX_BYTES,
    ) -> PromptSet:
        """Parse the content of files like `load`, given their bytes and names, and most bytes."""
        files = [(data, filename)]
        if target_data is not None:
            files.append((target_data, target_filename))
        return cls._from_files(files, columns, limit=limit)

    @classmethod
    def from_texts(cls, source: str, target: str, *, layout: str = "") -> PromptSet:
        """Parse two texts with one prompt per line, each taken as it is.

        Args:
            source: the source prompts.
            target: the target prompts.
            layout: `pairs` if line k of both texts belongs together; they have as many lines then.

        Raises:
            UserError: a line is not a valid prompt, or there are too few, or no pairs.
        """
        rows = read_lines(source, "source") + read_lines(target, "target")
        return cls._from_rows([*rows, *([Row("layout", layout, 1)] if layout else [])], name="")

    @classmethod
    def about(
        cls, word: str, templates: Sequence[str], plain: Sequence[str], *, remove: bool = False
    ) -> PromptSet:
        """Create a set about one concept from templates and prompts that do not mention it.

        Args:
            word: name of the concept, such as `car`, `ukiyo-e` or `the sea`.
            templates: lines with `{word}`, or `{a_word}` for the word with its article. With
                `{scene}` a template is filled with the plain prompt of its position, and the
                templates are repeated until all plain prompts are used.
            plain: prompts without the concept.
            remove: True if the prompts about the concept are the source, not the target.

        Raises:
            UserError: the word is empty, longer than 60 characters or has several lines.
        """
        word = word.strip()
        if not 1 <= len(word) <= _LONGEST_WORD or len(word.splitlines()) > 1:
            what = (
                f"the name has {len(word)} characters, but needs 1 to {_LONGEST_WORD} on one line"
            )
            raise prompt_error("E_WORD", what)
        names = {"word": word, "a_word": with_article(word)}
        count = len(plain) if any("{scene}" in line for line in templates) else len(templates)
        filled = tuple(
            capitalised(templates[k % len(templates)].format(**names, scene=as_phrase(plain[k])))
            for k in range(min(count, len(plain)))
        )
        others = tuple(plain[: len(filled)])
        source, target = (filled, others) if remove else (others, filled)
        end = "plain prompts." if remove else f"prompts about {word}."
        start = f"prompts about {word}" if remove else "plain prompts"
        return cls(
            source,
            target,
            name=capitalised(word),
            description=f"Written from templates: from {start} to {end}",
            keywords=tuple(dict.fromkeys([keyword(templates[0], names), word])),
        )

    @staticmethod
    def parse_side(data: bytes, filename: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Parse a file with one side.

        Returns:
            Its prompts, and one sentence for each kind of thing that was dropped or skipped.

        Raises:
            UserError: the content is invalid.
        """
        rows, notes = read_rows(data, filename, side="source")
        prompts, dropped = tidy(rows, filename)
        return prompts, (*notes, *dropped, *describe_syntax(prompts))

    @property
    def layout(self) -> str:
        """`pairs` if a side repeats a prompt, which it may only within pairs; otherwise empty."""
        sides = self.source + self.heldout_source, self.target + self.heldout_target
        even = len(self.source) == len(self.target) and len(sides[0]) == len(sides[1])
        return PAIRS if even and any(len({*side}) < len(side) for side in sides) else ""

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence on each kind of dropped prompt and each peculiarity of the set."""
        notes = list(self.dropped)
        n, m = len(self.source), len(self.target)
        if n != m:
            notes.append(f"sizes differ ({n} and {m}): quantile matching is used")
        for one, other in (SIDES[:2], SIDES[::2], SIDES[1::2]):
            if shared := set(getattr(self, one)) & set(getattr(self, other)):
                notes.append(f"{one} and {other} share {plural(len(shared), 'prompt')}")
        if set(self.source) == set(self.target):
            notes.append("source and target are equal: the map will be the identity")
        return (*notes, *describe_syntax((*self.source, *self.target)))

    def holdout(self, count: int) -> PromptSet:
        """Hold out the last `count` prompts of each side, unless the set has held-out prompts.

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
        """Keep the first `count` prompts of each side, and all held-out prompts.

        Raises:
            UserError: `count` is below two, or a side has fewer prompts.
        """
        _check_count(count, MIN_PROMPTS, min(len(self.source), len(self.target)))
        return replace(self, source=self.source[:count], target=self.target[:count])

    @classmethod
    def _from_files(
        cls,
        files: Sequence[tuple[bytes, str]],
        columns: Columns,
        layout: str = "",
        limit: int = MAX_BYTES,
    ) -> PromptSet:
        sides = ("",) if len(files) == 1 else SIDES[:2]
        read = [
            read_rows(*file, side, columns, limit) for file, side in zip(files, sides, strict=True)
        ]
        rows = [row for each in read for row in each.rows]
        rows += [Row("layout", layout, 1)] if layout else []
        notes = [note for each in read for note in each.notes]
        try:
            return cls._from_rows(rows, PurePath(files[-1][1]).stem, notes)
        except UserError as error:  # a set is called like the file of its target
            side = error.where.rpartition(", ")[2]
            if error.code != "E_TOO_FEW" or len(files) == 1:
                raise
            raise prompt_error(error.code, error.what, files[side == "target"][1]) from error

    @classmethod
    def _from_rows(cls, rows: list[Row], name: str, notes: Sequence[str] = ()) -> PromptSet:
        texts = {row.field: row.text for row in rows if row.field in TEXTS}
        about: dict[str, Any] = {k: v for k, v in texts.items() if k not in ("license", "layout")}
        if texts.get("layout") not in (None, PAIRS):
            what = f"layout is {texts['layout']!r:.60}, known is {PAIRS!r}"
            raise prompt_error("E_LAYOUT", what, name)
        dropped, lists = (
            [*notes],
            {key: [row for row in rows if row.field == key] for key in LISTS},
        )
        for one, other in (SIDES[:2], SIDES[2:]) if "layout" in texts else ():
            pairs, sentences = tidy_pairs(lists.pop(one), lists.pop(other))
            about[one], about[other] = tuple(s for s, _ in pairs), tuple(t for _, t in pairs)
            dropped += sentences
        for field, found in lists.items():
            about[field], further = tidy(found, field)
            dropped += further
        return cls(**{"name": name, **about}, dropped=tuple(dropped))


def _check_count(count: int, least: int, most: int) -> None:
    if not least <= count <= most:
        what = f"{plural(count, 'prompt')} a side asked for, {least} to {most} possible"
        raise prompt_error("E_COUNT", what)
