"""The workers that a server starts for the jobs of a folder, one after another."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from typing import Any

from ..children import start_module
from .lock import Lock

__all__ = ["GO", "NO_SPACE", "READY", "Workers"]

GO = b"\n"
"""What a worker reads from its standard input before it begins."""
READY = "ready"
"""Argument of a worker that is started before there is a job."""
NO_SPACE = 28
"""Exit status of a worker that cannot save the state of a job, because the disk is full."""
_FULL = "The disk is full. The jobs start once there is space."
_FAILED = "The worker ended at once; the server log says why."
_LOOK_SECONDS = 2
_GRACE_SECONDS = 20  # another server has started a worker that does not hold the lock yet
_RETRY_SECONDS = 60
_READY_SECONDS = 600  # after which a prepared worker that got no job gives its memory back
_log = logging.getLogger(__name__)


class Workers:
    """Runs workers as long as jobs are waiting.

    Attributes:
        running: True while a thread runs one worker after another.
        failure: why the last worker has left the queue as it was; empty if it has not.
    """

    def __init__(self, lock: Lock, python: str, waiting: Callable[[], Sequence[str]]) -> None:
        """Start no worker yet.

        Args:
            lock: lock of the folder of the jobs.
            python: interpreter that runs the worker.
            waiting: returns the ids of the waiting jobs.
        """
        self._lock, self._python, self._waiting = lock, python, waiting
        self._starting = threading.Lock()
        self._next_try = 0.0
        self._ready: subprocess.Popen | None = None  # guarded by `_starting`
        self.running, self.failure = False, ""  # guarded by `_starting`

    def start(self) -> None:
        """Make sure that a worker runs for the job that has just been saved."""
        with self._starting:
            if not self.running:
                self.running, self.failure = True, ""
                threading.Thread(target=self._run_all, daemon=True).start()

    def prepare(self) -> None:
        """Start a worker that waits for the next job, which then does not wait for its imports."""
        with self._starting, suppress(OSError):  # without it the job takes seconds longer
            if self.running or (self._ready and self._ready.poll() is None):
                return
            self._ready = self._new(READY)
            timer = threading.Timer(_READY_SECONDS, self._dismiss, [self._ready])
            timer.daemon = True
            timer.start()

    def serve(self) -> None:
        """Start a worker whenever jobs have none, such as those of a server that has ended."""
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        """Look after the queue until its folder is gone."""
        unattended = -inf  # since when, in monotonic seconds; the first look does not wait
        while self._lock.folder.is_dir():
            now = time.monotonic()
            with suppress(OSError):  # the folder is being deleted
                if self._lock.held or not self._waiting():
                    unattended = now
                elif now >= max(unattended + _GRACE_SECONDS, self._next_try):
                    self.start()
            time.sleep(_LOOK_SECONDS)

    def _run_all(self) -> None:
        """Run one worker after another until no job is waiting.

        After a worker that failed without starting any job, the next one would fail as well.
        """
        status, before = 0, list[str]()
        while True:
            with self._starting:  # a job saved later finds `running` unset
                waiting = list(self._waiting())
                failed = bool(status and waiting == before)
                self.running = bool(waiting) and not failed
                if not self.running:
                    self.failure = (_FULL if status == NO_SPACE else _FAILED) if failed else ""
                    self._next_try = time.monotonic() + _RETRY_SECONDS if failed else 0
                    return
            status, before = self._run_one(), waiting

    def _run_one(self) -> int:
        """Run a worker to its end and return its exit status; 1 if it cannot be started."""
        with self._starting:
            ready, self._ready = self._ready, None
        try:
            with ready if ready and ready.poll() is None else self._new() as worker:
                begin: Any = worker.stdin
                with suppress(BrokenPipeError):  # it has ended at once
                    begin.write(GO)
                return worker.wait()
        except OSError:  # such as no memory for another process
            _log.exception("The worker cannot be started.")
            return 1

    def _new(self, *more: str) -> subprocess.Popen:
        """Start a worker, which begins when it is told to.

        It ends when its standard input does, that is, when this process ends.
        """
        return start_module("jobs.worker", str(self._lock.folder), *more, python=self._python)

    def _dismiss(self, worker: subprocess.Popen) -> None:
        """End a prepared worker, unless it has got a job."""
        with self._starting:
            if self._ready is not worker:
                return
            self._ready = None
        worker.communicate()
