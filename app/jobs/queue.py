"""Durable training jobs: the table on disk. Learning happens in a process, see `app.jobs.worker`.

A job is a folder named by its id:
    job.json            request, state, message, time of creation
    stop                there once somebody asked to stop
    alive               touched by the worker while it gets on
    records.jsonl       one line per iterate, appended
    modules.json        latest loss of every module
    state.safetensors   checkpoint: all that `learn_iter` needs to go on
    map/                the best maps so far; the last ones once the job is done
    preview-*.png       what an image model painted on the way
    log.txt             traces of internal errors

One worker takes the jobs in turn. It holds the file `lock` for as long as it lives, so a job that
is not over while the lock is free was interrupted: a killed worker leaves nothing to clean up. A
worker that lives but gives no sign of life hangs; stopping its job ends it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lineas_core.errors import UserError
from lineas_core.models.catalog import MODELS, Kind
from lineas_core.storage.disk import write_atomically

from .job import PENDING, STARTED, Job, JobRequest
from .lock import Lock

__all__ = ["Jobs", "whole_lines"]

PATIENCE = 120
"""Seconds without a sign of life after which a worker counts as hung."""

_ONCE_STOPPED = {"queued": "stopped", "loading": "stopping", "running": "stopping"}
_ITERATIONS_OF_PATIENCE = 20  # a large model's iteration may take longer than PATIENCE
_FIRST_ITERATION = 5  # times PATIENCE, while there is no pace yet
_ENOUGH = 5  # iterations that tell a pace
_MOST_WAITING = 50
# Per prompt and iteration, on two CPU cores; pictures have more positions than texts.
_SECONDS_PER_GB: dict[Kind, float] = {"language": 0.03, "text-to-image": 0.2}


class Jobs:
    """The jobs of one folder. Every method that takes an id refuses an unknown one (UserError)."""

    def __init__(
        self, folder: str | Path, python: str = sys.executable, patience: float = PATIENCE
    ) -> None:
        """Keep jobs in `folder`.

        Args:
            folder: made if missing.
            python: the interpreter that the worker runs on.
            patience: seconds without a sign of life after which a worker counts as hung; 20
                iterations at the pace so far if that is longer, 5 times as much before the
                first one.
        """
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock, self._ending = Lock(self.folder / "lock"), threading.Lock()
        self.python, self.patience = python, patience

    def submit(self, request: JobRequest) -> str:
        """Queue a job; returns its id.

        Raises:
            UserError: too many wait already.
        """
        if len(self.waiting()) >= _MOST_WAITING:
            remedy = "Wait until some of them are over, or stop them."
            raise UserError("E_JOBS", f"{_MOST_WAITING} jobs are waiting already", remedy=remedy)
        job_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        (self.folder / job_id).mkdir()
        self.write(Job(job_id, request, "queued", created=time.time()))
        self._start_worker()
        return job_id

    def get(self, job_id: str) -> Job:
        """The job with this id."""
        # The lock before the job: a worker writes how the job ended before it lets go.
        alive = self.lock.held
        job = self._read(job_id)
        return self._now(job, alive, self.waiting() if job.state == "queued" else [])

    def list(self) -> list[Job]:
        """All jobs that can be read, newest first."""
        alive = self.lock.held
        jobs = sorted(self._each(self._read), key=lambda job: job.created, reverse=True)
        waiting = [job for job in jobs if job.state == "queued"]
        return [self._now(job, alive, waiting) for job in jobs]

    def pace(self, model: str) -> float:
        """Seconds of learning per prompt and iteration: those of a past job, else a guess."""
        for job in self.list():
            if job.request.model == model and job.pace and job.iteration >= _ENOUGH:
                prompts, config = len(job.request.prompts.source), job.request.config
                return job.pace / min(getattr(config, "batch_size", None) or prompts, prompts)
        entry = MODELS.get(model)
        return _SECONDS_PER_GB[entry.kind] * entry.memory_gb if entry else 1

    def stop(self, job_id: str) -> None:
        """End a job after its current iteration, keeping the best maps; harmless once over.

        A worker that hangs cannot be asked: it is ended, and the job is interrupted.
        """
        with self._ending:  # whoever comes second finds another worker, or none
            job = self.get(job_id)
            if job.state == "hung":
                self._end_worker(job)
                return
        (self._folder(job_id) / "stop").touch()

    def resume(self, job_id: str) -> None:
        """Queue a stopped, failed or interrupted job again; it goes on from its checkpoint."""
        job = self.get(job_id)
        if job.state not in ("stopped", "failed", "interrupted"):
            raise UserError("E_JOB", f"this job is {job.state}", remedy="It needs no resuming.")
        (self.folder / job_id / "stop").unlink(missing_ok=True)
        self.write(replace(job, state="queued", message=""))
        self._start_worker()

    def delete(self, job_id: str) -> None:
        """Remove a job that is over, and its maps with it."""
        job = self.get(job_id)
        if job.state in PENDING:
            raise UserError("E_JOB", f"this job is {job.state}", remedy="Stop it first.")
        shutil.rmtree(self.folder / job_id)

    def records(self, job_id: str) -> list[dict[str, Any]]:
        """One per iterate: iteration, loss, heldout, support, learning_rate, best, elapsed.

        A method without iterations leaves two, before and after; it has no loss.
        """
        return [json.loads(line) for line in whole_lines(self._folder(job_id))]

    def previews(self, job_id: str) -> list[dict[str, Any]]:
        """The records that also have strength and text, or strengths and pictures (files)."""
        folder = self._folder(job_id)
        found = [r for r in self.records(job_id) if "text" in r or "pictures" in r]
        return [r | {"pictures": [folder / f for f in r.get("pictures", ())]} for r in found]

    def modules(self, job_id: str) -> dict[str, float]:
        """Module name -> loss, seconds old; empty before the first checkpoint."""
        file = self._folder(job_id) / "modules.json"
        return json.loads(file.read_bytes()) if file.exists() else {}

    def waiting(self) -> list[Job]:
        """Jobs that no worker has taken yet, oldest first."""
        queued = [job for job in self._each(self._read) if job.state == "queued"]
        return sorted(queued, key=lambda job: job.created)

    def write(self, job: Job) -> None:
        """Put a job's request, state and message on disk."""
        names = ("request", "state", "created", "message")
        data = {name: value for name, value in asdict(job).items() if name in names}
        write_atomically(self.folder / job.id / "job.json", json.dumps(data).encode())

    def _start_worker(self) -> None:
        lock, waiting = self.lock.claim(), [job.id for job in self.waiting()]
        if lock is None:
            return
        with lock:
            for job in self._each(self._read):
                if job.state in STARTED:  # by a worker that was killed
                    self.write(replace(job, state="interrupted"))
            descriptor = lock.fileno()
            worker = subprocess.Popen(
                [
                    self.python,
                    "-m",
                    "app.jobs.worker",
                    self.folder,
                    str(descriptor),
                    str(os.getpid()),
                ],
                cwd=Path(__file__).parents[2],
                pass_fds=[descriptor],  # inherited while locked: never free in between
                start_new_session=True,  # Ctrl-C is for the server
            )
            self.lock.sign(lock, worker.pid)
        threading.Thread(target=self._attend, args=[worker, waiting], daemon=True).start()

    def _attend(self, worker: subprocess.Popen, waiting: list[str]) -> None:
        """Wait for the end of a worker, which leaves no zombie so; if it died, start another.

        One that took none of the jobs that waited would only die again.
        """
        worker.wait()
        left = [job.id for job in self.waiting()]
        if left and left != waiting:
            self._start_worker()

    def _end_worker(self, job: Job) -> None:
        """Kill the worker that hangs in this job; another one goes on with the queue."""
        silence = time.time() - self._last_sign(job)
        self.lock.end_holder()
        message = f"The worker gave no sign of life for {silence:.0f} s and was ended."
        self.write(replace(job, state="interrupted", message=message))
        self._start_worker()

    def _now(self, job: Job, alive: bool, waiting: Sequence[Job]) -> Job:
        """A job as written, and what its worker and those before it make of it."""
        if job.state in PENDING and not alive:
            return replace(job, state="interrupted")
        if job.state in STARTED and self._silent(job):
            return replace(job, state="hung")
        if job.state == "queued":
            return replace(job, position=1 + sum(e.created < job.created for e in waiting))
        return job

    def _silent(self, job: Job) -> bool:
        """Whether the worker should have given a sign of life by now."""
        pace = job.elapsed / job.iteration if job.iteration else 0
        patience = self.patience * (1 if pace or job.state == "loading" else _FIRST_ITERATION)
        return time.time() - self._last_sign(job) > max(patience, _ITERATIONS_OF_PATIENCE * pace)

    def _last_sign(self, job: Job) -> float:
        """When the worker last got on with this job, seconds since the epoch."""
        signs = (self.folder / job.id / name for name in ("job.json", "alive"))
        return max(sign.stat().st_mtime for sign in signs if sign.exists())

    def _each(self, read: Callable[[str], Job]) -> Iterator[Job]:
        """What `read` makes of every job; one that cannot be read is passed over."""
        for folder in self.folder.iterdir():
            with suppress(UserError):
                yield read(folder.name)

    def _read(self, job_id: str) -> Job:
        """The job as written, but for a request to stop."""
        folder = self._folder(job_id)
        maps = folder / "map"
        try:
            job = json.loads((folder / "job.json").read_bytes())
            lines = whole_lines(folder) or [b'{"iteration": 0, "elapsed": 0}']
            first, last = (json.loads(lines[place]) for place in (0, -1))
            stop = (folder / "stop").exists()
            return Job(
                id=job_id,
                request=JobRequest.from_json(job["request"]),
                state=_ONCE_STOPPED.get(job["state"], job["state"]) if stop else job["state"],
                created=float(job["created"]),
                message=job["message"],
                iteration=last["iteration"],
                elapsed=last["elapsed"],
                setup=first["elapsed"],
                map_folder=maps if any(maps.glob("*.safetensors")) else None,
            )
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise _no_such_job() from None

    def _folder(self, job_id: str) -> Path:
        """The job's folder; no id leads out of ours."""
        if not re.fullmatch(r"[a-z0-9-]{8,40}", str(job_id)):
            raise _no_such_job()
        folder = self.folder / job_id
        if folder.is_symlink() or not folder.is_dir():
            raise _no_such_job()
        return folder


def whole_lines(folder: Path) -> list[bytes]:
    """The whole lines of a job's records; what is left of a torn one has no line feed."""
    file = folder / "records.jsonl"
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    return [line for line in lines if line.endswith(b"\n")]


def _no_such_job() -> UserError:
    return UserError("E_JOB", "there is no such job", remedy="Choose one from the list.")
