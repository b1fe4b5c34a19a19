"""A lock file that allows one worker at a time.

The operating system releases the lock when the process that holds it ends, however it ends, so
that a lock is never stale. A second file has the process id of the holder.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lineas_core.storage.disk import read_regular

__all__ = ["Lock"]

_DEATH_SECONDS = 10  # maximal time to wait for a killed process
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has no SIGKILL; SIGTERM kills there


class Lock:
    """The lock of one folder.

    Attributes:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        """Use the lock files of a folder without acquiring the lock.

        Args:
            folder: folder of the files `lock` and `worker.pid`; it must exist.
        """
        self.folder = folder
        self._file, self._holder = folder / "lock", folder / "worker.pid"
        self._claimed = FileLock(self._file)
        self._one_test = threading.Lock()  # concurrent tests would see each other's lock

    @property
    def held(self) -> bool:
        """True if a running process holds the lock."""
        with self._one_test, suppress(Timeout), FileLock(self._file, blocking=False):
            return False
        return True

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Wait for the lock, and hold it for the duration of a `with` block."""
        with FileLock(self._file):
            with suppress(OSError):  # on a full disk the holder stays unknown
                self._holder.unlink(missing_ok=True)  # it names the former holder
                self._holder.write_text(str(os.getpid()))
            yield

    def claim(self) -> bool:
        """Hold the lock until this process ends, unless it is held already.

        Returns:
            True if this call has acquired it.
        """
        with suppress(Timeout):
            self._claimed.acquire(blocking=False)
        return self._claimed.is_locked

    def end_holder(self) -> None:
        """Kill the process that holds the lock, and wait until the lock is released."""
        with suppress(OSError, ValueError):  # the process has ended, or never held the lock
            holder = int(read_regular(self._holder))
            os.kill(holder, _KILL)
            deadline = time.monotonic() + _DEATH_SECONDS
            while self.held and time.monotonic() < deadline:
                if int(read_regular(self._holder)) != holder:  # another worker has acquired it
                    return
                time.sleep(0.05)
