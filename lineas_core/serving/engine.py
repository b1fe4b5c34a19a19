"""Continuous batching of steered texts: rows join and leave one batch between two tokens.

A thread alternates two passes: one that reads the prompts of new rows, and one that generates a
token in every row of the batch. A row that has ended, or that nobody waits for any more, leaves
before the next pass.

Why not the continuous batching of transformers (5.23): it packs the tokens of all requests into
one row of changing length and does not tell a forward hook which token belongs to which request,
so that maps and strengths cannot differ between requests; it draws from torch's global generator,
so that a seed cannot belong to a request; and on a CPU its cache takes 60% of the free memory.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Condition, Thread

from lineas_core.errors import UserError
from lineas_core.models.decoding import check_decodable, context_length
from lineas_core.models.language import LanguageModel
from lineas_core.runtime.memory import out_of_memory_as_user_error, release_memory
from lineas_core.serving.group import READ_AT_ONCE, Group, Piece, Request, Row

__all__ = ["Busy", "Engine", "Limits"]

_log = logging.getLogger(__name__)
_REMEDY = "Ask for fewer tokens, or start `lineas serve` with a smaller --batch-tokens."


@dataclass(frozen=True)
class Limits:
    """How much is computed and kept at the same time.

    Attributes:
        rows: texts in the batch.
        waiting: texts that wait to join it; more are refused.
        tokens: rows of the batch times the tokens that the longest can have, which bounds the
            memory: for SmolLM2 135M in float32, 32,768 tokens take 1.5 GB.
    """

    rows: int = 32
    waiting: int = 128
    tokens: int = 32_768

    def allow(self, rows: Sequence[Row]) -> bool:
        """Return whether rows may be in one batch."""
        space = len(rows) * max(row.request.longest for row in rows)
        return len(rows) <= self.rows and space <= self.tokens


class Busy(UserError):
    """Too many texts wait already.

    Attributes:
        seconds: after how long to try again.
    """

    def __init__(self, waiting: int, seconds: int) -> None:
        """Say how many texts wait, and after how many seconds to try again."""
        remedy = f"Try again in {seconds} seconds." if seconds > 1 else "Try again in a second."
        super().__init__("E_BUSY", f"{waiting} texts are already waiting", remedy=remedy)
        self.seconds = seconds


class Engine:
    """Continues the texts of many requests in one batch, in a thread of its own.

    Nobody else may steer the network meanwhile.

    Attributes:
        model: the model.
        limits: the limits.
        context: number of tokens that a prompt and its continuation can have together.
        prompt_tokens: number of prompt tokens that have been accepted.
        generated_tokens: number of tokens that have been generated.
    """

    def __init__(self, model: LanguageModel, limits: Limits = Limits()) -> None:
        """Start the thread.

        Raises:
            UserError: the rows of this model cannot share a batch.
        """
        check_decodable(model.network, model.name)
        self.model, self.limits = model, limits
        self.context = min(context_length(model.network), limits.tokens)
        self.prompt_tokens = self.generated_tokens = 0
        self._changed = Condition()
        self._waiting: deque[Row] = deque()
        self._taken: list[Row] = []  # rows that have left the queue and are in no group yet
        self._reading: Group | None = None
        self._active: Group | None = None
        self._seconds = 1.0  # from the request of the text that ended last to its end
        self._closed = False
        self._thread = Thread(target=self._run, name="lineas-engine", daemon=True)
        self._thread.start()

    @property
    def rows(self) -> int:
        """Number of texts in the batch, those whose prompts are being read included."""
        groups = [group for group in (self._reading, self._active) if group]
        # Rows that are just joining the batch are in both groups for a moment.
        return len({id(row) for group in groups for row in group.rows})

    @property
    def waiting(self) -> int:
        """Number of texts that wait to join the batch."""
        return len(self._waiting)

    def submit(
        self, requests: Sequence[Request], deliver: Callable[[int, Piece], None]
    ) -> list[Row]:
        """Add texts to the queue, all of them or none.

        Args:
            requests: k texts to continue.
            deliver: called with the number of the text, 0 to k - 1, and each of its pieces, in the
                thread of the engine; must not block or raise.

        Returns:
            The k rows, for `cancel`.

        Raises:
            Busy: too many texts wait already.
            UserError: a text can become longer than the model reads, there are more texts than
                may wait at all, or the engine is closed.
        """
        if len(requests) > self.limits.waiting:
            raise UserError(
                "E_COUNT",
                f"{len(requests)} texts came in one request",
                remedy=f"Ask for at most {self.limits.waiting} at once.",
            )
        for request in requests:
            self._check(request)
        rows = [Row(r, self._decode, partial(deliver, place)) for place, r in enumerate(requests)]
        with self._changed:
            if self._closed:
                raise UserError("E_STOPPED", "the server is stopping", remedy="Start it again.")
            if len(self._waiting) + len(rows) > self.limits.waiting:
                seconds = min(max(math.ceil(self._seconds), 1), 60)
                raise Busy(len(self._waiting), seconds)
            self._waiting += rows
            self.prompt_tokens += sum(len(request.tokens) for request in requests)
            self._changed.notify()
        return rows

    def cancel(self, rows: Sequence[Row]) -> None:
        """Let rows leave before the next pass; what they still deliver has to be ignored."""
        for row in rows:
            row.cancelled.set()
        with self._changed:
            self._waiting = deque(row for row in self._waiting if not row.cancelled.is_set())
            self._changed.notify()

    def generate(self, requests: Sequence[Request]) -> list[str]:
        """Return the k continuations, once all have ended.

        Raises:
            UserError: as in `submit`, or there is not enough memory.
        """
        pieces: SimpleQueue[tuple[int, Piece]] = SimpleQueue()
        rows = self.submit(requests, lambda place, piece: pieces.put((place, piece)))
        texts, unfinished = [""] * len(rows), len(rows)
        while unfinished:
            place, piece = pieces.get()
            unfinished -= bool(piece.finish)
            if piece.error:
                self.cancel(rows)
                raise piece.error
            texts[place] += piece.text
        return texts

    def close(self) -> None:
        """End the thread; texts that are not complete end with an error."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self.model.tokenizer.decode([*tokens], skip_special_tokens=True))

    def _check(self, request: Request) -> None:
        if not request.tokens:
            raise UserError("E_PROMPT", "the prompt is empty", remedy="Write a few words.")
        if request.longest > self.context:
            raise UserError(
                "E_LENGTH",
                f"the prompt has {len(request.tokens)} tokens and the text may have "
                f"{request.sampling.max_new_tokens}, together more than {self.context}",
                remedy="Shorten the prompt or ask for fewer tokens.",
            )

    def _run(self) -> None:
        while self._wait():
            # What fails while prompts are read has not touched the batch, so that it goes on.
            for part, everything in ((self._read, False), (self._join, True), (self._write, True)):
                if error := self._tried(part):
                    self._fail(error, everything=everything)
                    release_memory()
        remedy = "Start it again."
        self._fail(UserError("E_STOPPED", "the server was stopped", remedy=remedy))

    def _tried(self, part: Callable[[], None]) -> Exception | None:
        """Return why a part of a step has failed, without the traces that keep its tensors."""
        try:
            with out_of_memory_as_user_error(_REMEDY):
                part()
        except Exception as error:  # noqa: BLE001 - whatever it is, later requests are served
            if not isinstance(error, UserError):
                _log.exception("a pass of the batch has failed")
            error.__cause__ = error.__context__ = None
            return error.with_traceback(None)
        return None

    def _wait(self) -> bool:
        """Wait until there is something to do; False at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._waiting or self._reading or self._active
            )
            return not self._closed

    def _fitting(self) -> list[Row]:
        """Return the first rows of the queue that can join the batch now."""
        active = self._active.rows if self._active else []
        fitting: list[Row] = []
        for row in self._waiting:
            new = [*fitting, row]
            reading = len(new) * max(len(row.request.tokens) for row in new)
            if not self.limits.allow([*active, *new]) or (fitting and reading > READ_AT_ONCE):
                break
            fitting = new
        return fitting

    def _read(self) -> None:
        """Read prompts, or a part of them; then generate the first token of their texts."""
        if not self._reading:
            self._take()
        self._reading = self._advanced(self._reading)

    def _join(self) -> None:
        """Let the rows whose prompts have been read join the batch."""
        if self._reading and not self._reading.reading:
            if self._active:
                self._active.join(self._reading)
            else:
                self._active = self._reading
            self._reading = None  # not before: if there is not enough memory, its rows fail, too

    def _write(self) -> None:
        """Generate a token in every row of the batch."""
        self._active = self._advanced(self._active)

    def _take(self) -> None:
        """Take in the rows that can join, in the order in which they came."""
        with self._changed:
            self._taken = self._fitting()
            for _ in self._taken:
                self._waiting.popleft()
        if self._taken:
            self._reading, self._taken = Group(self.model, self._taken), []

    def _advanced(self, group: Group | None) -> Group | None:
        """Take a step of the rows that somebody waits for; None if no rows are left."""
        if group:
            group.drop(lambda row: row.cancelled.is_set())
        if not (group and group.rows):
            return None
        rows = [*group.rows]
        before = sum(row.tokens for row in rows)
        group.step()
        self.generated_tokens += sum(row.tokens for row in rows) - before
        for row in rows:
            if row.finished:
                self._seconds = time.monotonic() - row.started
        return group if group.rows else None

    def _fail(self, error: Exception, *, everything: bool = True) -> None:
        """End the texts whose prompts are being read with an error, or all of them."""
        with self._changed:
            failed = (self._reading, self._active if everything else None)
            rows = [row for group in failed if group for row in group.rows]
            rows += self._taken
            self._reading, self._taken = None, []
            self._active = None if everything else self._active
            if self._closed:
                rows += self._waiting
                self._waiting.clear()
        for row in rows:
            if not (row.finished or row.cancelled.is_set()):
                row.fail(error)
