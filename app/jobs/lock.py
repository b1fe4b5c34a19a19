"""One worker at a time: a file that is locked while its holder lives.

The operating system releases the lock when the holder ends, however it ends, so a lock is never
stale. Beside it lies the process id of the holder.
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

__all__ = ["Lock"]

_DEATH_SECONDS = 10  # until a killed process must be gone
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has no SIGKILL; there this kills


class Lock:
    """The lock of one folder."""

    def __init__(self, folder: Path) -> None:
        """Lock nothing yet.

        Args:
            folder: holds the files `lock` and `worker.pid`; it must exist.
        """
        self._file, self._holder = folder / "lock", folder / "worker.pid"
        self._one_test = threading.Lock()  # two tests at once would each find the other's lock

    @property
    def held(self) -> bool:
        """Whether a living process holds the lock."""
        with self._one_test, suppress(Timeout), FileLock(self._file, blocking=False):
            return False
        return True

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Wait for the lock, then hold it for the length of a `with` block."""
        with FileLock(self._file):
            self._holder.write_text(str(os.getpid()))
            yield

    def end_holder(self) -> None:
        """Kill the process that holds the lock, and wait until it has lost it."""
        with suppress(OSError, ValueError):  # it has ended meanwhile, or never held it
            holder = int(self._holder.read_text())
            os.kill(holder, _KILL)
            deadline = time.monotonic() + _DEATH_SECONDS
            while self.held and time.monotonic() < deadline:
                if int(self._holder.read_text()) != holder:  # another worker has waited for it
                    return
                time.sleep(0.05)
