"""The prompts that are shipped: sets to learn from, templates, texts that show what a map does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

from lineas_core import PromptSet, UserError
from lineas_core.models.catalog import Kind

__all__ = ["PromptLibrary"]


class PromptLibrary:
    """The prompts of one folder: read anew each time, so that an edited file counts at once."""

    def __init__(self, folder: Path) -> None:
        """Read from a folder: sets for texts in it, those for pictures in `images`."""
        self._folder = folder

    def sets(self, kind: Kind) -> dict[str, str]:
        """Prompt sets for models of a kind: file stem -> title."""
        files = sorted(self._sets_of(kind).glob("*.json"))
        return {file.stem: PromptSet.load(file).name for file in files}

    def set_of(self, stem: str) -> PromptSet:
        """The prompt set with this file stem, of either kind.

        Raises:
            UserError: there is none.
        """
        for kind in get_args(Kind):
            if stem in self.sets(kind):
                return PromptSet.load(self._sets_of(kind) / f"{stem}.json")
        raise UserError("E_SET", "there is no such set", remedy="Choose one from the list.")

    def about(self, word: str, template: str, kind: Kind, *, remove: bool = False) -> PromptSet:
        """A set about one thing, written from templates, a third of it held out.

        Args:
            word: the thing.
            template: name of a file in `templates`.
            kind: what the model makes.
            remove: whether the thing is on the source side.

        Raises:
            UserError: the word is empty, too long or has several lines.
        """
        lines = self._lines(f"templates/{template}.txt")
        shipped = self.set_of(next(iter(self.sets(kind))))
        plain = (
            shipped.target + shipped.heldout_target  # what is left when a concept is removed
            if kind == "text-to-image"
            else shipped.source + shipped.heldout_source  # what a topic is set against
        )
        prompts = PromptSet.about(word, lines, plain, remove=remove)
        if kind == "text-to-image":
            prompts = replace(prompts, kind=template)
        return prompts.holdout(len(prompts.source) // 3)

    def openings(self, *, toxic: bool) -> list[str]:
        """Beginnings that show what a map does to texts."""
        return self._lines("toxicity-openings.txt" if toxic else "neutral-openings.txt")

    def scenes(self) -> list[str]:
        """Descriptions that show what a map does to pictures."""
        return self._lines("neutral-images.txt")

    def _lines(self, name: str) -> list[str]:
        return (self._folder / name).read_text(encoding="utf-8").splitlines()

    def _sets_of(self, kind: Kind) -> Path:
        return self._folder / "images" if kind == "text-to-image" else self._folder
