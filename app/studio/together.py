"""Texts of several requests that are continued in one batch, as each would be alone.

There is no thread behind it: whoever has a turn at the model generates the next token of all texts
in the batch, and who finds a new token when the turn comes has nothing to compute. Texts that do
not fit into the batch are continued in turns of their own until there is room.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from lineas_core import SteeringMaps, compose, steer
from lineas_core.models import LanguageModel, Sampling
from lineas_core.models.chat import Prompt
from lineas_core.models.decoding import check_tokens, is_decodable
from lineas_core.runtime.memory import out_of_memory_as_user_error, release_memory
from lineas_core.serving.engine import Limits
from lineas_core.serving.group import Group, Piece, Request, Row

__all__ = ["Asked", "Together"]

_LIMITS = Limits()


@dataclass(frozen=True)
class Asked:
    """What a request continues.

    Attributes:
        prompts: n texts to continue, or conversations to answer.
        maps: the maps that steer.
        strengths: λ of each of the n texts.
        seeds: n integers.
        sampling: length and temperature.
        chat: as in `LanguageModel.stream`.
    """

    prompts: Sequence[Prompt]
    maps: SteeringMaps
    strengths: Sequence[float]
    seeds: Sequence[int]
    sampling: Sampling = Sampling()
    chat: bool = False


class Together:
    """The texts of all requests, in one batch for each language model whose rows can share one."""

    def __init__(self, turn: Callable[[], AbstractContextManager]) -> None:
        """Start without texts.

        Args:
            turn: gives exclusive access to the models for the duration of a `with` block.
        """
        self._turn = turn
        self._batches: WeakKeyDictionary[LanguageModel, _Batch] = WeakKeyDictionary()

    def write(self, model: LanguageModel, asked: Asked) -> Generator[list[str], None, None]:
        """Continue prompts; others may use any model after every turn.

        Yields:
            The n texts so far, whenever the request has had a turn. Others may have generated
            several tokens of them meanwhile, or a long prompt may still be read.

        Raises:
            UserError: as in `LanguageModel.stream`, or there is not enough memory.
        """
        with self._turn():  # a network that is not known yet is tried, and must not be steered
            shares = is_decodable(model.network)
        if not shares:
            yield from self._alone(model, asked)
            return
        pieces: list[tuple[int, Piece]] = []
        with self._turn():
            batch = self._batches.setdefault(model, _Batch())
            rows = _rows(model, asked, lambda place, piece: pieces.append((place, piece)))
            own: Group | None = Group(model, rows)
        texts, done, shown = [""] * len(rows), False, 0
        try:
            while not done:
                with self._turn():
                    if len(pieces) == shown:
                        own = batch.step(own)
                    new, shown = pieces[shown:], len(pieces)
                    done = all(row.finished for row in rows)
                for place, piece in new:
                    if piece.error:
                        raise piece.error
                    texts[place] += piece.text
                yield [*texts]
        finally:
            # They leave before the next token, or with `tidy`. No turn is waited for here: the
            # garbage collector may close a generator in the thread that has one.
            for row in rows:
                row.cancelled.set()

    def tidy(self) -> None:
        """Drop the texts that nobody waits for; the caller must have a turn."""
        for batch in [*self._batches.values()]:
            batch.tidy()

    def _alone(self, model: LanguageModel, asked: Asked) -> Generator[list[str], None, None]:
        stream = model.stream(
            asked.prompts, seeds=asked.seeds, sampling=asked.sampling, chat=asked.chat
        )
        with closing(stream):  # type: ignore[type-var]
            while True:
                with self._turn(), steer(model.network, asked.maps, asked.strengths):
                    texts = next(stream, None)
                if texts is None:
                    return
                yield texts


class _Batch:
    """The texts of one model that share a batch."""

    def __init__(self) -> None:
        self._shared: Group | None = None

    def step(self, own: Group | None) -> Group | None:
        """Generate a token in the batch, or in a group that is not in it.

        Returns:
            The group as long as it is not in the batch.
        """
        self.tidy()
        if own and not own.reading and self._has_room(own):
            if self._shared:
                self._act(partial(Group.join, other=own), own.rows)
            else:
                self._shared = own
            own = None
        if own:
            own.step()
        else:
            self._act(Group.step)
        return own

    def tidy(self) -> None:
        """Drop the texts that nobody waits for."""
        self._act(lambda shared: shared.drop(lambda row: row.cancelled.is_set()))

    def _has_room(self, own: Group) -> bool:
        return _LIMITS.allow([*(self._shared.rows if self._shared else ()), *own.rows])

    def _act(self, act: Callable[[Group], object], joining: Sequence[Row] = ()) -> None:
        """Act on the batch, if there is one; if that fails, all of its texts have failed."""
        if not (shared := self._shared):
            return
        rows = [*shared.rows, *joining]
        try:
            with out_of_memory_as_user_error():
                act(shared)
        except Exception as error:  # noqa: BLE001 - each request tells its own user
            self._shared = None
            for row in rows:
                if not (row.finished or row.cancelled.is_set()):
                    row.fail(copy(error))  # its traceback keeps the batch in memory
            release_memory()
        else:
            self._shared = shared if shared.rows else None


def _rows(model: LanguageModel, asked: Asked, take: Callable[[int, Piece], None]) -> list[Row]:
    tokens, new = model.tokens(asked.prompts, chat=asked.chat), asked.sampling.max_new_tokens
    for ids in tokens:
        check_tokens(model.network, model.name, ids, new)
    steering = _at(asked.maps.to(model.network.device), asked.strengths)
    decode = partial(_decoded, model.tokenizer)  # rows must not keep the weights in memory
    rows = zip(tokens, steering, asked.seeds, strict=True)
    return [
        Row(Request(ids, maps, asked.sampling, seed), decode, partial(take, place))
        for place, (ids, maps, seed) in enumerate(rows)
    ]


def _at(maps: SteeringMaps, strengths: Sequence[float]) -> list[SteeringMaps]:
    """Return the maps at each strength, none at 0."""
    steered = {each: compose([maps], [each]) for each in {*strengths} if each}
    return [steered.get(each, SteeringMaps({})) for each in strengths]


def _decoded(tokenizer: Any, tokens: Sequence[int]) -> str:
    return str(tokenizer.decode([*tokens], skip_special_tokens=True))
