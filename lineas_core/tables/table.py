"""A table of figures: pieces of work that are done once and kept, and the page they make."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from lineas_core.errors import UserError
from lineas_core.storage.disk import saving, write_atomically
from lineas_core.tables.figure import Panels, draw
from lineas_core.tables.workbench import Workbench

__all__ = ["EDITIONS", "Cell", "Table", "cells_done", "make", "page", "stem_of"]

EDITIONS = ("small", "paper")
_CPU = "CPU"


@dataclass(frozen=True)
class Cell:
    """One piece of work.

    Attributes:
        key: what tells it from the others, such as the model and the concept.
        work: makes the figures: {"facts": {name: number or text}, "rows": [one for every
            strength, with `strength` among its figures]}.
    """

    key: Mapping[str, str]
    work: Callable[[Workbench], dict[str, Any]]


@dataclass(frozen=True)
class Table:
    """A table or figure of the paper, as work to do.

    Attributes:
        name: what to call it on the command line.
        title: one line.
        source: where the paper has it.
        about: what a cell of the page says, and with what it was made.
        cells: (edition) -> the work, cheapest first.
        tell: one row of figures as a few characters.
        panels: what the figure shows; nothing: there is none.
        sum_up: what all cells together say, against what was aimed at.
    """

    name: str
    title: str
    source: str
    about: str
    cells: Callable[[str], Sequence[Cell]]
    tell: Callable[[Mapping[str, Any]], str]
    panels: Panels
    sum_up: Callable[[Sequence[Mapping[str, Any]]], str] | None = None


def make(
    table: Table,
    folder: Path,
    *,
    edition: str = "small",
    only: Mapping[str, Collection[str]] | None = None,
    tell: Callable[[str], object] = print,
) -> Path:
    """Do what is not done yet, and write `NAME.json`, `NAME.md` and, where asked, `NAME.svg`.

    An interrupted run loses the cell it was at; a long learning run goes on from its checkpoint.
    What is done is not made anew when the code or the prompts change: for that, delete the file.

    Args:
        table: what to make.
        folder: where results are kept.
        edition: `small` on the embedded models, or `paper` in the paper's setting.
        only: of some parts of the keys, the wanted values; other cells are left for another time.
        tell: called with a line on every step.

    Returns:
        The page.

    Raises:
        UserError: no cell has the wanted key, the file of results is damaged, or the disk refuses.
    """
    only, cells = only or {}, table.cells(edition)
    wanted = [c for c in cells if all(c.key.get(part) in only[part] for part in only)]
    if not wanted:
        keys = sorted({f"{k}={v}" for c in cells for k, v in c.key.items()})
        raise UserError(
            "E_TABLE",
            f"the table {table.name!r} has nothing with "
            + ", ".join(f"{part}={' or '.join(sorted(only[part]))}" for part in only),
            remedy=f"Choose from {', '.join(keys)}.",
        )
    stem = stem_of(table.name, edition)
    file, bench = folder / f"{stem}.json", Workbench(folder / "maps", tell)
    with saving("the results are", folder):
        folder.mkdir(parents=True, exist_ok=True)
    for number, cell in enumerate(wanted, 1):
        if any(d["key"] == cell.key for d in cells_done(file)):
            continue
        tell(f"{number}/{len(wanted)}  {_key(cell.key)}")
        started = time.monotonic()
        result = cell.work(bench)
        facts = {
            "key": dict(cell.key),
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "seconds": round(time.monotonic() - started, 1),
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else _CPU,
            "versions": {name: version(name) for name in ("torch", "transformers", "diffusers")},
        }
        # Another process may have added to it, even this one.
        others = [done for done in cells_done(file) if done["key"] != facts["key"]]
        with saving("the results are", folder):
            write_atomically(file, json.dumps([*others, facts | result], indent=1).encode())
    shown = _in_order(table, edition, cells_done(file))
    with saving("the results are", folder):
        write_atomically(folder / f"{stem}.md", page(table, edition, shown).encode())
        if table.panels:
            write_atomically(folder / f"{stem}.svg", draw(table.panels, shown))
    return folder / f"{stem}.md"


def stem_of(name: str, edition: str) -> str:
    """What the files of a table's edition are called, without their suffixes."""
    return name if edition == "small" else f"{name}-{edition}"


def cells_done(file: Path) -> list[dict[str, Any]]:
    """The cells in a file of results; none where there is no file.

    Raises:
        UserError: the file is damaged.
    """
    if not file.exists():
        return []
    try:
        done = json.loads(file.read_text(encoding="utf-8"))
        for cell in done:
            _ = cell["key"].items(), cell["facts"].items(), [r["strength"] for r in cell["rows"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            "E_TABLE",
            f"the results in {file} are damaged ({type(error).__name__})",
            remedy="Move the file away, and make the table anew.",
        ) from error
    return done


def page(table: Table, edition: str, done: Sequence[Mapping[str, Any]]) -> str:
    """The table as Markdown: a line for each cell, a column for each strength."""
    lines = [f"# {table.title}", "", f"{table.source}. {table.about}", ""]
    if done and table.sum_up:
        lines += [table.sum_up(done), ""]
    if done:
        keys, facts = list(done[0]["key"]), _union(cell["facts"] for cell in done)
        strengths = sorted({row["strength"] for cell in done for row in cell["rows"]})
        heads = [*keys, *facts, *(f"λ = {s:g}" for s in strengths)]
        lines += [_line(heads), _line(["---"] * len(heads))]
        for cell in done:
            at = {row["strength"]: table.tell(row) for row in cell["rows"]}
            told = [_figure(cell["facts"].get(name, "")) for name in facts]
            lines.append(
                _line([*cell["key"].values(), *told, *(at.get(s, "") for s in strengths)])
            )
    dates = sorted(cell["date"] for cell in done)
    made = f"{len(done)} of {len(table.cells(edition))} lines"
    when = ", " + " to ".join(sorted({dates[0], dates[-1]})) if dates else ""
    devices = sorted({cell.get("device", _CPU) for cell in done})
    when += f", on {' and '.join(devices)}" if devices else ""
    option = "" if edition == "small" else f" --edition {edition}"
    lines += ["", f"`python -m lineas_core evaluate {table.name}{option}`: {made}{when}.", ""]
    return "\n".join(lines)


def _in_order(
    table: Table, edition: str, done: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The cells that belong to the table as it is now, in its order."""
    order = [dict(cell.key) for cell in table.cells(edition)]
    return sorted((c for c in done if c["key"] in order), key=lambda c: order.index(c["key"]))


def _union(groups: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for group in groups for name in group))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _key(key: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in key.items())
