"""The queue of training jobs, stored on disk. `worker.py` runs them in a separate process.

A server runs at most one worker at a time, and starts another one as long as jobs are waiting. A
worker holds the lock of the folder while it works, so that the workers of two servers alternate. A
started job without a worker that holds the lock was interrupted, so that a killed worker needs no
cleanup. A worker that holds the lock without making progress counts as hung, and stopping its job
kills it. `files.py` describes the folder of a job.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from lineas_core.errors import UserError
from lineas_core.models.catalog import MODELS, Kind
from lineas_core.storage.disk import new_folder, read_regular, remove_folder, saving, sweep

from .files import DISK_FULL, MALFORMED, STOP, pictures_of, read_job, read_records, write_job
from .heartbeats import Heartbeats
from .job import PENDING, STARTED, Job, JobRequest
from .lock import Lock
from .room import Room
from .workers import Workers

__all__ = ["Jobs"]

PATIENCE = 120
"""Heartbeat timeout of a worker in seconds."""
_ENOUGH = 5  # iterations needed to estimate a pace
_ID = re.compile(r"[a-z0-9-]{8,40}")
# Per prompt and iteration on two CPU cores; pictures have more positions than texts.
_SECONDS_PER_GB: dict[Kind, float] = {"language": 0.03, "text-to-image": 0.2}


class Jobs:
    """The jobs of one folder. Methods with an id raise `UserError` if it is unknown."""

    def __init__(
        self,
        folder: str | Path,
        python: str = sys.executable,
        patience: float = PATIENCE,
        *,
        read_only: bool = False,
    ) -> None:
        """Open the jobs of `folder`.

        Args:
            folder: created if missing.
            python: interpreter that runs the worker.
            patience: heartbeat timeout of a worker in seconds. The timeout is 20 iterations if
                these take longer, and 5 times `patience` before the first iteration.
            read_only: refuse to queue and to resume jobs, as in a public demo.
        """
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock, self.patience = Lock(self.folder), patience
        self._workers = Workers(self.lock, python, lambda: [job.id for job in self.waiting()])
        self._ending = threading.Lock()
        self._heartbeats = Heartbeats()
        self._room, self._queuing = Room(closed=read_only), threading.Lock()
        self._over: dict[str, tuple[object, Job]] = {}  # jobs that are over, as last read

    def serve(self) -> None:
        """From now on, also start workers for the waiting jobs of a server that has ended."""
        self._workers.serve()

    def prepare(self) -> None:
        """Make the next job start sooner, for about ten minutes."""
        self._workers.prepare()

    def sweep(self) -> None:
        """Remove files that killed processes left unfinished, unless a worker is running."""
        if not self.lock.held:
            sweep(self.folder)

    def submit(self, request: JobRequest, visitor: str = "") -> str:
        """Queue a job and return its id.

        Args:
            request: what to learn.
            visitor: address of the visitor who asks for it; empty if unknown.

        Raises:
            UserError: too many jobs are waiting, none may wait, or the disk is full.
        """
        job_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        with self._queuing:
            self._room.check(waiting := self.waiting(), visitor)
            # A clock that has been set back must not change the order of the queue.
            created = max([time.time(), *(job.created + 1e-3 for job in waiting)])
            with saving("the job was"), new_folder(self.folder / job_id) as folder:
                write_job(folder, Job(job_id, request, "queued", created=created))
            self._room.take(job_id, visitor)
        self._workers.start()
        return job_id

    def get(self, job_id: str) -> Job:
        """Return the job with this id."""
        # Test the lock first: a worker writes the final state before it releases the lock.
        attended = self._attended()
        job = self._read(job_id)
        return self._now(job, attended, self.waiting() if job.state == "queued" else [])

    def list(self) -> list[Job]:
        """List the jobs, newest first."""
        attended = self._attended()
        jobs = sorted(self._each(), key=lambda job: job.created, reverse=True)
        waiting = [job for job in jobs if job.state == "queued"]
        return [self._now(job, attended, waiting) for job in jobs]

    def pace(self, model: str) -> float:
        """Return seconds per prompt and iteration, from an earlier job or estimated."""
        for job in self.list():
            if job.request.model == model and job.pace and job.iteration >= _ENOUGH:
                prompts, config = len(job.request.prompts.source), job.request.config
                return job.pace / min(getattr(config, "batch_size", None) or prompts, prompts)
        entry = MODELS.get(model)
        return _SECONDS_PER_GB[entry.kind] * entry.memory_gb if entry else 1

    def stop(self, job_id: str) -> None:
        """Stop a job after its current iteration and keep the best maps.

        A hung worker is killed, and its job is interrupted. A job that is over stays as it is.
        """
        with self._ending:  # a second request must not kill the next worker
            job = self.get(job_id)
            if job.state == "hung":
                self._end_worker(job)
                return
        with saving("the job was", done="stopped"):
            (self._folder(job_id) / STOP).touch()

    def resume(self, job_id: str, visitor: str = "") -> None:
        """Queue a stopped, failed or interrupted job to continue from its checkpoint.

        Args:
            job_id: the job.
            visitor: as in `submit`, which has the same limits.
        """
        job = self.get(job_id)
        if job.state not in ("stopped", "failed", "interrupted"):
            raise UserError("E_JOB", f"this job is {job.state}", remedy="It cannot be resumed.")
        folder = self.folder / job_id
        if not job.described:
            remedy = "Learn the map again."
            raise UserError("E_JOB", f"this job cannot be resumed: {job.damage}", remedy=remedy)
        with self._queuing, saving("the job was", done="resumed"):
            others = [each for each in self.waiting() if each.id != job_id]
            self._room.check(others, visitor)
            write_job(folder, replace(job, state="queued", message=""))
            for name in (STOP, DISK_FULL):
                (folder / name).unlink(missing_ok=True)
            self._room.take(job_id, visitor)
        self._workers.start()

    def rename(self, job_id: str, title: str) -> None:
        """Change the title of a job, unless its description is damaged."""
        job = self._read(job_id)
        if job.described:
            with saving("the name of the job was"):
                self.write(replace(job, request=replace(job.request, title=title)))

    def delete(self, job_id: str) -> None:
        """Delete a job that is over, including its maps."""
        job = self.get(job_id)
        if job.state in PENDING:
            raise UserError("E_JOB", f"this job is {job.state}", remedy="Stop it first.")
        with saving("the job was", done="deleted"):
            remove_folder(self.folder / job_id)

    def records(self, job_id: str) -> Sequence[dict[str, Any]]:
        """Return iteration, loss, heldout, support, learning_rate, best, elapsed per iteration.

        A method without iterations has two records, before and after, whose loss is None.
        """
        return read_records(self._folder(job_id)).readable

    def previews(self, job_id: str) -> Sequence[dict[str, Any]]:
        """Return the records with strength and text, or strengths and pictures (paths)."""
        folder = self._folder(job_id)
        found = [r for r in self.records(job_id) if "text" in r or "pictures" in r]
        return [r | pictures_of(r, folder) for r in found]

    def modules(self, job_id: str) -> dict[str, float]:
        """Return the loss by module name at the last checkpoint; empty before the first one."""
        try:
            return dict(json.loads(read_regular(self._folder(job_id) / "modules.json")))
        except MALFORMED as error:
            if isinstance(error, UserError):
                raise
            return {}  # missing, or damaged until the next checkpoint

    def waiting(self) -> Sequence[Job]:
        """List the jobs that no worker has started yet, oldest first."""
        queued = [job for job in self._each() if job.state == "queued"]
        return sorted(queued, key=lambda job: job.created)

    def write(self, job: Job) -> None:
        """Save the request, state and message of a job."""
        write_job(self.folder / job.id, job)

    def interrupt_started(self) -> None:
        """Mark the jobs of a killed worker as interrupted; the caller holds the lock."""
        for job in self._each():
            if job.state in STARTED:
                self.write(replace(job, state="interrupted"))

    def _end_worker(self, job: Job) -> None:
        """Kill the hung worker of this job; another worker runs the next jobs."""
        silence = self._heartbeats.silence(self.folder / job.id)
        self.lock.end_holder()
        message = f"The worker did not respond for {silence:.0f} s and was stopped."
        with suppress(OSError):  # on a full disk it is interrupted without a message
            self.write(replace(self._read(job.id), state="interrupted", message=message))
        self._workers.start()

    def _attended(self) -> tuple[str, ...]:
        """Return the states of jobs that have a worker or will get one."""
        running = self._workers.running
        return PENDING if self.lock.held else ("queued",) if running else ()

    def _now(self, job: Job, attended: Sequence[str], waiting: Sequence[Job]) -> Job:
        """Return a saved job with its current state, its damage and its position in the queue."""
        if job.damage:
            job = replace(job, message=f"{job.message} {job.damage}".strip())
        # Test the lock again, because the worker may have started since the first test.
        if job.state in PENDING and job.state not in attended and not self.lock.held:
            why = self._workers.failure if job.state == "queued" else ""
            return replace(job, state="interrupted", message=f"{job.message} {why}".strip())
        folder = self.folder / job.id
        if job.state in STARTED and self._heartbeats.have_stopped(folder, job, self.patience):
            return replace(job, state="hung")
        if job.state == "queued":
            return replace(job, position=1 + sum(e.created < job.created for e in waiting))
        return job

    def _each(self) -> Iterator[Job]:
        """Read every job."""
        for entry in os.scandir(self.folder):
            if _ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):  # deleted meanwhile
                    yield self._saved(entry.path)

    def _read(self, job_id: str) -> Job:
        """Read a saved job, and take a request to stop into account."""
        try:
            return self._saved(str(self._folder(job_id)))
        except OSError:  # deleted meanwhile
            raise _no_such_job() from None

    def _saved(self, folder: str) -> Job:
        """Read a job, or return it as last read if it is over and has not changed since."""
        version = _version(folder)
        kept = self._over.get(folder)
        if kept and kept[0] == version:
            return kept[1]
        job = read_job(Path(folder))
        if job.state not in PENDING:
            self._over[folder] = version, job
        return job

    def _folder(self, job_id: str) -> Path:
        """Return the folder of a job; the path never leaves `self.folder`."""
        if not _ID.fullmatch(str(job_id)):
            raise _no_such_job()
        folder = self.folder / job_id
        if folder.is_symlink() or not folder.is_dir():
            raise _no_such_job()
        return folder


def _version(folder: str) -> object:
    """Return a value that changes with the files of a job that is over.

    Paths are texts here, because `Path` would take longer than the system.
    """
    changed = os.stat(folder).st_mtime_ns
    try:
        file = os.stat(f"{folder}/job.json")
    except OSError:
        return changed
    return changed, file.st_ino, file.st_mtime_ns, file.st_size


def _no_such_job() -> UserError:
    return UserError("E_JOB", "there is no such job", remedy="Choose one from the list.")
