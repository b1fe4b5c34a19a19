"""The queue of training jobs, stored on disk. `worker.py` runs them in a separate process.

A job is a folder named by its id:
    job.json            request, state, message, time of creation
    stop                exists once the user has requested to stop the job
    alive               touched by the worker while it makes progress
    records.jsonl       one line per iteration, appended
    modules.json        latest loss of every module
    state.safetensors   checkpoint, from which `learn_iter` continues
    map/                the best maps so far; the final ones once the job is done
    preview-*.png       pictures of an image model during the run
    log.txt             traces of internal errors

A server runs at most one worker at a time, and starts another one as long as jobs are waiting. A
worker holds the lock of the folder while it works, so that the workers of two servers alternate. A
started job without a worker that holds the lock was interrupted, so that a killed worker needs no
cleanup. A worker that holds the lock without making progress counts as hung, and stopping its job
kills it.
"""

from __future__ import annotations

import json
import logging
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
"""Heartbeat timeout of a worker in seconds."""
_ONCE_STOPPED = {"queued": "stopped", "loading": "stopping", "running": "stopping"}
_ITERATIONS_OF_PATIENCE = 20  # a large model's iteration may take longer than PATIENCE
_FIRST_ITERATION = 5  # times PATIENCE, before the first iteration has been timed
_ENOUGH = 5  # iterations needed to estimate a pace
_MOST_WAITING = 50
# Per prompt and iteration on two CPU cores; pictures have more positions than texts.
_SECONDS_PER_GB: dict[Kind, float] = {"language": 0.03, "text-to-image": 0.2}
# A clone can only be imported from its root, an installed package from any folder.
_ROOT = None if __name__.startswith("lineas_studio.") else Path(__file__).parents[2]
_DETACHED: dict[str, Any] = {"start_new_session": True}  # Ctrl-C must not reach the worker
if sys.platform == "win32":
    _FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.BELOW_NORMAL_PRIORITY_CLASS
    _DETACHED = {"creationflags": _FLAGS}
_log = logging.getLogger(__name__)


class Jobs:
    """The jobs of one folder. Methods with an id raise `UserError` if it is unknown."""

    def __init__(
        self, folder: str | Path, python: str = sys.executable, patience: float = PATIENCE
    ) -> None:
        """Open the jobs of `folder`.

        Args:
            folder: created if missing.
            python: interpreter that runs the worker.
            patience: heartbeat timeout of a worker in seconds. The timeout is 20 iterations if
                these take longer, and 5 times `patience` before the first iteration.
        """
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock, self.python, self.patience = Lock(self.folder), python, patience
        self._ending, self._starting = threading.Lock(), threading.Lock()
        self._attending = False  # True while a thread starts workers; guarded by `_starting`

    def submit(self, request: JobRequest) -> str:
        """Queue a job and return its id; raises `UserError` if too many are waiting."""
        if len(self.waiting()) >= _MOST_WAITING:
            remedy = "Wait until some of them are over, or stop them."
            raise UserError("E_JOBS", f"{_MOST_WAITING} jobs are waiting already", remedy=remedy)
        job_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        (self.folder / job_id).mkdir()
        self.write(Job(job_id, request, "queued", created=time.time()))
        self._start_worker()
        return job_id

    def get(self, job_id: str) -> Job:
        """Return the job with this id."""
        # Test the lock first: a worker writes the final state before it releases the lock.
        attended = self._attended()
        job = self._read(job_id)
        return self._now(job, attended, self.waiting() if job.state == "queued" else [])

    def list(self) -> list[Job]:
        """List the jobs that can be read, newest first."""
        attended = self._attended()
        jobs = sorted(self._each(self._read), key=lambda job: job.created, reverse=True)
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
        (self._folder(job_id) / "stop").touch()

    def resume(self, job_id: str) -> None:
        """Queue a stopped, failed or interrupted job to continue from its checkpoint."""
        job = self.get(job_id)
        if job.state not in ("stopped", "failed", "interrupted"):
            raise UserError("E_JOB", f"this job is {job.state}", remedy="It cannot be resumed.")
        (self.folder / job_id / "stop").unlink(missing_ok=True)
        self.write(replace(job, state="queued", message=""))
        self._start_worker()

    def delete(self, job_id: str) -> None:
        """Delete a job that is over, including its maps."""
        job = self.get(job_id)
        if job.state in PENDING:
            raise UserError("E_JOB", f"this job is {job.state}", remedy="Stop it first.")
        shutil.rmtree(self.folder / job_id)

    def records(self, job_id: str) -> Sequence[dict[str, Any]]:
        """Return iteration, loss, heldout, support, learning_rate, best, elapsed per iteration.

        A method without iterations has two records, before and after, whose loss is None.
        """
        return [json.loads(line) for line in whole_lines(self._folder(job_id))]

    def previews(self, job_id: str) -> Sequence[dict[str, Any]]:
        """Return the records with strength and text, or strengths and pictures (paths)."""
        folder = self._folder(job_id)
        found = [r for r in self.records(job_id) if "text" in r or "pictures" in r]
        return [r | {"pictures": [folder / f for f in r.get("pictures", ())]} for r in found]

    def modules(self, job_id: str) -> dict[str, float]:
        """Return the loss by module name at the last checkpoint; empty before the first one."""
        file = self._folder(job_id) / "modules.json"
        return json.loads(file.read_bytes()) if file.exists() else {}

    def waiting(self) -> Sequence[Job]:
        """List the jobs that no worker has started yet, oldest first."""
        queued = [job for job in self._each(self._read) if job.state == "queued"]
        return sorted(queued, key=lambda job: job.created)

    def write(self, job: Job) -> None:
        """Save the request, state and message of a job."""
        names = ("request", "state", "created", "message")
        data = {name: value for name, value in asdict(job).items() if name in names}
        write_atomically(self.folder / job.id / "job.json", json.dumps(data).encode())

    def interrupt_started(self) -> None:
        """Mark the jobs of a killed worker as interrupted; the caller holds the lock."""
        for job in self._each(self._read):
            if job.state in STARTED:
                self.write(replace(job, state="interrupted"))

    def _start_worker(self) -> None:
        """Make sure that a worker runs for the job that has just been saved."""
        with self._starting:
            if not self._attending:
                self._attending = True
                threading.Thread(target=self._attend, daemon=True).start()

    def _attend(self) -> None:
        """Run one worker after another until no job is waiting.

        After a worker that failed without starting any job, the next one would fail as well.
        """
        status, before = 0, list[str]()
        while True:
            with self._starting:  # a job saved later finds `_attending` unset
                waiting = [job.id for job in self.waiting()]
                self._attending = bool(waiting) and not (status and waiting == before)
                if not self._attending:
                    return
            status, before = self._run_worker(), waiting

    def _run_worker(self) -> int:
        """Run a worker to its end and return its exit status; 1 if it cannot be started."""
        command = [self.python, "-m", f"{__package__}.worker", str(self.folder)]
        # The worker ends when its standard input does, that is, when this process ends.
        options = {"cwd": _ROOT, "stdin": subprocess.PIPE, **_DETACHED}
        try:
            with subprocess.Popen(command, **options) as worker:
                return worker.wait()
        except OSError:  # such as no memory for another process
            _log.exception("The worker cannot be started.")
            return 1

    def _end_worker(self, job: Job) -> None:
        """Kill the hung worker of this job; another worker runs the next jobs."""
        silence = time.time() - self._last_heartbeat(job)
        self.lock.end_holder()
        message = f"The worker did not respond for {silence:.0f} s and was stopped."
        self.write(replace(job, state="interrupted", message=message))
        self._start_worker()

    def _attended(self) -> tuple[str, ...]:
        """Return the states of jobs that have a worker or will get one."""
        attending = self._attending
        return PENDING if self.lock.held else ("queued",) if attending else ()

    def _now(self, job: Job, attended: Sequence[str], waiting: Sequence[Job]) -> Job:
        """Return a saved job with its current state and its position in the queue."""
        # Test the lock again, because the worker may have started since the first test.
        if job.state in PENDING and job.state not in attended and not self.lock.held:
            return replace(job, state="interrupted")
        if job.state in STARTED and self._silent(job):
            return replace(job, state="hung")
        if job.state == "queued":
            return replace(job, position=1 + sum(e.created < job.created for e in waiting))
        return job

    def _silent(self, job: Job) -> bool:
        """Return whether the heartbeat of the worker has timed out."""
        pace = job.elapsed / job.iteration if job.iteration else 0
        patience = self.patience * (1 if pace or job.state == "loading" else _FIRST_ITERATION)
        silence = time.time() - self._last_heartbeat(job)
        return silence > max(patience, _ITERATIONS_OF_PATIENCE * pace)

    def _last_heartbeat(self, job: Job) -> float:
        """Return the time of the last progress with this job, in seconds since the epoch."""
        files = (self.folder / job.id / name for name in ("job.json", "alive"))
        return max(file.stat().st_mtime for file in files if file.exists())

    def _each(self, read: Callable[[str], Job]) -> Iterator[Job]:
        """Apply `read` to every job, and skip those that cannot be read."""
        for folder in self.folder.iterdir():
            with suppress(UserError):
                yield read(folder.name)

    def _read(self, job_id: str) -> Job:
        """Read a saved job, and take a request to stop into account."""
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
        """Return the folder of a job; the path never leaves `self.folder`."""
        if not re.fullmatch(r"[a-z0-9-]{8,40}", str(job_id)):
            raise _no_such_job()
        folder = self.folder / job_id
        if folder.is_symlink() or not folder.is_dir():
            raise _no_such_job()
        return folder


def whole_lines(folder: Path) -> list[bytes]:
    """Return the complete lines of the records of a job; a truncated line has no line feed."""
    file = folder / "records.jsonl"
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    return [line for line in lines if line.endswith(b"\n")]


def _no_such_job() -> UserError:
    return UserError("E_JOB", "there is no such job", remedy="Choose one from the list.")
