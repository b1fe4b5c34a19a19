"""Rows that pass through the network together, each with its own maps, seed and settings.

n rows, q new tokens, v words of the vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from threading import Event

import torch
from torch import Tensor

from lineas_core.models.decoding import DecodingBatch
from lineas_core.models.language import LanguageModel
from lineas_core.models.sampling import Sampling, choose, end_tokens
from lineas_core.serving.text import TextStream
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.hooks import steer
from lineas_core.steering.rows import stack_rows

__all__ = ["READ_AT_ONCE", "Group", "Piece", "Request", "Row"]

READ_AT_ONCE = 512
"""Tokens of prompts in one pass; a longer prompt takes several, and other rows go on between."""


@dataclass(frozen=True, eq=False)
class Request:
    """A text to continue.

    Attributes:
        tokens: the prompt, at least one token.
        maps: maps at their strength, from `compose`, on the device of the network; empty for
            the unsteered model.
        sampling: temperature, top k, top p and maximum length.
        seed: gives the same text alone, in a batch and in `LanguageModel.generate`.
        stop: sequences that end the text, none of them empty.
    """

    tokens: Sequence[int]
    maps: SteeringMaps = field(default_factory=lambda: SteeringMaps({}))
    sampling: Sampling = Sampling()
    seed: int = 0
    stop: Sequence[str] = ()

    @property
    def longest(self) -> int:
        """Number of tokens that the prompt and its continuation can have."""
        return len(self.tokens) + self.sampling.max_new_tokens


@dataclass(frozen=True)
class Piece:
    """What a token has added to a text.

    Attributes:
        text: the characters that are certain now; may be empty.
        tokens: number of tokens generated so far.
        finish: `stop` or `length` in the last piece, else empty.
        error: why the text cannot be continued; None if it can.
    """

    text: str
    tokens: int
    finish: str = ""
    error: Exception | None = None


class Row:
    """A request on its way through the batch.

    Attributes:
        request: the request.
        tokens: number of tokens generated so far.
        finished: whether the last piece has been delivered.
        cancelled: set by anyone to make the row leave before the next token.
        started: when it was requested, in seconds of the monotonic clock.
    """

    def __init__(
        self, request: Request, decode: Callable[[Sequence[int]], str], deliver: _Deliver
    ) -> None:
        """Start without generated tokens.

        Args:
            request: the request.
            decode: returns the text of tokens.
            deliver: takes every piece, in the thread that computes it.
        """
        self.request, self.tokens, self.finished = request, 0, False
        self.cancelled, self.started = Event(), time.monotonic()
        self._text, self._deliver = TextStream(decode, request.stop), deliver

    def add(self, token: int, *, ends: bool) -> None:
        """Add a generated token.

        Args:
            token: its id.
            ends: whether it ends the text.
        """
        self.tokens += 1
        text, finish = self._text.push(token), ""
        if ends or self._text.stopped:
            finish = "stop"
        elif self.tokens == self.request.sampling.max_new_tokens:
            finish = "length"
        if finish:
            text += self._text.rest()
            finish = "stop" if self._text.stopped else finish
        self.finished = bool(finish)
        self._deliver(Piece(text, self.tokens, finish))

    def fail(self, error: Exception) -> None:
        """Deliver an error as the last piece."""
        self.finished = True
        self._deliver(Piece("", self.tokens, "", error))


_Deliver = Callable[[Piece], None]


class Group:
    """Rows in one batch.

    Attributes:
        rows: the n rows.
        reading: whether their prompts are still being read; such a group cannot join another.
    """

    def __init__(self, model: LanguageModel, rows: Sequence[Row]) -> None:
        """Start with the prompts of one row or more."""
        self.rows, self.reading = [*rows], True
        prompts = [[*row.request.tokens] for row in rows]
        longest = max(map(len, prompts))
        padding = [longest - len(prompt) for prompt in prompts]
        self._network, device = model.network, model.network.device
        self._ends = set(end_tokens(model.network, model.tokenizer))
        self._batch = DecodingBatch(model.network, padding)
        padded = [[0] * size + prompt for size, prompt in zip(padding, prompts, strict=True)]
        self._unread = torch.tensor(padded, device=device)
        self._prepare()

    def step(self) -> None:
        """Read part of the prompts; once they are read, generate one token in every row.

        Rows that have ended leave.
        """
        ids, self._unread = self._unread.split_with_sizes(self._next_sizes(), dim=1)
        with ExitStack() as steering:
            for maps in self._maps:
                steering.enter_context(steer(self._network, maps))
            logits = self._batch.read(ids)
        if self._unread.shape[1]:
            return
        self.reading = False
        tokens = self._choose(logits)
        self._unread = tokens[:, None]
        for row, token in zip(self.rows, tokens.tolist(), strict=True):
            row.add(token, ends=token in self._ends)
        self.drop(lambda row: row.finished)

    def join(self, other: Group) -> None:
        """Append the rows of another group, which is used up by this."""
        self._batch.join(other._batch)
        self._unread = torch.cat([self._unread, other._unread])
        self.rows += other.rows
        self._prepare()

    def drop(self, unwanted: Callable[[Row], bool]) -> None:
        """Remove rows."""
        kept = [place for place, row in enumerate(self.rows) if not unwanted(row)]
        if len(kept) == len(self.rows):
            return
        self.rows = [self.rows[place] for place in kept]
        if kept:
            self._batch.keep(kept)
            self._unread = self._unread[kept]
            self._prepare()

    def _next_sizes(self) -> tuple[int, int]:
        """Return how many columns are read now, and how many later."""
        columns = self._unread.shape[1]
        now = min(columns, max(READ_AT_ONCE // len(self.rows), 1))
        return now, columns - now

    def _choose(self, logits: Tensor) -> Tensor:
        """Choose a token for each row, int64 (n,), from the logits (n, v)."""
        tokens = torch.empty_like(self._seeds)
        steps = torch.tensor([row.tokens for row in self.rows], device=tokens.device)
        for sampling, places in self._samplings.items():
            at = torch.tensor(places, device=tokens.device)
            tokens[at] = choose(logits[at], self._seeds[at], steps[at], sampling)
        return tokens

    def _prepare(self) -> None:
        """Compute what depends on which rows there are."""
        requests = [row.request for row in self.rows]
        self._seeds = torch.tensor([r.seed for r in requests], device=self._unread.device)
        self._maps = stack_rows([request.maps for request in requests])
        self._samplings: dict[Sampling, list[int]] = {}
        for place, request in enumerate(requests):
            alike = replace(request.sampling, max_new_tokens=1)  # of any length
            self._samplings.setdefault(alike, []).append(place)
