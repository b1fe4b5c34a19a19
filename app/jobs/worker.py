"""The process that learns: takes the jobs of a folder in turn, see `app.jobs.queue`.

    python -m app.jobs.worker FOLDER DESCRIPTOR SERVER

FOLDER holds the jobs, DESCRIPTOR is the claimed lock as inherited from the server, SERVER the
server's process id. The worker ends when no job waits, or when the server is gone.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import IO, Any, TypeVar

import safetensors.torch
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.learning.lineas import Iterate, learn_iter
from lineas_core.methods import METHODS
from lineas_core.models import LanguageModel, TextToImageModel, load_model
from lineas_core.runtime.memory import out_of_memory_as_user_error
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.hooks import find_modules
from lineas_core.storage.disk import write_atomically
from lineas_core.storage.maps import save_maps

from .job import Job, JobRequest
from .previews import preview
from .queue import Jobs, whole_lines

__all__ = ["work"]

_Model = LanguageModel | TextToImageModel
_Result = TypeVar("_Result")

_CHECKPOINT_SECONDS = 3
_LOOK_SECONDS = 0.2  # between two looks whether to stop, while a thread works
_NICENESS = 10


def work(jobs: Jobs, lock: IO[str] | None) -> None:
    """Take jobs until none waits, with the lock of the jobs.

    A job is on disk before its sender looks at the lock, and the worker looks at the queue once
    more after it let go of the lock. So one of the two sees the other, and no job waits for a
    worker that has just left.
    """
    while lock is not None:
        with lock:
            while waiting := jobs.waiting():
                _run(jobs, waiting[0], lock)
        lock = jobs.lock.claim() if jobs.waiting() else None


def _run(jobs: Jobs, job: Job, lock: IO[str]) -> None:
    folder, state, message = jobs.folder / job.id, "failed", ""
    jobs.write(replace(job, state="loading"))
    try:
        with out_of_memory_as_user_error():
            model = _unless_stopped(folder, load_model, job.request.model)
            jobs.write(replace(job, state="running"))
            learn = _learn if METHODS[job.request.method].iterative else _learn_in_one_pass
            state = learn(model, job.request, folder)
    except _StoppedError:
        jobs.write(replace(job, state="stopped"))
        _begin_anew(lock)
    except UserError as error:
        message = str(error)
    except Exception:  # noqa: BLE001 - the queue goes on, whatever is wrong with this job
        message = f"internal error {secrets.token_hex(4)}"
        with suppress(OSError), (folder / "log.txt").open("a") as log:
            log.write(f"{message}\n{traceback.format_exc()}\n")
    with suppress(OSError):  # on a full disk it counts as interrupted, and the others go on
        jobs.write(replace(job, state=state, message=message))


class _StoppedError(Exception):
    """A stop was asked for, and a thread may still be at work."""


def _unless_stopped(
    folder: Path, work: Callable[..., _Result], *args: Any, **kwargs: Any
) -> _Result:
    """What a thread of its own makes of work that nothing can interrupt."""
    working = ThreadPoolExecutor(1).submit(work, *args, **kwargs)
    while not (folder / "stop").exists():
        wait([working], timeout=_LOOK_SECONDS)
        if working.done():
            return working.result()
        (folder / "alive").touch()
    raise _StoppedError


def _begin_anew(lock: IO[str]) -> None:
    """Run this program once more in this process, with the lock in hand.

    Nothing else ends a thread that loads a model or learns, and another one beside it would not
    be safe.
    """
    os.set_inheritable(lock.fileno(), True)
    folder, _, server = sys.argv[1:]
    program = [sys.executable, "-m", "app.jobs.worker", folder, str(lock.fileno()), server]
    os.execv(sys.executable, program)


def _learn(model: _Model, request: JobRequest, folder: Path) -> str:
    """Learn from the last checkpoint to the end or to a stop; says which it was."""
    stop = folder / "stop"
    state, elapsed = _restore(folder)
    sides, settings = _arguments(model, request)
    started, saved, iterate, maps = time.monotonic() - elapsed, -inf, None, None
    try:
        for iterate in learn_iter(model, *sides, **settings, resume=state):
            maps = iterate.best_maps
            _record(iterate, time.monotonic() - started, model, request, folder)
            if stop.exists():
                return "stopped"
            if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                _checkpoint(iterate, maps, request, folder)
                saved = time.monotonic()
            (folder / "alive").touch()
        maps = iterate.maps
        return "done"
    finally:  # also when it diverged, or failed through a fault of ours
        if iterate is not None:
            _checkpoint(iterate, maps, request, folder)


def _learn_in_one_pass(model: _Model, request: JobRequest, folder: Path) -> str:
    """Learn without iterations: there is nothing to go on from, a resumed job starts anew."""
    sides, settings = _arguments(model, request)
    started = time.monotonic()
    maps = _unless_stopped(folder, METHODS[request.method].learn, model, *sides, **settings)
    made, nothing = maps.metadata, {"loss": None, "learning_rate": None}
    before = {"iteration": 0, "heldout": made.get("heldout_start"), "support": 0.0, "elapsed": 0.0}
    after = {"iteration": 1, "heldout": made.get("heldout"), "support": maps.support}
    after |= {"elapsed": round(time.monotonic() - started, 2)}
    if request.preview_prompt:
        after |= preview(model, maps, request.preview_prompt, folder, 1)
    _save(maps, request, folder)
    records = [nothing | before | {"best": False}, nothing | after | {"best": True}]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    write_atomically(folder / "records.jsonl", lines.encode())
    return "done"


def _arguments(model: _Model, request: JobRequest) -> tuple[tuple, dict[str, Any]]:
    """Both sides, and the settings that every method takes."""
    prompts = request.prompts
    modules = find_modules(model.network, request.preset) if request.preset else None
    heldout = (prompts.heldout_source, prompts.heldout_target)
    settings = {"config": request.config, "modules": modules, "heldout": heldout}
    return (prompts.source, prompts.target), settings


def _record(
    iterate: Iterate, elapsed: float, model: _Model, request: JobRequest, folder: Path
) -> None:
    names = ("iteration", "loss", "heldout", "support", "learning_rate", "best")
    record = {name: getattr(iterate, name) for name in names} | {"elapsed": round(elapsed, 2)}
    quarters = [request.iterations * k // 4 for k in range(5)]
    if request.preview_prompt and iterate.iteration in quarters:
        record |= preview(model, iterate.maps, request.preview_prompt, folder, iterate.iteration)
    with (folder / "records.jsonl").open("ab") as log:
        log.write(json.dumps(record).encode() + b"\n")


def _checkpoint(iterate: Iterate, maps: SteeringMaps, request: JobRequest, folder: Path) -> None:
    # The state goes last: after a crash the maps may be newer, and learning meets them again.
    _save(maps, request, folder)
    write_atomically(folder / "modules.json", json.dumps(iterate.loss_by_module).encode())
    write_atomically(folder / "state.safetensors", safetensors.torch.save(iterate.state))


def _save(maps: SteeringMaps, request: JobRequest, folder: Path) -> None:
    facts = {"title": request.title, "description": request.prompts.description}
    maps = SteeringMaps(maps.maps, {**maps.metadata, **facts})
    save_maps(maps, folder / "map", prompts=request.prompts)


def _restore(folder: Path) -> tuple[dict[str, Tensor] | None, float]:
    """State and seconds spent at the last checkpoint; None and 0 without one."""
    file = folder / "state.safetensors"
    state = safetensors.torch.load(file.read_bytes()) if file.exists() else None
    # The checkpoint's own iterate comes once more: its record goes, and all that came after it.
    start = int(state["iteration"]) if state else 0
    kept = [line for line in whole_lines(folder) if json.loads(line)["iteration"] < start]
    write_atomically(folder / "records.jsonl", b"".join(kept))
    elapsed = json.loads(kept[-1])["elapsed"] if kept else 0.0
    return state, elapsed


def _leave_with(server: int) -> None:
    """End this process soon after the server, even amid a long load or iteration.

    There is nothing to save: the checkpoint is seconds old, and a free lock says the rest.
    """
    while os.getppid() == server:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)  # the page comes first
    server = int(sys.argv[3])
    threading.Thread(target=_leave_with, args=[server], daemon=True).start()
    with open(int(sys.argv[2]), "a") as inherited:
        work(Jobs(sys.argv[1]), inherited)
