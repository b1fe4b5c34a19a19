"""Reading texts token by token, with what a network remembers, as far as that is proved right.

Most networks keep keys and values of attention, some a state of their own, some nothing; a few
are disturbed by padding, or do not read from left to right. None of this can be told from a class,
so a network is tried once on a few tokens.

n rows, t tokens, v words of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
import transformers  # not `from`: its classes take seconds to import, so each loads on first use
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lineas_core.errors import UserError, first_line

if TYPE_CHECKING:  # its classes take seconds to import
    from transformers.modeling_utils import PreTrainedModel

__all__ = [
    "Continuation",
    "aligned",
    "examine",
    "is_continued_by_attention",
    "is_padded_harmlessly",
    "last_positions",
]

_State = dict[str, Any]
_WORDS = range(7, 17)  # tokens of the probe; every vocabulary has them
_PADDING = 3
_FAILURES = (RuntimeError, ValueError, TypeError, LookupError, AttributeError)


@dataclass(frozen=True)
class _Conduct:
    """What a network does right.

    Attributes:
        start: makes its state before the first token; None if it has to read all tokens again.
        padded: whether padding before a text leaves what follows as it is.
    """

    start: Callable[[], _State] | None
    padded: bool


_CONDUCT: WeakKeyDictionary[PreTrainedModel, _Conduct] = WeakKeyDictionary()


class Continuation:
    """The rows of a batch as far as they have been read."""

    def __init__(self, network: PreTrainedModel) -> None:
        """Start without any tokens."""
        self._reader = _Reader(network, _conduct(network).start)

    def read(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Process the next tokens of every row.

        Args:
            ids: int64 (n, q).
            mask: (n, t), 0 for the padding before a text, over all tokens so far.

        Returns:
            The logits after the last of them, (n, v).
        """
        return self._reader.read(ids, mask)


def is_padded_harmlessly(network: PreTrainedModel) -> bool:
    """Return whether a text may be padded on its left, beside longer ones in a batch."""
    return _conduct(network).padded


def is_continued_by_attention(network: PreTrainedModel) -> bool:
    """Return whether keys and values of attention are all that a text is continued from.

    A text may then stand beside longer ones, padded on its left.
    """
    conduct = _conduct(network)
    state = conduct.start() if conduct.start else {}
    return conduct.padded and isinstance(state.get("past_key_values"), transformers.DynamicCache)


@torch.no_grad()
def examine(network: PreTrainedModel, name: str) -> None:
    """Try a network on a few tokens, before it is hooked.

    Args:
        network: a network with an output for each word.
        name: name of the model, for the error.

    Raises:
        UserError: it reads later words before it writes earlier ones, as BERT does, does not
            run on a text alone, or computes no numbers.
    """
    ids = _probe(network)
    text = ids[:, _PADDING:]
    other = torch.cat([text[:, :-1], text[:, :1]], dim=1)
    try:
        logits = network(torch.cat([text, other]), use_cache=False).logits
    except _FAILURES as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise _no_writer(
            network, name, f"does not read a text alone ({first_line(error)})"
        ) from error
    if logits.isnan().any():
        dtype = str(network.dtype).removeprefix("torch.")
        what = f"{name} computes no numbers (NaN) in {dtype}: its weights are damaged or too large"
        raise UserError("E_MODEL", what, remedy="Download it again, or choose another model.")
    if not _agree(*logits[:, :-1]):
        raise _no_writer(
            network, name, "reads a text in both directions, so it cannot continue one"
        )
    _CONDUCT[network] = _tried(network, ids, logits[:1, -1])


def _no_writer(network: PreTrainedModel, name: str, what: str) -> UserError:
    what = f"{name} is a {type(network).__name__}, which {what}"
    return UserError("E_MODEL", what, remedy="Choose a model that writes texts.")


def aligned(texts: Sequence[Tensor], padding: int, device: torch.device) -> dict[str, Tensor]:
    """Return n texts, int64 (t,) each, as `input_ids` and `attention_mask`, (n, t).

    They are padded on the left with this token.
    """
    masks = [torch.ones_like(text) for text in texts]
    pad = partial(pad_sequence, batch_first=True, padding_side="left")
    ids, mask = pad([*texts], padding_value=padding), pad(masks)
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}


def last_positions(count: int, ids: Tensor, network: PreTrainedModel) -> Tensor | int:
    """Return the indices -count to -1 on the device of `ids`, for `logits_to_keep`.

    With a plain number transformers takes a slice. It is not contiguous, so torch multiplies it
    row by row, which in bfloat16 on a CPU copies the whole output layer for each row. A network
    spread over several devices gets the number, because its output layer is on another device.
    """
    if len({*getattr(network, "hf_device_map", {}).values()}) > 1:
        return count
    return torch.arange(-count, 0, device=ids.device)


class _Reader:
    """See `Continuation`; `start` as in `_Conduct`."""

    def __init__(self, network: PreTrainedModel, start: Callable[[], _State] | None) -> None:
        self._network = network
        self._state = start() if start else None
        self._ids: Tensor | None = None  # all tokens, if the network remembers none

    def read(self, ids: Tensor, mask: Tensor) -> Tensor:
        if self._state is None:
            ids = self._ids = ids if self._ids is None else torch.cat([self._ids, ids], dim=1)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        # A state knows nothing of the columns before it, keys and values do.
        keeps_columns = self._state is None or "past_key_values" in self._state
        output = self._network(
            ids,
            attention_mask=mask if keeps_columns else mask[:, -ids.shape[1] :],
            position_ids=positions,
            logits_to_keep=last_positions(1, ids, self._network),
            **({"use_cache": False} if self._state is None else self._state),
        )
        for name in self._state or ():
            self._state[name] = output.get(name, self._state[name])  # type: ignore[index]
        return output.logits[:, -1]


def _conduct(network: PreTrainedModel) -> _Conduct:
    if network not in _CONDUCT:
        examine(network, network.config.model_type)
    return _CONDUCT[network]


def _tried(network: PreTrainedModel, ids: Tensor, expected: Tensor) -> _Conduct:
    """Read a text in two steps, padded beside a longer one, or beside one of its length.

    Args:
        network: the network.
        ids: (1, t), of which all but the first few are the text.
        expected: the logits after the text, read alone and at once, (1, v).
    """
    rows = torch.cat([ids.flip(1), ids])
    mask = torch.ones_like(rows)
    mask[1, :_PADDING] = 0
    starts = [*_starts(network), None]
    for start in starts:
        if _reads(network, start, rows, mask, expected):
            return _Conduct(start, padded=True)
    for start in starts:
        if _reads(network, start, rows[:, _PADDING:], mask[:, _PADDING:], expected):
            return _Conduct(start, padded=False)
    return _Conduct(None, padded=False)


def _starts(network: PreTrainedModel) -> Iterator[Callable[[], _State]]:
    """Yield the ways to begin with what networks remember."""
    named = signature(network.forward).parameters
    if "past_key_values" in named:
        yield lambda: {"past_key_values": transformers.DynamicCache(config=network.config)}
    for name in ("past_key_values", "cache_params", "state"):
        if name in named:
            yield partial(dict, {name: None, "use_cache": True})


def _reads(
    network: PreTrainedModel,
    start: Callable[[], _State] | None,
    ids: Tensor,
    mask: Tensor,
    expected: Tensor,
) -> bool:
    """Return whether the last row, read up to its last token and then that, is as expected."""
    reader = _Reader(network, start)
    try:
        reader.read(ids[:, :-1], mask[:, :-1])
        return _agree(reader.read(ids[:, -1:], mask)[-1:], expected)
    except _FAILURES as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        return False


def _probe(network: PreTrainedModel) -> Tensor:
    return torch.tensor([_WORDS], device=network.device)


def _agree(first: Tensor, second: Tensor) -> bool:
    """Return whether logits differ by no more than rounding, added up over many layers."""
    limit = torch.finfo(first.dtype).eps ** 0.5 * second.float().std()
    return bool((first - second).abs().max() <= limit)
