"""A grid of pictures over two axes: strength, seed, prompt, concept or method. No gradio."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from lineas_core import UserError
from lineas_core.pictures import label_of

from .checks import number, prompt_text, seed_of
from .maps import MapEntry, siblings
from .studio import Studio

__all__ = ["AXES", "MOST_CELLS", "Cell", "Grid", "axis_values", "grid"]

MOST_CELLS = 100
_MOST_VALUES = 20
_FIRST_FEW = 5
_SEEDS = re.compile(r"(\d{1,16})-(\d{1,16})")
_MAPS = ("concept", "method")


@dataclass(frozen=True)
class Cell:
    """The settings of one picture.

    Attributes:
        entries: the maps, in the order in which they are applied.
        strengths: λ of each of them, -1 to 1.
        prompt: description of the picture.
        seed: seed of the starting noise.
    """

    entries: tuple[MapEntry, ...]
    strengths: tuple[float, ...]
    prompt: str
    seed: int


class Value(NamedTuple):
    """One value of an axis: its label, and what it changes in a cell."""

    label: str
    change: Callable[[Cell], Cell]


@dataclass(frozen=True)
class Grid:
    """The cells of a grid.

    Attributes:
        columns: m labels.
        rows: n labels; a single empty one if there is no second axis.
        cells: n rows of m cells.
    """

    columns: Sequence[str]
    rows: Sequence[str]
    cells: Sequence[Sequence[Cell]]


AXES = {
    "strength": "Strength λ",
    "second": "λ of the second concept",
    "seed": "Seed",
    "prompt": "Prompt",
    "concept": "Concept",
    "method": "Method",
}
"""Key of an axis -> its name on the page."""


def axis_values(studio: Studio, axis: str, cell: Cell) -> str:
    """Return values to begin with, as a text that `grid` reads.

    Args:
        studio: lists the maps and the examples.
        axis: a key of `AXES`, or empty.
        cell: the settings of the page.
    """
    first = cell.entries[0]
    if axis in ("strength", "second"):
        return "-1, -0.5, 0, 0.5, 1"
    if axis == "seed":
        return f"{cell.seed}-{cell.seed + _FIRST_FEW - 1}"
    if axis == "prompt":
        return "\n".join(first.within(s) for s in studio.prompts.scenes()[:_FIRST_FEW])
    if axis in _MAPS:
        return "\n".join([*_choices(studio.maps(), axis, first)][:_FIRST_FEW])
    return ""


def grid(studio: Studio, cell: Cell, columns: tuple[str, str], rows: tuple[str, str]) -> Grid:
    """Return the cells of two axes; concepts and methods get their original beside them.

    That is a column or a row, unless one of the axes is a strength.

    Args:
        studio: lists the maps.
        cell: the settings that no axis changes.
        columns: key of the axis, and its values as a text: numbers separated by commas, seeds
            also as a range (7-10), prompts, concepts and methods one on each line.
        rows: likewise; an empty key for a single row.

    Raises:
        UserError: the same axis twice, a value that cannot be read, too many cells, or a concept
            that a method has no map of.
    """
    if columns[0] == rows[0]:
        raise _refused("both axes are the same", "Choose two different ones.")
    across = _values(studio, *columns, cell)
    down = _values(studio, *rows, cell) if rows[0] else [Value("", lambda each: each)]
    original = Value("original", _untouched)
    by_row = columns[0] not in _MAPS  # then a row of originals, each of its column
    if not {"strength", "second"} & {columns[0], rows[0]}:
        if not by_row:
            across = [original, *across]
        elif rows[0] in ("", *_MAPS):
            down = [original, *down]
    if len(across) * len(down) > MOST_CELLS:
        what = f"the grid has {len(across)} x {len(down)} pictures"
        raise _refused(what, f"At most {MOST_CELLS} are painted at a time.")
    # Methods last: a method is one of those that the concept of its cell was learnt with.
    last = columns[0] == "method"
    cells = [
        [
            column.change(row.change(cell)) if last else row.change(column.change(cell))
            for column in across
        ]
        for row in down
    ]
    return Grid([each.label for each in across], [each.label for each in down], cells)


def _values(studio: Studio, axis: str, text: str, cell: Cell) -> list[Value]:
    if axis not in AXES:
        raise _refused("an axis is missing", "Choose what changes from column to column.")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    words = [word for word in re.split(r"[,;\s]+", text) if word]
    if axis in ("strength", "second"):
        values = _strengths(words, 0 if axis == "strength" else 1)
    elif axis == "seed":
        values = _seeds(re.sub(r"\s*-\s*", "-", text).replace(",", " ").split())
    elif axis == "prompt":
        values = [Value(prompt_text(line), _with(prompt=line)) for line in lines]
    else:
        values = _named(studio.maps(), axis, lines)
    if axis == "second" and len(cell.entries) < 2:
        raise _refused("there is no second concept", "Add one beside the pictures.")
    _check_count(axis, len(values))
    return values


def _check_count(axis: str, count: int) -> None:
    if not 1 <= count <= _MOST_VALUES:
        what = f"{count} values of “{AXES[axis]}” were given"
        raise _refused(what, f"Give 1 to {_MOST_VALUES}.")


def _strengths(words: Sequence[str], place: int) -> list[Value]:
    def at(strength: float) -> Callable[[Cell], Cell]:
        def change(cell: Cell) -> Cell:
            changed = [*cell.strengths]
            changed[place] = strength
            return replace(cell, strengths=tuple(changed))

        return change

    found = [number("λ", _number(word), -1, 1) for word in words]
    return [Value(f"λ {label_of(each)}" if each else "λ 0", at(each)) for each in found]


def _seeds(words: Sequence[str]) -> list[Value]:
    seeds: list[int] = []
    for word in words:
        ends = _SEEDS.fullmatch(word)
        low, high = map(int, ends.groups()) if ends else (seed_of(_number(word)),) * 2
        if low > high:
            raise _refused(f"{word} ends before it begins", f"Write {high}-{low}.")
        _check_count("seed", len(seeds) + high - low + 1)  # before a long list is made
        seeds += range(low, high + 1)
    return [Value(f"seed {seed}", _with(seed=seed_of(seed))) for seed in seeds]


def _named(maps: Sequence[MapEntry], axis: str, lines: Sequence[str]) -> list[Value]:
    def of(line: str) -> Callable[[Cell], Cell]:
        def change(cell: Cell) -> Cell:
            entry = _choice(maps, axis, line, cell.entries[0])
            return replace(cell, entries=(entry, *cell.entries[1:]))

        return change

    return [Value(line, of(line)) for line in lines]


def _choice(maps: Sequence[MapEntry], axis: str, name: str, first: MapEntry) -> MapEntry:
    """Return the map of a concept or method beside the map of a cell."""
    known = _choices(maps, axis, first)
    if name not in known:
        place = f"of “{first.title:.60}”" if axis == "method" else "for this model"
        listed = ", ".join(f"“{each}”" for each in [*known][:12])
        raise _refused(f"there is no {axis} “{name:.60}” {place}", f"Known: {listed}.")
    return known[name]


def _choices(maps: Sequence[MapEntry], axis: str, first: MapEntry) -> dict[str, MapEntry]:
    """Return the maps that an axis offers, by name; of equal names the later ones get their id."""
    if axis == "method":
        named = [(each.method_label, each) for each in siblings(first, maps)]
    else:
        of_model = (e for e in maps if (e.kind, e.model) == (first.kind, first.model))
        named = [(each.title, each) for each in of_model]
    found: dict[str, MapEntry] = {}
    for name, each in sorted(named, key=lambda pair: pair[1].id != first.id):
        found[f"{name} · {each.id}" if name in found else name] = each
    return found


def _with(**changes: object) -> Callable[[Cell], Cell]:
    return lambda cell: replace(cell, **changes)  # type: ignore[arg-type]


def _untouched(cell: Cell) -> Cell:
    return replace(cell, strengths=(0.0,) * len(cell.strengths))


def _number(word: str) -> float:
    try:
        return float(word.replace("−", "-"))
    except ValueError:
        raise _refused(f"“{word:.60}” is not a number", "Separate numbers by commas.") from None


def _refused(what: str, remedy: str) -> UserError:
    return UserError("E_GRID", what, remedy=remedy)
