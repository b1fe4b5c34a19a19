"""The worker process: runs the waiting jobs of a folder one after another, see `queue.py`.

    python -m app.jobs.worker FOLDER

FOLDER is the folder of the jobs. The worker begins when it reads a line, and ends when no job is
waiting, or when its standard input is closed: the server holds the other end of that pipe, so that
the worker does not outlive it.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import replace
from math import inf
from pathlib import Path
from shutil import rmtree
from typing import Any, TypeVar

import torch
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.learning.lineas import Iterate, learn_iter
from lineas_core.methods import METHODS
from lineas_core.models import LanguageModel, TextToImageModel, load_model
from lineas_core.models.outline import device_for
from lineas_core.runtime.memory import out_of_memory_as_user_error
from lineas_core.runtime.processes import meet, together
from lineas_core.steering.affine import SteeringMaps
from lineas_core.storage.disk import saving, write_atomically
from lineas_core.storage.maps import save_maps

from .checkpoints import restore_checkpoint, save_checkpoint
from .files import DISK_FULL, STOP, read_records
from .job import Job, JobRequest
from .peers import (
    MEETING,
    arguments,
    as_requested,
    end_with_parent,
    estimate,
    leave,
    peers,
)
from .previews import preview
from .queue import Jobs
from .workers import GO, NO_SPACE, READY

__all__ = ["work"]

_Model = LanguageModel | TextToImageModel
_Result = TypeVar("_Result")

_CHECKPOINT_SECONDS = 3
_POLL_SECONDS = 0.2  # between two checks for a request to stop, while a thread works
_NICENESS = 10
_ESTIMATED = 0.25  # share of the iterations in which the estimate is shown


def work(jobs: Jobs, processes: int | None = None) -> None:
    """Wait for the lock of the jobs, then run them until none is waiting.

    Args:
        jobs: the jobs.
        processes: how many learn a job by iterations together; None means one for each GPU, if
            the model fits on one.
    """
    with jobs.lock.hold():
        jobs.interrupt_started()
        while waiting := jobs.waiting():
            _run(jobs, waiting[0], processes)


def _run(jobs: Jobs, job: Job, processes: int | None) -> None:
    folder, state = jobs.folder / job.id, "failed"
    with saving("the state of a job was"):  # the jobs wait until there is space again
        jobs.write(replace(job, state="loading"))
    try:
        with out_of_memory_as_user_error(), ExitStack() as group:
            device = device_for(job.request.model)
            size = 1 if device else _processes(job.request, processes)
            group.enter_context(peers(folder, size))
            _unless_stopped(folder, group.enter_context, together(folder / MEETING, 0, size))
            model = _unless_stopped(folder, load_model, job.request.model, device=device)
            model = as_requested(model, job.request)
            job = replace(job, state="running")
            jobs.write(job)
            learn = _learn if METHODS[job.request.method].iterative else _learn_in_one_pass
            state, message = learn(model, job.request, folder)
    except _StoppedError:
        _end(jobs, job, "stopped", "")
        leave()
        return
    except UserError as error:
        message = str(error)
    except Exception:  # noqa: BLE001 - the next job must run in any case
        message = f"internal error {secrets.token_hex(4)}"
        with suppress(OSError), (folder / "log.txt").open("a") as log:
            log.write(f"{message}\n{traceback.format_exc()}\n")
    _end(jobs, job, state, message)


def _processes(request: JobRequest, given: int | None) -> int:
    """Return how many processes learn a job; a method that takes one pass learns in one."""
    if not METHODS[request.method].iterative:
        return 1
    return given or torch.cuda.device_count() or 1


def _end(jobs: Jobs, job: Job, state: str, message: str) -> None:
    try:
        jobs.write(replace(job, state=state, message=message))
    except OSError:
        with suppress(OSError):  # without this file, the job counts as interrupted
            (jobs.folder / job.id / DISK_FULL).touch()  # an empty file needs no space


class _StoppedError(Exception):
    """The user stopped the job; a thread may still be working on it."""


def _unless_stopped(
    folder: Path, work: Callable[..., _Result], *args: Any, **kwargs: Any
) -> _Result:
    """Call `work` in a thread, and stop waiting for it when the job is stopped.

    Raises:
        _StoppedError: the job was stopped first.
    """
    working = ThreadPoolExecutor(1).submit(work, *args, **kwargs)
    while not (folder / STOP).exists():
        wait([working], timeout=_POLL_SECONDS)
        if working.done():
            return working.result()
        (folder / "alive").touch()
    raise _StoppedError


def _learn(model: _Model, request: JobRequest, folder: Path) -> tuple[str, str]:
    """Learn from the last checkpoint on; returns the final state of the job, and a message."""
    stop = folder / STOP
    state, elapsed, note = _restore(folder)
    sides, settings = arguments(request)
    _unless_stopped(folder, meet)  # all processes start from the checkpoint that is there now
    if state is None:
        with suppress(UserError):  # the job itself says what is wrong
            _save(_unless_stopped(folder, estimate, model, request), request, folder)
    started, saved, iterate, maps = time.monotonic() - elapsed, -inf, None, None
    try:
        for iterate in learn_iter(model, *sides, **settings, resume=state):
            maps = iterate.best_maps
            _record(iterate, time.monotonic() - started, model, request, folder)
            if stop.exists():
                return "stopped", note
            if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                better = iterate.iteration >= _ESTIMATED * request.iterations
                _checkpoint(iterate, maps if better else None, request, folder)
                saved = time.monotonic()
            (folder / "alive").touch()
        maps = iterate.maps if iterate else maps
        return "done", note
    finally:  # also when the run diverged or an internal error ended it
        if iterate is not None and maps is not None:
            _checkpoint(iterate, maps, request, folder)


def _learn_in_one_pass(model: _Model, request: JobRequest, folder: Path) -> tuple[str, str]:
    """Learn without iterations.

    A resumed job starts from the beginning, unless the method keeps checkpoints of its own.
    """
    sides, settings = arguments(request)
    method, started, states = METHODS[request.method], time.monotonic(), folder / "checkpoints"
    if method.checkpoints:
        settings["checkpoints"] = states
    maps = _unless_stopped(folder, method.learn, model, *sides, **settings)
    distance, nothing = maps.metadata.get, {"loss": None, "learning_rate": None}
    before = {"iteration": 0, "heldout": distance("heldout_start"), "support": 0.0, "elapsed": 0.0}
    after = {"iteration": 1, "heldout": distance("heldout"), "support": maps.support}
    after |= {"elapsed": round(time.monotonic() - started, 2)}
    if request.preview_prompt:
        after |= preview(model, maps, request.preview_prompt, folder, 1)
    _save(maps, request, folder)
    records = [nothing | before | {"best": False}, nothing | after | {"best": True}]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    with saving("the records were"):
        write_atomically(folder / "records.jsonl", lines.encode())
    rmtree(states, ignore_errors=True)
    return "done", ""


def _record(
    iterate: Iterate, elapsed: float, model: _Model, request: JobRequest, folder: Path
) -> None:
    names = ("iteration", "loss", "heldout", "support", "learning_rate", "best")
    record = {name: getattr(iterate, name) for name in names} | {"elapsed": round(elapsed, 2)}
    quarters = [request.iterations * k // 4 for k in range(5)]
    if request.preview_prompt and iterate.iteration in quarters:
        record |= preview(model, iterate.maps, request.preview_prompt, folder, iterate.iteration)
    with saving("the records were"), (folder / "records.jsonl").open("ab") as log:
        log.write(json.dumps(record).encode() + b"\n")


def _checkpoint(
    iterate: Iterate, maps: SteeringMaps | None, request: JobRequest, folder: Path
) -> None:
    """Save the maps, unless the estimate is still the better one, and the state of the run."""
    # The state is written last: after a crash the maps may be newer, and are overwritten later.
    if maps is not None:
        _save(maps, request, folder)
    with saving("the checkpoint was"):
        write_atomically(folder / "modules.json", json.dumps(iterate.loss_by_module).encode())
        save_checkpoint(iterate.state, folder)


def _save(maps: SteeringMaps, request: JobRequest, folder: Path) -> None:
    facts = {"title": request.title, "description": request.prompts.description}
    maps = SteeringMaps(maps.maps, {**maps.metadata, **facts})
    save_maps(maps, folder / "map", prompts=request.prompts)


def _restore(folder: Path) -> tuple[dict[str, Tensor] | None, float, str]:
    """State and elapsed seconds at the last checkpoint that is whole, None and 0 without one.

    The third value is a sentence if a checkpoint is damaged.
    """
    state, note = restore_checkpoint(folder)
    # Learning yields the iteration of the checkpoint again, so later records are removed with it.
    start, elapsed, kept = int(state["iteration"]) if state else 0, 0.0, list[bytes]()
    records = read_records(folder)
    for line, record in zip(records.lines, records.parsed, strict=True):
        if record and record["iteration"] >= start:
            break
        kept.append(line)
        elapsed = record["elapsed"] if record else elapsed
    with saving("the records were"):
        write_atomically(folder / "records.jsonl", b"".join(kept))
    return state, elapsed, note


if __name__ == "__main__":
    if sys.platform != "win32":  # on Windows the server sets a low priority
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)  # the page has precedence
    if sys.argv[2:] == [READY]:  # seconds in which it waits anyway, and whose model is not known
        import lineas_core.models.pipelines  # noqa: F401

    if os.read(sys.stdin.fileno(), len(GO)) != GO:
        raise SystemExit  # it is not needed, or its server has ended
    end_with_parent()
    try:
        work(Jobs(sys.argv[1]))
    except UserError as error:  # on a full disk
        with suppress(OSError):  # the log may be on that disk
            sys.stderr.write(f"{error}\n")
        raise SystemExit(NO_SPACE) from None
