"""How many jobs may wait, in all and of one visitor, so that nobody fills the queue alone.

In a public demo no job may wait at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from lineas_core.errors import UserError

from .job import Job

__all__ = ["MOST_OF_A_VISITOR", "MOST_WAITING", "Room"]

MOST_WAITING, MOST_OF_A_VISITOR = 50, 20
_REMEDY = "Wait until some have finished, or stop them."


class Room:
    """The visitors of the waiting jobs; those of an earlier server are unknown."""

    def __init__(self, *, closed: bool = False) -> None:
        """Allow jobs to wait, or none if `closed`."""
        self._closed = closed
        self._visitors: dict[str, str] = {}  # by id of the job

    def check(self, waiting: Sequence[Job], visitor: str) -> None:
        """Check that another job may wait.

        Args:
            waiting: the waiting jobs.
            visitor: address of the visitor who asks for it; empty if unknown.

        Raises:
            UserError: too many jobs are waiting, or none may wait.
        """
        if self._closed:
            what = "nothing is learnt in a public demo"
            remedy = "Install LinEAS Studio to do it on your own machine."
            raise UserError("E_DEMO", what, remedy=remedy)
        whose = {job.id: self._visitors.get(job.id, "") for job in waiting}
        self._visitors = {job_id: each for job_id, each in whose.items() if each}
        own = [*self._visitors.values()].count(visitor)
        if own >= MOST_OF_A_VISITOR:
            raise UserError("E_JOBS", f"{own} of your jobs are waiting already", remedy=_REMEDY)
        if len(waiting) >= MOST_WAITING:
            what = f"{len(waiting)} jobs are waiting already"
            raise UserError("E_JOBS", what, remedy=_REMEDY)

    def take(self, job_id: str, visitor: str) -> None:
        """Remember whose job has begun to wait."""
        self._visitors[job_id] = visitor
