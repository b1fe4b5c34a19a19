"""A batch: many prompts with their seeds, each to be made once as it is and once steered."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from zipfile import ZIP_STORED, ZipFile

from lineas_core import UserError
from lineas_core.prompts.files import read_lines, tidy
from lineas_core.storage.disk import saving

from .checks import prompt_text, seed_of

__all__ = ["MOST_PROMPTS", "Item", "archive", "items_of", "table"]

MOST_PROMPTS = 200
"""Maximal number of prompts."""


class Item(NamedTuple):
    """A prompt and its seed."""

    prompt: str
    seed: int


def items_of(text: str, seed: object, *, counting: bool) -> tuple[list[Item], tuple[str, ...]]:
    """Return the prompts of a batch with their seeds, and a sentence on each kind of dropped line.

    Args:
        text: the prompts, one on each line.
        seed: seed of the first prompt.
        counting: whether the seed counts up by one from prompt to prompt, or stays the same.

    Raises:
        UserError: a line is no valid prompt, there are none or too many, or the seed is invalid.
    """
    prompts, notes = tidy(read_lines(text or "", "prompts"), "prompts")
    if not 1 <= len(prompts) <= MOST_PROMPTS:
        remedy = f"Write 1 to {MOST_PROMPTS}, one per line, or upload a file."
        raise UserError("E_PROMPT", f"{len(prompts)} prompts were given", remedy=remedy)
    first = seed_of(seed)
    seeds = [seed_of(first + counting * place) for place in range(len(prompts))]
    return [*map(Item, map(prompt_text, prompts), seeds)], notes


@contextmanager
def archive(file: Path) -> Iterator[ZipFile]:
    """Write a zip archive of pictures, which are compressed already.

    Raises:
        UserError: it cannot be written, such as on a full disk.
    """
    with saving("the archive was"), ZipFile(file, "w", ZIP_STORED) as opened:
        yield opened


def table(file: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write a table as a CSV file, which spreadsheets read as UTF-8.

    Raises:
        UserError: it cannot be written, such as on a full disk.
    """
    with saving("the table was"), file.open("w", encoding="utf-8-sig", newline="") as opened:
        csv.writer(opened).writerows(rows)
