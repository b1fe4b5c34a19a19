"""A fair lock: a waiting thread acquires it before the thread that has just released it."""

from __future__ import annotations

from threading import Lock

__all__ = ["FairLock"]


class FairLock:
    """A lock for `with` blocks that one thread may acquire and another one release.

    With a plain lock a thread that acquires it again at once can starve all others. Here that
    thread has to wait at the gate, which is held by the thread that waits for the lock.
    """

    def __init__(self) -> None:
        self._gate, self._lock = Lock(), Lock()

    def __enter__(self) -> None:
        with self._gate:
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def locked(self) -> bool:
        """Return True while the lock is held."""
        return self._lock.locked()

    def wanted(self) -> bool:
        """Return True while a thread waits for the lock."""
        return self._gate.locked()
