"""A batch of texts that are continued together, in which rows join and leave between two tokens.

The rows are aligned on the right and padded on the left, so that the masks of transformers, which
count columns, hold for causal attention and for sliding windows.

n rows, t columns, q new tokens, v words of the vocabulary, h heads, d coordinates of a head.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from lineas_core.errors import UserError
from lineas_core.models.continuation import is_continued_by_attention, last_positions

if TYPE_CHECKING:  # its classes take seconds to import
    from transformers.modeling_utils import PreTrainedModel

__all__ = [
    "DecodingBatch",
    "check_decodable",
    "check_tokens",
    "context_length",
    "is_decodable",
    "position_limit",
]

_ROOM = 64  # columns that are allocated ahead, so that a token does not copy the whole cache
_ATTENTION = {"full_attention", "sliding_attention"}


class DecodingBatch:
    """The keys and values of the rows, and where each row begins."""

    def __init__(self, network: PreTrainedModel, padding: Sequence[int]) -> None:
        """Start without any tokens.

        Args:
            network: a causal language model that passes `check_decodable`.
            padding: for each of the n rows, the number of padding tokens it begins with.
        """
        self._network = network
        self._padding = torch.tensor(padding, device=network.device)
        self._cache = Cache(layer_class_to_replicate=_Layer)

    @property
    def columns(self) -> int:
        """Number of columns t: the tokens of the longest row."""
        return self._cache.get_seq_length()

    @torch.no_grad()
    def read(self, ids: Tensor) -> Tensor:
        """Process the next tokens of every row.

        Args:
            ids: int64 (n, q).

        Returns:
            The logits after the last of them, (n, v).
        """
        columns = torch.arange(self.columns + ids.shape[1], device=ids.device)
        positions = columns[-ids.shape[1] :] - self._padding[:, None]
        output = self._network(
            ids,
            attention_mask=(columns >= self._padding[:, None]).long(),
            position_ids=positions.clamp(min=0),
            past_key_values=self._cache,
            logits_to_keep=last_positions(1, ids, self._network),
        )
        return output.logits[:, -1]

    def join(self, other: DecodingBatch) -> None:
        """Append the rows of another batch of the same network, which is used up by this."""
        columns = max(self.columns, other.columns)
        shifted = [batch._padding + columns - batch.columns for batch in (self, other)]
        self._padding = torch.cat(shifted)
        for layer, theirs in zip(self._layers, other._layers, strict=True):
            layer.join(theirs, columns)

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows, one or more, and drop the columns that only others need."""
        index = torch.tensor(rows, device=self._padding.device)
        self._padding = self._padding[index]
        unused = int(self._padding.min())
        self._padding = self._padding - unused
        for layer in self._layers:
            layer.keep(index, unused)

    @property
    def _layers(self) -> list[Any]:
        return self._cache.layers


def is_decodable(network: PreTrainedModel) -> bool:
    """Return whether rows of a causal language model can join and leave a batch."""
    kinds = {*(getattr(network.config.get_text_config(), "layer_types", None) or ())}
    stateful = getattr(network, "_is_stateful", False) or kinds - _ATTENTION
    return not stateful and is_continued_by_attention(network)


def check_decodable(network: PreTrainedModel, name: str) -> None:
    """Check that rows of a model can join and leave.

    Args:
        network: a causal language model.
        name: name of the model, for the error.

    Raises:
        UserError: it keeps something else than keys and values of attention, or padding before
            a text changes what follows.
    """
    if not is_decodable(network):
        raise UserError(
            "E_MODEL",
            f"texts of {name} cannot be continued in one batch, because some of its layers are "
            "not attention that ignores padding",
            remedy="Choose a model such as smollm2-135m, or use `lineas generate`.",
        )


def context_length(network: PreTrainedModel) -> int:
    """Return how many tokens a prompt and its continuation may have together.

    These are 2,048 if the configuration does not say it.
    """
    config: Any = network.config.get_text_config()
    return int(getattr(config, "max_position_embeddings", None) or 2048)


def position_limit(config: Any) -> int:
    """Return how many tokens a network has positions for, a huge number if it computes them.

    Args:
        config: configuration of the network, as transformers has it.
    """
    texts = config.get_text_config()
    known = not getattr(texts, "rope_parameters", None)  # rotations can go on
    return int((known and getattr(texts, "max_position_embeddings", None)) or sys.maxsize)


def check_tokens(network: PreTrainedModel, name: str, ids: Any, new: int = 0) -> None:
    """Check that a network can read texts: it has positions for them, and embeddings.

    Args:
        network: a causal language model.
        name: name of the model, for the error.
        ids: (t,) or (n, t), the token ids; a tensor or a list.
        new: tokens that will follow.

    Raises:
        UserError: there are too many, or one is only known to the tokenizer.
    """
    ids = torch.as_tensor(ids, dtype=torch.long)
    if (tokens := ids.shape[-1]) + new > (limit := position_limit(network.config)):
        count = f"{tokens} tokens of text{f' and {new} new ones' if new else ''}"
        raise UserError(
            "E_LENGTH",
            f"{count} exceed the {limit} positions of {name}",
            remedy="Shorten the text, or ask for fewer tokens.",
        )
    words = network.config.get_text_config().vocab_size
    if (largest := int(ids.max()) if ids.numel() else 0) >= words:
        what = f"the text has the token {largest}, and {name} has embeddings for {words} tokens"
        remedy = "Leave out words that are control tokens, or choose a tokenizer that fits."
        raise UserError("E_PROMPT", what, remedy=remedy)


class _Layer(DynamicLayer):
    """Keys and values of one layer, (n, h, room, d), of which the first columns are used."""

    keys: Any  # Tensor once it is initialized
    values: Any

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.length = 0

    def update(
        self,
        key_states: Tensor,
        value_states: Tensor,
        *_: Any,
        **__: Any,
    ) -> tuple[Tensor, Tensor]:
        """Append q columns, and return all of them, (n, h, t, d) each."""
        start, self.length = self.length, self.length + key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[..., :0, :], value_states[..., :0, :]
        if self.length > self.keys.shape[-2]:
            self.keys, self.values = (self._widened(part, start) for part in self._parts)
        self.keys[..., start : self.length, :] = key_states
        self.values[..., start : self.length, :] = value_states
        return self.keys[..., : self.length, :], self.values[..., : self.length, :]

    def get_seq_length(self) -> int:
        """Return the number of columns that are used."""
        return self.length

    def join(self, other: _Layer, columns: int) -> None:
        """Append the rows of another layer, both padded to the same number of columns.

        Masked columns are multiplied by zero, so that padding must be finite.
        """
        mine, theirs = (
            [F.pad(part[..., : each.length, :], (0, 0, columns - each.length, 0)) for part in pair]
            for each, pair in ((self, self._parts), (other, other._parts))
        )
        self.keys, self.values = map(torch.cat, zip(mine, theirs, strict=True))
        self.length = columns

    def keep(self, rows: Tensor, unused: int) -> None:
        """Keep some rows, without their first columns."""
        rows = rows.to(self.keys.device)  # layers may be on several
        self.keys, self.values = (part[..., unused : self.length, :][rows] for part in self._parts)
        self.length -= unused

    @property
    def _parts(self) -> tuple[Tensor, Tensor]:
        return self.keys, self.values

    def _widened(self, old: Tensor, used: int) -> Tensor:
        new = old.new_empty(*old.shape[:-2], self.length + _ROOM, old.shape[-1])
        new[..., :used, :] = old[..., :used, :]
        return new
