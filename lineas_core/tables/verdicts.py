"""What a table says in one sentence, from the quantity that tells most.

A verdict is computed from the cells that are there, so that it never claims what the table below
it does not show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any, NamedTuple

from lineas_core.tables.names import shown_key

__all__ = ["Limit", "Main", "at_cost", "at_full", "at_zero", "compared", "mean"]

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


class Limit(NamedTuple):
    """A cost at which the lines of a table are compared.

    Attributes:
        times: the cost, in times that of λ = 0.
        name: what it is, as a part of a sentence.
        cost: row -> cost; None if the row has none.
    """

    times: float
    name: str
    cost: Callable[[_Row], float | None]


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


def at_cost(cell: _Row, main: Main, limit: Limit) -> float | None:
    """Return the figure of a line at the first strength where its cost reaches the limit.

    Between two strengths it is interpolated in the logarithm of the cost; below the limit it is
    that of the full strength. A line that has a figure or a cost for some of its rows only has
    none.
    """
    rows = sorted(cell["rows"], key=lambda row: row["strength"])
    points = [(main.value(row), limit.cost(row)) for row in rows]
    known = [(value, cost) for value, cost in points if value is not None and cost is not None]
    if len(known) < len(rows):
        return None
    most = limit.times * known[0][1]
    for (a, before), (b, after) in pairwise(known):
        if after > most:
            return a + (b - a) * math.log(most / before) / math.log(after / before)
    return known[-1][0]


def compared(
    part: str,
    main: Main,
    *,
    within: str | None = None,
    ranked: bool = True,
    limit: Limit | None = None,
) -> Callable[[_Cells], str]:
    """Return a verdict that compares the lines of a table.

    A figure is the mean over lines that are the same for all figures but for `part`. Where they
    are not, such as another number of iterations for one γ, the parts of the key in which they
    differ are named, too.

    Args:
        part: part of the key that is compared.
        main: the quantity; less of it is better.
        within: part of the key whose values are compared apart; None takes means over all lines.
        ranked: name the best lines first; otherwise all of them in the order of the table.
        limit: compare at equal cost, see `at_cost`; None compares at full strength.
    """
    name = main.name[:1].upper() + main.name[1:]
    where = "full strength"
    if limit:
        where = f"{limit.times:g} times {limit.name}, or at full strength if that costs less"

    def figure(cell: _Row) -> float | None:
        return at_cost(cell, main, limit) if limit else main.value(at_full(cell))

    def sentence(group: str, cells: _Cells) -> str:
        parts = _told_apart([cell["key"] for cell in cells], part, within)
        figures: dict[str, list[float]] = {}
        for cell in cells:
            label = ", ".join(cell["key"][each] for each in parts)
            figures.setdefault(label, []).append(cell["figure"])
        means = {label: fmean(found) for label, found in figures.items()}
        order = sorted(means, key=means.__getitem__)[:_MOST] if ranked else [*means]
        named = ", ".join(f"{main.shown(means[label])} ({label})" for label in order)
        before = main.shown(mean(main.value(at_zero(cell)) for cell in cells))
        on = f", on {group}" if group else ""
        by = " and ".join(parts)
        return f"{name} at {where}, by {by}{on}: {named}; {before} without steering."

    def verdict(done: _Cells) -> str:
        told = [{**cell, "key": shown_key(cell["key"]), "figure": figure(cell)} for cell in done]
        known = [cell for cell in told if cell["figure"] is not None]
        groups: dict[str, list[_Row]] = {}
        for cell in known:
            groups.setdefault(cell["key"][within] if within else "", []).append(cell)
        sentences = [sentence(group, cells) for group, cells in groups.items()]
        return " ".join(sentences) or f"{name}: to be measured again, by the present judge."

    return verdict


def _told_apart(keys: Sequence[Mapping[str, str]], part: str, within: str | None) -> list[str]:
    """Return a part of the key, with those others in which the lines of its values differ."""
    parts, others = [part], [name for name in keys[0] if name not in (part, within)]
    while True:
        groups: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
        for key in keys:
            groups.setdefault(tuple(key[name] for name in parts), []).append(key)

        def differ(names: Sequence[str], groups: Mapping[Any, Any] = groups) -> bool:
            found = [{tuple(k[name] for name in names) for k in of} for of in groups.values()]
            return any(each != found[0] for each in found)

        if not differ(others):
            return parts
        named = next((name for name in others if differ([name])), others[0])
        parts.append(named)
        others.remove(named)
