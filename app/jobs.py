"""Durable training jobs: a worker process learns, everything that matters is on disk.

A job is a folder named by its id:
    job.json            request, state, message, time of creation
    stop                there once somebody asked to stop
    records.jsonl       one line per iterate, appended
    modules.json        latest loss of every module
    state.safetensors   checkpoint: all that `learn_iter` needs to go on
    map/                the best maps so far; the last ones once the job is done
    log.txt             traces of internal errors

One worker (`python -m app.jobs`) takes the jobs in turn. The file `lock` is locked for as long as
it lives, so a job that is not over while the lock is free was interrupted: a killed worker leaves
nothing to clean up.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path
from typing import IO, Any

import safetensors.torch
from torch import Tensor

from lineas_core.affine import SteeringMaps
from lineas_core.errors import UserError
from lineas_core.hooks import find_modules, steer
from lineas_core.learn import BUDGETS, Iterate, LearnConfig, learn_iter
from lineas_core.models import LanguageModel, Sampling, load_model
from lineas_core.prompts import PromptSet
from lineas_core.storage import load_maps, save_maps, write_atomically

__all__ = ["Job", "JobRequest", "Jobs"]

_STARTED = ("loading", "running", "stopping")
_PENDING = ("queued", *_STARTED)
_ONCE_STOPPED = {"queued": "stopped", "loading": "stopping", "running": "stopping"}
_CHECKPOINT_SECONDS = 3
_PREVIEW = Sampling(max_new_tokens=24)


@dataclass(frozen=True)
class JobRequest:
    """What to learn.

    Attributes:
        title: name of the map, any text.
        model: catalog name, hub id or folder.
        prompts: both sides, and held-out prompts to measure on.
        config: settings of the run.
        preset: layer preset or module pattern; None takes the model's default.
        preview_prompt: continued at strength 1 at every quarter of the run; empty: never.
    """

    title: str
    model: str
    prompts: PromptSet
    config: LearnConfig = BUDGETS["quick"]
    preset: str | None = None
    preview_prompt: str = ""

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> JobRequest:
        """The request again, after `dataclasses.asdict` and a round trip through JSON."""
        prompts = {k: tuple(v) if isinstance(v, list) else v for k, v in fields["prompts"].items()}
        config = LearnConfig(**fields["config"])
        return cls(**{**fields, "prompts": PromptSet(**prompts), "config": config})


@dataclass(frozen=True)
class Job:
    """A job as it stood when it was read.

    Attributes:
        id: made by `Jobs.submit`.
        request: what to learn.
        state: queued, loading, running, stopping, done, stopped, failed, or interrupted when
            the worker is gone.
        created: seconds since the epoch; jobs are taken in this order.
        message: one sentence for a failed job, else empty.
        iteration: optimiser steps taken.
        elapsed: seconds of learning, all resumptions together.
        map_folder: the maps so far, for `load_maps`; None before the first.
        position: place among the waiting jobs, from 1; None unless queued.
    """

    id: str
    request: JobRequest
    state: str
    created: float
    message: str = ""
    iteration: int = 0
    elapsed: float = 0.0
    map_folder: Path | None = None
    position: int | None = None

    @property
    def iterations(self) -> int:
        """Optimiser steps in all."""
        return self.request.config.iterations

    @property
    def eta(self) -> float | None:
        """Seconds left at the pace so far; None while there is no pace."""
        if self.state != "running" or not self.iteration:
            return None
        return self.elapsed / self.iteration * (self.iterations - self.iteration)


class Jobs:
    """The jobs of one folder. Every method that takes an id refuses an unknown one (UserError)."""

    def __init__(self, folder: str | Path, python: str = sys.executable) -> None:
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.python = python

    def submit(self, request: JobRequest) -> str:
        """Queue a job; returns its id."""
        job_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        (self.folder / job_id).mkdir()
        self._write(Job(job_id, request, "queued", created=time.time()))
        self._start_worker()
        return job_id

    def get(self, job_id: str) -> Job:
        """The job with this id."""
        # The lock before the job: a worker writes how the job ended before it lets go.
        alive = self._worker_alive()
        job = self._read(job_id)
        if job.state in _PENDING and not alive:
            return replace(job, state="interrupted")
        if job.state == "queued":
            earlier = [other for other in self._waiting() if other.created < job.created]
            return replace(job, position=len(earlier) + 1)
        return job

    def list(self) -> list[Job]:
        """All jobs that can be read, newest first."""
        return sorted(self._each(self.get), key=lambda job: job.created, reverse=True)

    def stop(self, job_id: str) -> None:
        """End a job after its current iteration, keeping the best maps; harmless once over."""
        (self._folder(job_id) / "stop").touch()

    def resume(self, job_id: str) -> None:
        """Queue a stopped, failed or interrupted job again; it goes on from its checkpoint."""
        job = self.get(job_id)
        if job.state not in ("stopped", "failed", "interrupted"):
            raise UserError("E_JOB", f"this job is {job.state}", remedy="It needs no resuming.")
        (self.folder / job_id / "stop").unlink(missing_ok=True)
        self._write(replace(job, state="queued", message=""))
        self._start_worker()

    def delete(self, job_id: str) -> None:
        """Remove a job that is over, and its maps with it."""
        job = self.get(job_id)
        if job.state in _PENDING:
            raise UserError("E_JOB", f"this job is {job.state}", remedy="Stop it first.")
        shutil.rmtree(self.folder / job_id)

    def records(self, job_id: str) -> list[dict[str, Any]]:
        """One per iterate: iteration, loss, heldout, support, learning_rate, best, elapsed."""
        return [json.loads(line) for line in _lines(self._folder(job_id))]

    def previews(self, job_id: str) -> list[dict[str, Any]]:
        """The records that also have strength and text."""
        return [record for record in self.records(job_id) if "text" in record]

    def modules(self, job_id: str) -> dict[str, float]:
        """Module name -> loss, seconds old; empty before the first checkpoint."""
        file = self._folder(job_id) / "modules.json"
        return json.loads(file.read_bytes()) if file.exists() else {}

    def work(self, lock: IO[str] | None) -> None:
        """Take jobs until none waits; what the worker does, with the lock it inherited.

        A job is on disk before its sender looks at the lock, and the worker looks at the queue
        once more after it let go of the lock. So one of the two sees the other, and no job waits
        for a worker that has just left.
        """
        while lock is not None:
            with lock:
                while waiting := self._waiting():
                    self._run(waiting[0])
            lock = self._claim() if self._waiting() else None

    def _run(self, job: Job) -> None:
        folder, state, message = self.folder / job.id, "failed", ""
        self._write(replace(job, state="loading"))
        try:
            model = load_model(job.request.model)
            self._write(replace(job, state="running"))
            state = _learn(model, job.request, folder)
        except UserError as error:
            message = str(error)
        except Exception:  # noqa: BLE001 - the queue goes on, whatever is wrong with this job
            message = f"internal error {secrets.token_hex(4)}"
            with (folder / "log.txt").open("a") as log:
                log.write(f"{message}\n{traceback.format_exc()}\n")
        self._write(replace(job, state=state, message=message))

    def _start_worker(self) -> None:
        lock = self._claim()
        if lock is None:
            return
        with lock:
            for job in self._each(self._read):
                if job.state in _STARTED:  # by a worker that was killed
                    self._write(replace(job, state="interrupted"))
            descriptor = lock.fileno()
            worker = subprocess.Popen(
                [self.python, "-m", "app.jobs", self.folder, str(descriptor), str(os.getpid())],
                cwd=Path(__file__).parents[1],
                pass_fds=[descriptor],  # inherited while locked: never free in between
                start_new_session=True,  # Ctrl-C is for the server
            )
        threading.Thread(target=worker.wait, daemon=True).start()  # leaves no zombie

    def _claim(self) -> IO[str] | None:
        """The lock file, locked until it is closed; None while a worker has it."""
        while not self._worker_alive():
            lock = (self.folder / "lock").open("a")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:  # a worker, or only the glance of `_worker_alive`
                lock.close()
        return None

    def _worker_alive(self) -> bool:
        with (self.folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _waiting(self) -> list[Job]:
        queued = [job for job in self._each(self._read) if job.state == "queued"]
        return sorted(queued, key=lambda job: job.created)

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
            last = json.loads((_lines(folder) or [b'{"iteration": 0, "elapsed": 0}'])[-1])
            stop = (folder / "stop").exists()
            return Job(
                id=job_id,
                request=JobRequest.from_json(job["request"]),
                state=_ONCE_STOPPED.get(job["state"], job["state"]) if stop else job["state"],
                created=float(job["created"]),
                message=job["message"],
                iteration=last["iteration"],
                elapsed=last["elapsed"],
                map_folder=maps if any(maps.glob("*.safetensors")) else None,
            )
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise _no_such_job() from None

    def _write(self, job: Job) -> None:
        names = ("request", "state", "created", "message")
        data = {name: value for name, value in asdict(job).items() if name in names}
        write_atomically(self.folder / job.id / "job.json", json.dumps(data).encode())

    def _folder(self, job_id: str) -> Path:
        """The job's folder; no id leads out of ours."""
        if not re.fullmatch(r"[a-z0-9-]{8,40}", str(job_id)):
            raise _no_such_job()
        folder = self.folder / job_id
        if folder.is_symlink() or not folder.is_dir():
            raise _no_such_job()
        return folder


def _learn(model: LanguageModel, request: JobRequest, folder: Path) -> str:
    """Learn from the last checkpoint to the end or to a stop; says which it was."""
    prompts, stop = request.prompts, folder / "stop"
    heldout = (prompts.heldout_source, prompts.heldout_target)
    modules = find_modules(model.network, request.preset) if request.preset else None
    state, best, elapsed = _restore(folder)
    settings = {"config": request.config, "modules": modules, "heldout": heldout, "resume": state}
    started, saved, iterate = time.monotonic() - elapsed, -inf, None
    try:
        for iterate in learn_iter(model, prompts.source, prompts.target, **settings):
            best = iterate.maps if iterate.best else best
            _record(iterate, time.monotonic() - started, model, request, folder)
            if stop.exists():
                return "stopped"
            if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                _checkpoint(iterate, best, request, folder)
                saved = time.monotonic()
        best = iterate.maps
        return "done"
    finally:  # also when it diverged, or failed through a fault of ours
        if iterate is not None:
            _checkpoint(iterate, best, request, folder)


def _record(
    iterate: Iterate, elapsed: float, model: LanguageModel, request: JobRequest, folder: Path
) -> None:
    names = ("iteration", "loss", "heldout", "support", "learning_rate", "best")
    record = {name: getattr(iterate, name) for name in names} | {"elapsed": round(elapsed, 2)}
    quarters = [request.config.iterations * k // 4 for k in range(5)]
    if request.preview_prompt and iterate.iteration in quarters:
        with steer(model.network, iterate.maps, 1.0):
            (text,) = model.generate([request.preview_prompt], seeds=[0], sampling=_PREVIEW)
        record |= {"strength": 1.0, "text": text}
    with (folder / "records.jsonl").open("ab") as log:
        log.write(json.dumps(record).encode() + b"\n")


def _checkpoint(iterate: Iterate, maps: SteeringMaps, request: JobRequest, folder: Path) -> None:
    facts = {"title": request.title, "description": request.prompts.description}
    maps = SteeringMaps(maps.maps, {**maps.metadata, **facts})
    # The state goes last: after a crash the maps may be newer, and learning meets them again.
    save_maps(maps, folder / "map", prompts=request.prompts)
    write_atomically(folder / "modules.json", json.dumps(iterate.loss_by_module).encode())
    write_atomically(folder / "state.safetensors", safetensors.torch.save(iterate.state))


def _restore(folder: Path) -> tuple[dict[str, Tensor] | None, SteeringMaps | None, float]:
    """State, best maps and seconds spent at the last checkpoint; None, None, 0 without one."""
    file = folder / "state.safetensors"
    state = safetensors.torch.load(file.read_bytes()) if file.exists() else None
    # The checkpoint's own iterate comes once more: its record goes, and all that came after it.
    start = int(state["iteration"]) if state else 0
    kept = [line for line in _lines(folder) if json.loads(line)["iteration"] < start]
    write_atomically(folder / "records.jsonl", b"".join(kept))
    elapsed = json.loads(kept[-1])["elapsed"] if kept else 0.0
    return state, load_maps(folder / "map") if state else None, elapsed


def _lines(folder: Path) -> list[bytes]:
    """The whole lines of the records; the rest of a line that a crash tore has no line feed."""
    file = folder / "records.jsonl"
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    return [line for line in lines if line.endswith(b"\n")]


def _leave_with(server: int) -> None:
    """End this process soon after the server, even amid a long load or iteration.

    There is nothing to save: the checkpoint is seconds old, and a free lock says the rest.
    """
    while os.getppid() == server:
        time.sleep(1)
    os._exit(1)


def _no_such_job() -> UserError:
    return UserError("E_JOB", "there is no such job", remedy="Choose one from the list.")


if __name__ == "__main__":
    os.nice(10)
    threading.Thread(target=_leave_with, args=[int(sys.argv[3])], daemon=True).start()
    with open(int(sys.argv[2]), "a") as inherited:
        Jobs(sys.argv[1]).work(inherited)
