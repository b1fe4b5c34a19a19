"""One worker at a time: a file that is locked for as long as its holder lives.

The kernel lets go of the lock when the holder ends, however it ends, so nothing is ever stale. The
file's content is the holder's process id.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

__all__ = ["Lock"]

_DEATH_SECONDS = 10  # a killed process is given to be gone


class Lock:
    """The lock of one folder.

    Attributes:
        file: what is locked; made when it is first looked at.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    @property
    def held(self) -> bool:
        """Whether its holder lives."""
        with self.file.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def claim(self) -> IO[str] | None:
        """The file, locked until it is closed here and in every child; None while it is held."""
        while not self.held:
            lock = self.file.open("a")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # a holder, or only the glance of `held`
                lock.close()
            else:
                self.sign(lock, os.getpid())
                return lock
        return None

    def sign(self, lock: IO[str], process: int) -> None:
        """Write down who holds the claimed lock from now on."""
        lock.truncate(0)
        lock.write(str(process))
        lock.flush()

    def end_holder(self) -> None:
        """Kill whoever holds the lock and wait until it is free."""
        with suppress(ProcessLookupError, ValueError):
            holder = int(self.file.read_text())
            if holder != os.getpid():  # we are only just handing it on
                os.kill(holder, signal.SIGKILL)
        deadline = time.monotonic() + _DEATH_SECONDS
        while self.held and time.monotonic() < deadline:
            time.sleep(0.05)
