"""Further processes that learn a job together with its worker, one for each further GPU.

    python -m app.jobs.peers JOB RANK SIZE

JOB is the folder of the job. The worker is process 0 of SIZE: it alone reads the queue, reports
and saves. Each of the others loads the same model and passes its share of the prompts through it.
They end with the worker, which holds the other end of their standard input.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from lineas_core.errors import UserError
from lineas_core.learning.lineas import learn_iter
from lineas_core.learning.suited import suited_preset
from lineas_core.methods import METHODS
from lineas_core.models import load_model
from lineas_core.runtime.processes import ENDED, meet, together
from lineas_core.steering.affine import SteeringMaps

from .checkpoints import restore_checkpoint
from .files import read_job
from .job import JobRequest

__all__ = [
    "MEETING",
    "arguments",
    "as_requested",
    "end_with_parent",
    "estimate",
    "leave",
    "peers",
]

_FEW = 16  # prompts on each side
MEETING = "meeting"
"""File of a job by which its processes find each other."""


@contextmanager
def peers(folder: Path, size: int) -> Iterator[None]:
    """Start the other processes of a job, and kill them at the end of the `with` block.

    Args:
        folder: folder of the job.
        size: number of processes with this one; 1 starts none.

    Raises:
        UserError: one of them has ended before this one.
    """
    (folder / MEETING).unlink(missing_ok=True)  # of a run that was killed
    command = [sys.executable, "-m", f"{__package__}.peers", str(folder)]
    started: list[subprocess.Popen] = []
    try:
        for rank in range(1, size):
            place = [str(rank), str(size)]
            started.append(subprocess.Popen([*command, *place], stdin=subprocess.PIPE))
        yield
    except UserError as error:
        if error.code != ENDED:
            raise
        raise UserError(
            ENDED,
            f"one of the {size} processes learning this map, one for each GPU, has ended",
            remedy="Resume the job; the server log may say why.",
        ) from error
    finally:
        for peer in started:
            peer.kill()
            peer.communicate()
        (folder / MEETING).unlink(missing_ok=True)


def as_requested(model: Any, request: JobRequest) -> Any:
    """Return a model with the denoising steps and the guidance of a job.

    Raises:
        UserError: the model does not have them.
    """
    return model.with_denoising(**request.denoising) if request.denoising else model


def arguments(request: JobRequest) -> tuple[tuple, dict[str, Any]]:
    """Return both sides of the prompts, and the keyword arguments of every method."""
    prompts = request.prompts
    modules = request.preset or _suited_preset(request)
    heldout = (prompts.heldout_source, prompts.heldout_target)
    settings = {"config": request.config, "modules": modules or None, "heldout": heldout}
    return (prompts.source, prompts.target), settings


def estimate(model: Any, request: JobRequest) -> SteeringMaps:
    """Learn maps that are there within seconds, to be tried while the job learns better ones.

    Those of Mean-AcT need a few prompts of each side. At the layers that suit a topic, CAA has
    the most effect of all methods (assets/tables/frontier.md); elsewhere its full strength breaks
    texts and pictures. All processes of a job take part.
    """
    prompts, method = request.prompts, METHODS["mean-act"]
    if not request.preset and _suited_preset(request):
        method = METHODS["caa"]
    else:
        prompts = prompts.take(min(_FEW, len(prompts.source), len(prompts.target)))
    sides, settings = arguments(replace(request, prompts=prompts))
    del settings["heldout"]
    return method.learn(model, *sides, **{**settings, "config": method.config})


def _suited_preset(request: JobRequest) -> str:
    return suited_preset(request.model, request.prompts.kind, request.config)


def end_with_parent() -> None:
    """From now on, end this process when its parent has, even during a long load or iteration."""

    def wait() -> None:
        os.read(sys.stdin.fileno(), 1)  # returns when the pipe is closed; nothing is written to it
        leave(1)

    threading.Thread(target=wait, daemon=True).start()


def leave(status: int = 0) -> None:
    """End this process and all its threads at once.

    A thread that loads a model or learns cannot be ended otherwise. Nothing has to be saved,
    because the checkpoint is at most a few seconds old.
    """
    os._exit(status)


def _learn(folder: Path, rank: int, size: int) -> None:
    """Do this process's share of a job."""
    request = read_job(folder).request
    with together(folder / MEETING, rank, size):
        model = as_requested(load_model(request.model), request)
        sides, settings = arguments(request)
        meet()  # the worker has removed what is damaged
        state, _ = restore_checkpoint(folder)
        if state is None:
            estimate(model, request)
        for _ in learn_iter(model, *sides, **settings, resume=state):
            pass


if __name__ == "__main__":
    end_with_parent()
    try:
        _learn(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    except UserError as error:
        if error.code != ENDED:  # else another process has something to say
            sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
