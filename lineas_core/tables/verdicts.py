"""What a table says in one sentence, from the quantity that tells most.

A verdict is computed from the cells that are there, so that it never claims what the table below
it does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from lineas_core.tables.names import shown_key

__all__ = ["Main", "at_full", "at_zero", "compared", "mean"]

_Cells = Sequence[Mapping[str, Any]]
_Row = Mapping[str, Any]
_MOST = 5  # lines that a sentence names


class Main(NamedTuple):
    """The quantity that tells most of a table.

    Attributes:
        name: what it is, as a part of a sentence.
        value: row -> figure; None if the row has none, as rows of an earlier judge.
        form: format specification of a figure.
    """

    name: str
    value: Callable[[_Row], float | None]
    form: str = ".0%"

    def shown(self, figure: float | None) -> str:
        """Format a figure; without one it is empty."""
        return "" if figure is None else f"{figure:{self.form}}"


def at_full(cell: _Row) -> _Row:
    """Return the row of the highest strength of a cell."""
    return max(cell["rows"], key=lambda row: row["strength"])


def at_zero(cell: _Row) -> _Row:
    """Return the row of the unsteered model."""
    return next(row for row in cell["rows"] if row["strength"] == 0)


def mean(figures: Iterable[float | None]) -> float | None:
    """Return the mean of the figures that are known; None without any."""
    known = [figure for figure in figures if figure is not None]
    return fmean(known) if known else None


def compared(
    part: str, main: Main, *, within: str | None = None, ranked: bool = True
) -> Callable[[_Cells], str]:
    """Return a verdict that compares the lines of a table at full strength.

    Args:
        part: part of the key in which the lines differ.
        main: the quantity; less of it is better.
        within: part of the key whose values are compared apart; None takes means over all lines.
        ranked: name the best lines first; otherwise all of them in the order of the table.
    """
    name = main.name[:1].upper() + main.name[1:]

    def verdict(done: _Cells) -> str:
        told = [cell for cell in done if main.value(at_full(cell)) is not None]
        known = [{**cell, "key": shown_key(cell["key"])} for cell in told]
        if not known:
            return f"{name}: to be measured again, by the present judge."
        groups = dict.fromkeys(cell["key"][within] if within else "" for cell in known)
        sentences = []
        for group in groups:
            cells = [cell for cell in known if not within or cell["key"][within] == group]
            labels = dict.fromkeys(cell["key"][part] for cell in cells)
            means = {
                label: fmean(
                    main.value(at_full(cell)) or 0.0
                    for cell in cells
                    if cell["key"][part] == label
                )
                for label in labels
            }
            order = sorted(means, key=means.__getitem__)[:_MOST] if ranked else [*means]
            named = ", ".join(f"{main.shown(means[label])} ({label})" for label in order)
            before = main.shown(mean(main.value(at_zero(cell)) for cell in cells))
            where = f", on {group}" if group else ""
            sentences.append(
                f"{name} at full strength, by {part}{where}: {named}; {before} without steering."
            )
        return " ".join(sentences)

    return verdict
