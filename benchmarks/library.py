"""Times of the page with many maps and jobs.

    python -m benchmarks.library [--quick] [--json results/library.json]

The data folder holds 2,000 copies of the ready-made maps, with their prompts and previews, and
1,000 jobs that are done. Each line is the median of several repetitions; what happens first after
a start is timed once. Times are those of the processor, which on an idle machine are the waiting
times.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from app.jobs.job import Job, JobRequest
from app.library.handlers import LibraryHandlers
from app.studio.studio import Studio
from benchmarks.report import report
from benchmarks.start import Mark
from lineas_core import PromptSet
from lineas_core.paths import ASSETS

__all__ = ["marks"]

_MAPS, _JOBS, _ITERATIONS = 2000, 1000, 80


def marks(times: int) -> Iterator[Mark]:
    """Fill a data folder and time what the page asks of it."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # the lock is looked at
        _fill(Path(folder))
        studio = Studio(Path(folder))
        yield _mark("first listing of the maps after a start", studio.maps, 1)
        yield _mark("later listing", studio.maps, times)
        name = min(path.name for path in Path(folder, "maps").iterdir())
        yield _mark("one map, as for a move of the slider", lambda: studio.entry(name), times)
        handlers = LibraryHandlers(studio)
        yield _mark("first visit to the Library", lambda: handlers.library("", ""), 1)
        yield _mark("later visit", lambda: handlers.library("", ""), times)
        size = len(handlers.library("", "")[0]) / 1e6
        yield Mark("cards that the page receives", size, "MB", [size])
        yield _mark("first listing of the jobs", studio.jobs.list, 1)
        yield _mark("later listing, as at each poll of the page", studio.jobs.list, times)


def _fill(folder: Path) -> None:
    """Copy maps and write jobs."""
    shipped = sorted((ASSETS / "maps").iterdir())
    for number in range(_MAPS):
        shutil.copytree(
            shipped[number % len(shipped)],
            folder / "maps" / f"map-{number:04d}",
        )
    jobs = Studio(folder).jobs
    prompts = PromptSet.load(shipped[0] / "prompts.json")
    line = '{"iteration": %d, "loss": 1.5, "heldout": 1.2, "support": 1.0, "elapsed": %d.5}\n'
    records = "".join(line % (k, k) for k in range(_ITERATIONS + 1))
    for number in range(_JOBS):
        job_id = f"20260101-000000-{number:08d}"
        (jobs.folder / job_id).mkdir()
        jobs.write(
            Job(job_id, JobRequest(f"Job {number}", "emoji-world", prompts), "done", number)
        )
        (jobs.folder / job_id / "records.jsonl").write_text(records)


def _mark(name: str, work: Callable[[], object], times: int) -> Mark:
    values = []
    for _ in range(times):
        began = time.process_time()
        work()
        values.append(1000 * (time.process_time() - began))
    return Mark(name, median(values), "ms", values)


def main() -> None:
    """Print a line for each time."""
    report(
        str(__doc__).split("\n")[0],
        {"library": marks},
        ["what", "median", "unit"],
        lambda mark: f"| {mark.name} | {mark.value:.4g} | {mark.unit} |",
        asdict,
        file="results/library.json",
    )


if __name__ == "__main__":
    main()
