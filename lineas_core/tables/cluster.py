"""Compute a table by several workers, on this machine or on a cluster with SLURM.

submitit starts them. Every worker is the same program: it takes cells that are free, so that
nothing has to plan who does what. What a killed worker was computing is taken by another one.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lineas_core.errors import UserError, first_line
from lineas_core.tables.cells import Cell, cells_missing, compute_free, listed
from lineas_core.tables.table import Table, cells_wanted, make, stem_of, write_page
from lineas_core.tables.workbench import Workbench

__all__ = ["Place", "make_on", "parse_place"]

_MINUTES = 24 * 60  # SBATCH_TIMELIMIT overrides it
_POLL_SECONDS = 1
_Only = Mapping[str, Collection[str]]
_End = tuple[dict[str, str], str]  # failed cells of a worker, and why it ended before its time


@dataclass(frozen=True)
class Place:
    """Where workers run.

    Attributes:
        cluster: `local` or `slurm`.
        workers: at most this many at a time; None means one for each cell.
        partition: of SLURM.
        gpus: that a job of SLURM asks for.
    """

    cluster: str
    workers: int | None = None
    partition: str | None = None
    gpus: int | None = None


def parse_place(text: str, edition: str) -> Place:
    """Read `local:NUMBER` or `slurm:PARTITION`; only the paper's edition needs a GPU.

    Raises:
        UserError: it is something else.
    """
    cluster, _, rest = text.partition(":")
    if cluster == "local" and rest.isdecimal() and int(rest):
        return Place(cluster, int(rest))
    if cluster == "slurm" and rest:
        return Place(cluster, partition=rest, gpus=1 if edition == "paper" else None)
    remedy = "Give local:NUMBER, such as local:4, or slurm:PARTITION."
    raise UserError("E_PLACE", f"--on is {text!r}", remedy=remedy)


def make_on(
    place: Place,
    table: Table,
    folder: Path,
    *,
    edition: str = "small",
    only: _Only | None = None,
    report: Callable[[str], object] = print,
) -> Path:
    """Compute a table as `make` does, by workers on another place; arguments as there.

    Workers start until no cell is missing, or none of them has finished one. The folder has to be
    one that all of them see. If this process is interrupted, it cancels them; the cells that they
    have finished are kept.

    Raises:
        UserError: submitit is missing, or cells are missing when the page is written.
    """
    wanted = cells_wanted(table, edition, only or {})
    stem = stem_of(table.name, edition)
    logs, file = folder / f"{stem}.workers", (folder / f"{stem}.json").absolute()
    missing = cells_missing(wanted, file)
    while before := len(missing):
        count = min(place.workers or before, before)
        report(f"{before} of {len(wanted)} cells are missing: {count} workers start")
        with _running(place, count, logs, table, file, edition, only) as jobs:
            while not all([job.done() for job in jobs]):  # a list, so that each is looked at
                missing = _left_of(missing, file, report)
                time.sleep(_POLL_SECONDS)
            ends = [*map(_end_of, jobs)]
        missing = _left_of(missing, file, report)
        for early in (end for _, end in ends if end):
            report(f"a worker has ended early: {early}")
        if len(missing) == before:
            write_page(table, folder, edition)
            what = f"{before} of {len(wanted)} cells are missing after all workers have ended"
            remedy = f"See their logs in {logs}, then run the same again."
            raise UserError("E_WORKERS", f"{what}: {_reasons(ends)}", remedy=remedy)
    return make(table, folder, edition=edition, only=only, report=report)


def _left_of(missing: list[Cell], file: Path, report: Callable[[str], object]) -> list[Cell]:
    """Report the cells that are not missing any more, and return the others."""
    left = cells_missing(missing, file)
    for cell in missing:
        if cell not in left:
            report(f"finished  {cell}")
    return left


@contextmanager
def _running(place: Place, count: int, logs: Path, *work: Any) -> Iterator[list[Any]]:
    """Start workers, and cancel them if the `with` block ends by an exception."""
    jobs: list[Any] = []
    try:
        for number in range(count):
            jobs.append(_executor(place, number, logs).submit(_work, *work))
        yield jobs
    except BaseException:
        for job in jobs:
            job.cancel()
        raise


def _executor(place: Place, number: int, logs: Path) -> Any:
    """Return what starts the worker of a number; those of one machine take turns at its GPUs."""
    try:
        import submitit  # an extra
    except ModuleNotFoundError:
        raise UserError(
            "E_NOT_INSTALLED",
            "--on needs the package submitit",
            remedy='Run `pip install "lineas-studio[cluster]"`.',
        ) from None
    if place.cluster == "local":
        gpus = torch.cuda.device_count()
        seen = {"gpus_per_node": 1, "visible_gpus": [number % gpus]} if gpus else {}
        executor: Any = submitit.LocalExecutor(logs)
        executor.update_parameters(timeout_min=_MINUTES, **seen)
        return executor
    try:
        slurm = submitit.SlurmExecutor(logs)
    except RuntimeError as error:
        remedy = "Run this where sbatch and srun are, or give local:NUMBER."
        raise UserError("E_PLACE", "there is no SLURM on this machine", remedy=remedy) from error
    slurm.update_parameters(
        job_name="lineas", partition=place.partition, time=_MINUTES, gpus_per_node=place.gpus
    )
    return slurm


def _work(table: Table, file: Path, edition: str, only: _Only | None) -> _End:
    """Compute cells until none is free; return those that have failed, and what ended it early."""
    bench = Workbench(file.parent / "maps", print)
    failures: dict[str, str] = {}
    try:
        for cell, failure in compute_free(cells_wanted(table, edition, only or {}), file, bench):
            if failure:
                failures[str(cell)] = failure
            else:
                bench.report(f"finished  {cell}")
    except UserError as error:
        return failures, str(error)
    except Exception as error:  # noqa: BLE001 - said in one line, and the trace is in the log
        traceback.print_exc()
        return failures, f"{type(error).__name__}: {first_line(error)}"
    return failures, ""


def _reasons(ends: Sequence[_End]) -> str:
    """Say which cells have failed, and what ended workers early."""
    failures = {name: why for failed, _ in ends for name, why in failed.items()}
    reasons = [listed(failures), *dict.fromkeys(early for _, early in ends)]
    return "; ".join(filter(None, reasons)) or "another process computes them"


def _end_of(job: Any) -> _End:
    return ({}, "it was killed") if job.exception() else job.result()
