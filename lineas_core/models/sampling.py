"""Token sampling with noise that depends on seed, step and token only.

Rows with the same seed therefore differ by the steering alone.

n rows, t tokens, v words of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.models.continuation import Continuation, is_padded_harmlessly

if TYPE_CHECKING:  # its classes take seconds to import
    from transformers.modeling_utils import PreTrainedModel
    from transformers.tokenization_utils_base import PreTrainedTokenizerBase

__all__ = ["MOST_TOKENS", "Sampling", "choose", "end_tokens", "sample_tokens"]

MOST_TOKENS = 1_000_000
"""Upper bound of `Sampling.max_new_tokens`; the context of a model is a lower one."""


@dataclass(frozen=True)
class Sampling:
    """Settings of text generation.

    Attributes:
        max_new_tokens: maximum number of generated tokens, 1 to 1,000,000.
        temperature: divisor of the logits, 0 to 10; 0 always takes the most likely token.
        top_k: number of most likely tokens to sample from, 1 to 100,000.
        top_p: probability, 0 to 1, that the tokens to sample from reach together; of the `top_k`
            tokens only the most likely ones up to there are kept (nucleus sampling).
    """

    max_new_tokens: int = 40
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 1.0

    def __post_init__(self) -> None:
        """Validate the settings.

        Raises:
            UserError: a value is of another type, or out of its range.
        """
        for name, value, low, high, kind in (
            ("max_new_tokens", self.max_new_tokens, 1, MOST_TOKENS, int),
            ("temperature", self.temperature, 0, 10, int | float),
            ("top_k", self.top_k, 1, 100_000, int),
            ("top_p", self.top_p, 0, 1, int | float),
        ):
            if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
                noun = "a whole number" if kind is int else "a number"
                raise UserError(
                    "E_SAMPLING",
                    f"{name} is {value!r}",
                    remedy=f"Give {noun} from {low} to {high}.",
                )


def sample_tokens(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tokens: Mapping[str, Tensor],
    seeds: Sequence[int],
    sampling: Sampling,
) -> Iterator[Tensor]:
    """Continue every row, one token per step, until all rows have ended.

    Where padding would change what a network computes, every length has a batch of its own.

    Args:
        network: a causal language model.
        tokenizer: its tokenizer, which defines end and padding tokens.
        tokens: `input_ids` and `attention_mask`, (n, t) each, padded on the left.
        seeds: n integers.
        sampling: temperature, top k, top p and maximum length.

    Yields:
        After step s the new tokens so far, (n, s); rows that have ended are padded.
    """
    padding = (tokens["attention_mask"] == 0).sum(dim=1)
    if is_padded_harmlessly(network) or (padding == padding[0]).all():
        yield from _sample_together(network, tokenizer, tokens, seeds, sampling)
        return
    # All rows stay in each batch, as strengths go by row; those of other lengths are ignored.
    lengths = padding.unique().tolist()
    streams = [
        _sample_together(network, tokenizer, _unpadded(tokens, skipped), seeds, sampling)
        for skipped in lengths
    ]
    new = tokens["input_ids"][:, :0]
    for steps in zip_longest(*streams):
        new = F.pad(new, (0, 1), value=int(tokenizer.pad_token_id))
        for skipped, ids in zip(lengths, steps, strict=True):
            if ids is not None:
                new[padding == skipped] = ids[padding == skipped]
        yield new


def _unpadded(tokens: Mapping[str, Tensor], skipped: int) -> dict[str, Tensor]:
    """Leave out the first columns, as if no row had any padding."""
    ids = tokens["input_ids"][:, skipped:]
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@torch.no_grad()
def _sample_together(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tokens: Mapping[str, Tensor],
    seeds: Sequence[int],
    sampling: Sampling,
) -> Iterator[Tensor]:
    """Continue rows in one batch; arguments and result as in `sample_tokens`."""
    ids, mask = tokens["input_ids"], tokens["attention_mask"]
    seed = torch.tensor(seeds, dtype=torch.int64, device=ids.device)
    ends = torch.tensor(end_tokens(network, tokenizer), device=ids.device)
    done = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    continuation, new = Continuation(network), ids[:, :0]
    for step in range(sampling.max_new_tokens):
        choice = choose(continuation.read(ids, mask), seed, step, sampling)
        choice = choice.masked_fill(done, tokenizer.pad_token_id)
        done |= torch.isin(choice, ends)
        new = torch.cat([new, choice[:, None]], dim=1)
        yield new
        if done.all():
            return
        ids = choice[:, None]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)


def choose(logits: Tensor, seed: Tensor, step: int | Tensor, sampling: Sampling) -> Tensor:
    """Sample the next token of every row by the Gumbel-max trick.

    The most likely token after adding Gumbel noise is a sample of the softmax. The noise is a
    hash of (seed, step, token) and not a random stream, so two rows with the same seed add the
    same noise to the same token, on every device and whatever they have generated before.

    Args:
        logits: (n, v).
        seed: int64 (n,).
        step: number of tokens generated before this one; or int64 (n,), one number per row.
        sampling: temperature, top k and top p.

    Returns:
        Token ids, int64 (n,).
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    value, token = logits.topk(min(sampling.top_k, logits.shape[-1]), dim=-1)
    value = _nucleus(value.double() / sampling.temperature, sampling.top_p)
    before = step[:, None] if isinstance(step, Tensor) else step
    bits = _mix(_mix(_mix(seed)[:, None] + before) + token) >> 11 & ((1 << 52) - 1)
    uniform = (bits.double() + 0.5) / (1 << 52)  # never 0 or 1, so the logarithms are finite
    gumbel = -(-uniform.log()).log()
    best = (value + gumbel).argmax(dim=-1, keepdim=True)
    return token.gather(1, best).squeeze(1)


def end_tokens(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens that end a text."""
    ends = network.generation_config.eos_token_id if network.generation_config else None
    ends = ends if isinstance(ends, list) else [ends]
    return [end for end in {*ends, tokenizer.eos_token_id} if end is not None]


def _nucleus(value: Tensor, top_p: float) -> Tensor:
    """Set the logits, in descending order, beyond the first tokens that reach `top_p` to -inf."""
    if top_p == 1:
        return value
    probability = value.softmax(dim=-1)
    before = probability.cumsum(dim=-1) - probability
    before[:, 0] = -1  # the most likely token always stays
    return value.masked_fill(before >= top_p, -torch.inf)


def _mix(x: Tensor) -> Tensor:
    """Hash int64 values by the finaliser of splitmix64, which relies on integer overflow."""
    x = x + -7046029254386353131
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        x = (x ^ (x >> shift & ((1 << (64 - shift)) - 1))) * factor
    return x ^ (x >> 31 & ((1 << 33) - 1))
