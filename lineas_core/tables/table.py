"""A table of results: its cells are computed once and saved, and shown on a page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineas_core.errors import UserError
from lineas_core.storage.disk import saving, write_atomically
from lineas_core.tables.cells import (
    Cell,
    cells_done,
    cells_missing,
    compute_free,
    listed,
    merge,
)
from lineas_core.tables.conditions import place_of, unequal_at_zero
from lineas_core.tables.names import shown_key
from lineas_core.tables.panels import Panels
from lineas_core.tables.verdicts import Main
from lineas_core.tables.workbench import Workbench

__all__ = [
    "DETAILS",
    "EDITIONS",
    "Needs",
    "Table",
    "cells_wanted",
    "make",
    "page",
    "stem_of",
    "write_page",
]

EDITIONS = ("small", "paper")
DETAILS = "## How it was measured"
"""The heading in a page before which its short form ends."""


@dataclass(frozen=True)
class Needs:
    """What a cell of a table needs, for a plan of the whole table.

    Attributes:
        models: catalog names or hub ids of models and judges, besides the model in the key.
        data: hub ids of data sets.
        maps: number of maps that a cell learns.
        texts: number of texts that it generates.
        pictures: number of pictures that it generates.
        answers: number of answers or paragraphs whose probability it computes.
        sentences: number of sentences whose perplexity it computes.
    """

    models: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    maps: int = 1
    texts: int = 0
    pictures: int = 0
    answers: int = 0
    sentences: int = 0


def _drawn(panels: Panels, done: Sequence[Mapping[str, Any]]) -> bytes:
    from lineas_core.tables.figure import draw  # takes a second to import

    return draw(panels, done)


@dataclass(frozen=True)
class Table:
    """A table or figure of the paper.

    Attributes:
        name: the name on the command line.
        title: the heading of the page.
        source: where the paper has it.
        about: what a cell of the page shows, and how it was measured.
        cells: edition -> its cells, cheapest first.
        format_row: formats one row for a cell of the page.
        panels: the quantities in the figure; without any there is no figure.
        verdict: says in one sentence what all cells show; empty where they do not tell.
        main: the quantity in the short table; None if all tables of the page are the short one.
        summarise: compares all cells with the goal, in sentences.
        needs: edition -> what each of its cells needs.
        figure: draws the panels of all cells.
    """

    name: str
    title: str
    source: str
    about: str
    cells: Callable[[str], Sequence[Cell]]
    format_row: Callable[[Mapping[str, Any]], str]
    panels: Panels
    verdict: Callable[[Sequence[Mapping[str, Any]]], str] = lambda done: ""  # noqa: ARG005
    main: Main | None = None
    summarise: Callable[[Sequence[Mapping[str, Any]]], str] | None = None
    needs: Callable[[str], Needs] = lambda edition: Needs()  # noqa: ARG005
    figure: Callable[[Panels, Sequence[Mapping[str, Any]]], bytes] = _drawn


def make(
    table: Table,
    folder: Path,
    *,
    edition: str = "small",
    only: Mapping[str, Collection[str]] | None = None,
    report: Callable[[str], object] = print,
    device: str | None = None,
) -> Path:
    """Compute the missing cells of a table, and write `NAME.json`, `NAME.md` and `NAME.svg`.

    Cells that another process is computing at the same time are left to it, and cells that fail
    are left out.
    If it is interrupted, the finished cells are kept, and a long learning run resumes from its
    checkpoint. Finished cells are not recomputed when the code or the prompts change: to
    recompute them, delete the JSON file. A table without panels has no SVG.

    Args:
        table: the table to compute.
        folder: where the results are saved.
        edition: `small` on the embedded models, or `paper` in the paper's setting.
        only: part of the key -> wanted values; other cells are skipped. None computes all cells.
        report: called with a line of text at every step.
        device: of the models, as in `load_model`.

    Returns:
        The path of the page.

    Raises:
        UserError: no cell has a wanted key, the JSON file is damaged, or writing fails; or, when
            all else is done, cells have failed.
    """
    wanted = cells_wanted(table, edition, only or {})
    file = folder / f"{stem_of(table.name, edition)}.json"
    failures: dict[str, str] = {}
    for cell, failure in compute_free(wanted, file, Workbench(folder / "maps", report, device)):
        if failure:
            failures[str(cell)] = failure
        merge(file)
    written = write_page(table, folder, edition)
    missing = [str(cell) for cell in cells_missing(wanted, file)]
    for name in missing:
        if name not in failures:
            report(f"another process computes {name}")
    if left := {name: failures[name] for name in missing if name in failures}:
        raise UserError(
            "E_CELLS",
            f"{len(left)} of {len(wanted)} cells have failed: {listed(left)}",
            remedy="The others are saved; run the same again to compute these.",
        )
    return written


def write_page(table: Table, folder: Path, edition: str) -> Path:
    """Merge the finished cells of a table, and write its page and figure as `make` does.

    Raises:
        UserError: the JSON file is damaged, or writing fails.
    """
    stem = stem_of(table.name, edition)
    merge(folder / f"{stem}.json")
    shown = _in_order(table, edition, cells_done(folder / f"{stem}.json"))
    with saving("the results are", folder):
        write_atomically(folder / f"{stem}.md", page(table, edition, shown).encode())
        if table.panels:
            write_atomically(folder / f"{stem}.svg", table.figure(table.panels, shown))
    return folder / f"{stem}.md"


def cells_wanted(table: Table, edition: str, only: Mapping[str, Collection[str]]) -> list[Cell]:
    """Return the cells whose keys have the wanted values, see `make`.

    Raises:
        UserError: no cell has a wanted key.
    """
    cells = table.cells(edition)
    wanted = [c for c in cells if all(c.key.get(part) in only[part] for part in only)]
    if not wanted:
        keys = sorted({f"{k}={v}" for c in cells for k, v in c.key.items()})
        values = [f"{part}={' or '.join(sorted(only[part]))}" for part in only]
        raise UserError(
            "E_TABLE",
            f"the table {table.name!r} has nothing with {', '.join(values)}",
            remedy=f"Choose from {', '.join(keys)}.",
        )
    return wanted


def stem_of(name: str, edition: str) -> str:
    """Return the name of the files of a table's edition, without suffix."""
    return name if edition == "small" else f"{name}-{edition}"


def page(table: Table, edition: str, done: Sequence[Mapping[str, Any]]) -> str:
    """Format a table as Markdown.

    The verdict comes first, then a short table with one figure in each cell. Under `DETAILS`
    follow how it was measured, the comparison with the goals, all figures, the command and the
    machines; where lines of one model differ at λ = 0, it says so.
    """
    lines = [f"# {table.title}", ""]
    if done and (verdict := table.verdict(done)):
        lines += [verdict, ""]
    if short := _short(table, done):
        lines += [*short, ""]
    lines += [DETAILS, "", f"{table.source}. {table.about}", ""]
    if done and table.summarise:
        lines += [table.summarise(done), ""]
    if done and table.main:
        lines += _grid(table, done)
    if unequal := unequal_at_zero(done, table.main):
        lines += ["", unequal]
    dates = sorted(cell["date"] for cell in done)
    count = f"{len(done)} of {len(table.cells(edition))} lines"
    when = ", " + " to ".join(sorted({dates[0], dates[-1]})) if dates else ""
    places = sorted({place_of(cell) for cell in done})
    when += f", on {' and '.join(places)}" if places else ""
    option = "" if edition == "small" else f" --edition {edition}"
    lines += ["", f"`python -m lineas_core evaluate {table.name}{option}`: {count}{when}.", ""]
    return "\n".join(lines)


def _short(table: Table, done: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table with one figure in each cell, of the lines that have one."""
    main = table.main
    if main is None:
        return _grid(table, done) if done else []
    told = [c for c in done if any(main.value(row) is not None for row in c["rows"])]
    if not told:
        return []
    plain = [{**cell, "facts": {}} for cell in told]
    heads = f"*{main.name[:1].upper()}{main.name[1:]}, by λ*"
    return [heads, "", *_grid(table, plain, lambda row: main.shown(main.value(row)))]


def _in_order(
    table: Table, edition: str, done: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the cells that still belong to the table, in its order."""
    order = [dict(cell.key) for cell in table.cells(edition)]
    return sorted((c for c in done if c["key"] in order), key=lambda c: order.index(c["key"]))


def _grid(
    table: Table,
    done: Sequence[Mapping[str, Any]],
    format_row: Callable[[Mapping[str, Any]], str] | None = None,
) -> list[str]:
    """Return the lines of the Markdown table: keys, facts, and a column for each strength."""
    format_row = format_row or table.format_row
    keys, facts = list(done[0]["key"]), _union(cell["facts"] for cell in done)
    strengths = sorted({row["strength"] for cell in done for row in cell["rows"]})
    heads = [*keys, *facts, *(f"λ = {strength:g}" for strength in strengths)]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for cell in done:
        rows = {row["strength"]: format_row(row) for row in cell["rows"]}
        values = [_format_fact(cell["facts"].get(name, "")) for name in facts]
        columns = (rows.get(strength, "") for strength in strengths)
        lines.append(_line([*shown_key(cell["key"]).values(), *values, *columns]))
    return lines


def _union(groups: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for group in groups for name in group))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _format_fact(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
