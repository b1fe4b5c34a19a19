"""The shipped prompts: sets to learn from, templates, and examples to steer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

from lineas_core import PromptSet, UserError
from lineas_core.models.catalog import Kind

__all__ = ["PromptLibrary"]

_CLEAR = (22, 1, 4, 2, 26)  # scenes that the built-in model paints clearly, also in a style


class PromptLibrary:
    """The prompts of one folder. Files are read on every call, so that edits count at once."""

    def __init__(self, folder: Path) -> None:
        """Use a folder that has sets for texts, and in `images` sets for pictures."""
        self._folder = folder

    def sets(self, kind: Kind) -> dict[str, str]:
        """Return the titles of the prompt sets for a kind of model, by file stem."""
        files = sorted(self._sets_of(kind).glob("*.json"))
        return {file.stem: PromptSet.load(file).name for file in files}

    def set_of(self, stem: str) -> PromptSet:
        """Load the prompt set with this file stem, of either kind.

        Raises:
            UserError: there is no such set.
        """
        for kind in get_args(Kind):
            if stem in self.sets(kind):
                return PromptSet.load(self._sets_of(kind) / f"{stem}.json")
        raise UserError("E_SET", "there is no such set", remedy="Choose one from the list.")

    def about(self, word: str, template: str, kind: Kind, *, remove: bool = False) -> PromptSet:
        """Write a set about one concept from templates, with a third of it held out.

        Args:
            word: the concept, such as `car`.
            template: stem of a file in `templates`.
            kind: kind of the model that the set is for.
            remove: put the concept on the source side instead of the target side.

        Raises:
            UserError: the word is empty, too long or has several lines.
        """
        lines = self._lines(f"templates/{template}.txt")
        shipped = self.set_of(next(iter(self.sets(kind))))
        plain = (
            shipped.target + shipped.heldout_target  # scenes without the concept
            if kind == "text-to-image"
            else shipped.source + shipped.heldout_source  # texts about other subjects
        )
        prompts = PromptSet.about(word, lines, plain, remove=remove)
        prompts = replace(prompts, kind=template if kind == "text-to-image" else "topic")
        return prompts.holdout(len(prompts.source) // 3)

    def openings(self, *, toxic: bool) -> list[str]:
        """Return openings of texts, to try a map on."""
        return self._lines("toxicity-openings.txt" if toxic else "neutral-openings.txt")

    def scenes(self) -> list[str]:
        """Return descriptions of pictures, to try a map on; the page opens on the first one."""
        lines = self._lines("neutral-images.txt")
        clear = [lines[place] for place in _CLEAR if place < len(lines)]
        return [*clear, *(line for line in lines if line not in clear)]

    def _lines(self, name: str) -> list[str]:
        return (self._folder / name).read_text(encoding="utf-8").splitlines()

    def _sets_of(self, kind: Kind) -> Path:
        return self._folder / "images" if kind == "text-to-image" else self._folder
