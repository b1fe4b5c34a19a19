"""A lock that goes from hand to hand: whoever waits for it comes before who has just had it."""

from __future__ import annotations

from threading import Lock

__all__ = ["FairLock"]


class FairLock:
    """A lock for a `with` block, which another thread may leave than entered it.

    A plain lock may go to the same thread again and again, as long as that thread asks for it
    at once; here it finds the gate closed by the one who waits.
    """

    def __init__(self) -> None:
        self._gate, self._lock = Lock(), Lock()

    def __enter__(self) -> None:
        with self._gate:
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def locked(self) -> bool:
        """Whether somebody has it."""
        return self._lock.locked()
