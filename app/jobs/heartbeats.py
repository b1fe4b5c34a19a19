"""How long the workers of jobs have been silent, whatever happens to the clock of the machine.

The age of a file would be wrong after the clock is set, and after the machine has slept.
"""

from __future__ import annotations

import time
from pathlib import Path

from .job import Job

__all__ = ["Heartbeats"]

_ITERATIONS = 20  # without a heartbeat: those of a large model may take longer than the patience
_FIRST_ITERATION = 5  # times the patience, before the first iteration has been timed
_BEATS = ("job.json", "alive")  # files of a job that its worker touches


class Heartbeats:
    """The latest heartbeat of each job, and when it was seen first."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[int, float]] = {}  # time of the files, monotonic seconds

    def silence(self, folder: Path) -> float:
        """Return the seconds since the last progress of a job was seen; 0 if it is new.

        Args:
            folder: folder of the job.
        """
        files = [folder / name for name in _BEATS]
        beat = max((file.stat().st_mtime_ns for file in files if file.exists()), default=0)
        now = time.monotonic()
        if self._seen.get(folder, (None, 0))[0] != beat:
            self._seen[folder] = beat, now
        return now - self._seen[folder][1]

    def have_stopped(self, folder: Path, job: Job, patience: float) -> bool:
        """Return whether the heartbeat of the worker of a job has timed out.

        Args:
            folder: folder of the job.
            job: a job that has been started.
            patience: timeout in seconds of a job whose iterations are short.
        """
        pace = job.elapsed / job.iteration if job.iteration else 0
        patience *= 1 if pace or job.state == "loading" else _FIRST_ITERATION
        return self.silence(folder) > max(patience, _ITERATIONS * pace)
