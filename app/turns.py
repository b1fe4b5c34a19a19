"""Turns at the models: each visitor gets the same share of the time, however much is asked for.

This is start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) with the time that a step has
taken as its cost: the next step is one of the address that has used the least time, and there of
the session that has. Whoever comes anew starts level with those who are served, not with a credit
for the time before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lineas_core import UserError

__all__ = ["Turns", "Visitor"]

_REMEMBERED = 10_000  # addresses and sessions; all are forgotten whenever nobody waits
_ALL = "all addresses"


@dataclass(frozen=True)
class Visitor:
    """Whoever has sent a request.

    Attributes:
        address: IP address; any number of sessions can come from one.
        session: session of a page or client; empty for programs without one.
    """

    address: str
    session: str = ""


@dataclass(eq=False)
class _Waiting:
    visitor: Visitor
    granted: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Turns:
    """Hands out turns one after another, within one event loop.

    The steps of a request, such as the tokens of a text, take turns of their own.
    """

    def __init__(
        self,
        *,
        per_session: int = 8,
        per_address: int = 32,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Limit how many requests of a session, and of an address, wait at the same time."""
        self._clock = clock  # seconds
        self._per_session, self._per_address = per_session, per_address
        self._waiting: list[_Waiting] = []
        self._serving: Visitor | None = None
        self._used: dict[str | Visitor, float] = {}  # seconds, by address and by visitor
        self._level: dict[str, float] = {}  # of the last turn: of all addresses, and within each

    @asynccontextmanager
    async def turn(self, visitor: Visitor, *, begun: bool = False) -> AsyncIterator[None]:
        """Wait for a turn, and hold it for the duration of the `async with` block.

        Args:
            visitor: who waits.
            begun: whether this is a later step of a request, which is never refused.

        Raises:
            UserError: too many requests of this visitor wait already.
        """
        if not begun:
            self._check(visitor)
        await self._wait(visitor)
        started = self._clock()
        try:
            yield
        finally:
            for key in (visitor.address, visitor):
                self._used[key] = self._used.get(key, 0.0) + self._clock() - started
            self._serving = None
            self._serve_next()

    def _check(self, visitor: Visitor) -> None:
        others = [each.visitor for each in self._waiting]
        if self._serving:
            others.append(self._serving)
        own = others.count(visitor)
        neighbours = sum(each.address == visitor.address for each in others)
        if own >= self._per_session or neighbours >= self._per_address:
            most = self._per_session if own >= self._per_session else self._per_address
            what = f"{most} of your requests are already waiting"
            raise UserError("E_BUSY", what, remedy="Wait until one of them is done.")

    async def _wait(self, visitor: Visitor) -> None:
        waiting = _Waiting(visitor)
        self._waiting.append(waiting)
        for key, group in ((visitor.address, _ALL), (visitor, visitor.address)):
            self._used[key] = max(self._used.get(key, 0.0), self._level.get(group, 0.0))
        self._serve_next()
        try:
            await waiting.granted
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif not waiting.granted.cancelled():  # its turn had just come
                self._serving = None
                self._serve_next()
            raise

    def _serve_next(self) -> None:
        """Grant the next turn, if nobody has it."""
        self._waiting = [each for each in self._waiting if not each.granted.cancelled()]
        if self._serving:
            return
        if not self._waiting or len(self._used) > _REMEMBERED:
            self._used.clear()
            self._level.clear()
        if not self._waiting:
            return
        following = min(self._waiting, key=lambda each: self._used_by(each.visitor))
        self._waiting.remove(following)
        self._serving = following.visitor
        address = following.visitor.address
        self._level[_ALL], self._level[address] = self._used_by(following.visitor)
        following.granted.set_result(None)

    def _used_by(self, visitor: Visitor) -> tuple[float, float]:
        return self._used.get(visitor.address, 0.0), self._used.get(visitor, 0.0)
