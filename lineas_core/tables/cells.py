"""The cells of a table on disk, so that several processes compute it together.

NAME.json               the finished cells
NAME.cells/CELL.json    a finished cell that is not merged into them yet
NAME.cells/CELL.lock    held while a process computes the cell; a process that is killed loses it
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lineas_core.errors import UserError, first_line
from lineas_core.runtime.memory import out_of_memory_as_user_error
from lineas_core.runtime.versions import library_versions
from lineas_core.storage.disk import saving, write_atomically
from lineas_core.tables.conditions import machine_of
from lineas_core.tables.workbench import Workbench

__all__ = ["Cell", "cells_done", "cells_missing", "compute_free", "listed", "merge"]

_NAMED = 5  # cells that a list of failures names for each reason


@dataclass(frozen=True)
class Cell:
    """One line of a table, and the work that computes it.

    Attributes:
        key: identifies the cell, such as its model and concept.
        work: computes the result: {"facts": {name: number or text}, "rows": [...]}, with one row
            for every strength, which has the key `strength` among others.
    """

    key: Mapping[str, str]
    work: Callable[[Workbench], dict[str, Any]]

    def __str__(self) -> str:
        """Join the parts of the key."""
        return ", ".join(f"{name}={value}" for name, value in self.key.items())


def compute_free(
    cells: Sequence[Cell], file: Path, bench: Workbench
) -> Iterator[tuple[Cell, str]]:
    """Compute the cells that are neither finished nor being computed by another process.

    A cell that another process drops when it is killed becomes free again. One that fails is
    reported and left out, and the others are computed.

    Args:
        cells: the wanted cells.
        file: the JSON file of the table.
        bench: provides models and maps, and reports every step.

    Yields:
        Each cell, and why it has failed; without a reason its result is on the disk.

    Raises:
        UserError: the disk is full, or the JSON file is damaged.
    """
    found, failed = True, set()
    with saving("the results are", file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        _folder(file).mkdir(exist_ok=True)
    while found:
        found = False
        for number, cell in enumerate(cells, 1):
            if number in failed or _done(cell, file):
                continue
            with _claimed(cell, file) as free:
                if not free or _done(cell, file):
                    continue
                bench.report(f"{number}/{len(cells)}  {cell}")
                result, failure = _tried(cell, bench)
                if failure:
                    failed.add(number)
                else:
                    with saving("the results are", file.parent):
                        write_atomically(_path(cell, file), json.dumps(result).encode())
            found = True
            yield cell, failure


def listed(failures: Mapping[str, str]) -> str:
    """Join failures for an error: cells of the same reason, then the reason.

    Args:
        failures: name of a cell -> reason.
    """
    cells: dict[str, list[str]] = {}
    for cell, reason in failures.items():
        cells.setdefault(reason, []).append(cell)
    return "; ".join(f"{_shortened(of)} ({reason})" for reason, of in cells.items())


def merge(file: Path) -> None:
    """Move the finished cells into the JSON file of the table.

    Raises:
        UserError: the file is damaged, or cannot be written.
    """
    folder = _folder(file)
    with saving("the results are", file.parent), FileLock(folder / "merge.lock"):
        paths = sorted(folder.glob("*.json"))
        new = [json.loads(path.read_bytes()) for path in paths]
        keys = [cell["key"] for cell in new]
        if new:
            kept = [cell for cell in cells_done(file) if cell["key"] not in keys]
            write_atomically(file, json.dumps([*kept, *new], indent=1).encode())
        for path in paths:  # now that the file has them: who claims a cell looks there last
            path.unlink()
            with suppress(OSError):  # on Windows, while another process looks at the cell
                path.with_suffix(".lock").unlink(missing_ok=True)


def cells_done(file: Path) -> list[dict[str, Any]]:
    """Read the cells of a JSON file of results; a missing file has none.

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
            remedy="Move the file away and compute the table again.",
        ) from error
    return done


def cells_missing(cells: Sequence[Cell], file: Path) -> list[Cell]:
    """Return the cells that are not finished.

    Raises:
        UserError: the JSON file is damaged.
    """
    # In this order, because `merge` writes the JSON file before it removes the others.
    left = [cell for cell in cells if not _path(cell, file).exists()]
    merged = [cell["key"] for cell in cells_done(file)] if left else []
    return [cell for cell in left if cell.key not in merged]


def _done(cell: Cell, file: Path) -> bool:
    return not cells_missing([cell], file)


@contextmanager
def _claimed(cell: Cell, file: Path) -> Iterator[bool]:
    """Claim a cell for this process, unless another one has it."""
    lock = FileLock(_path(cell, file).with_suffix(".lock"), blocking=False)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _folder(file: Path) -> Path:
    return file.with_suffix(".cells")


def _path(cell: Cell, file: Path) -> Path:
    digest = hashlib.sha256(json.dumps(dict(cell.key)).encode()).hexdigest()[:8]
    words = re.sub(r"[^\w.]+", "-", "-".join(cell.key.values()))
    return _folder(file) / f"{words[:80]}-{digest}.json"


def _shortened(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return " and ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _tried(cell: Cell, bench: Workbench) -> tuple[dict[str, Any], str]:
    """Compute a cell; return its result, and why it has failed.

    Only the reason is kept, because an error keeps everything alive that its cell had loaded.
    """
    try:
        with out_of_memory_as_user_error():
            return _compute(cell, bench), ""
    except UserError as error:
        if error.code == "E_DISK":  # every other cell would fail by it
            raise
        failure = str(error)
    except Exception as error:  # noqa: BLE001 - a bug in one cell says nothing about the others
        bench.report(traceback.format_exc())
        failure = f"{type(error).__name__}: {first_line(error)}"
    bench.report(f"failed  {cell}: {failure}")
    return {}, failure


def _compute(cell: Cell, bench: Workbench) -> dict[str, Any]:
    """Compute a cell; return its result with key, date, duration, machine and versions."""
    bench.used.clear()
    started = time.monotonic()
    result = cell.work(bench)
    return {
        "key": dict(cell.key),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "seconds": round(time.monotonic() - started, 1),
        **machine_of(bench.used),
        "versions": library_versions(),
    } | result
