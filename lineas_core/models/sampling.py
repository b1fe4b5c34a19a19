"""How the next token is drawn, so that rows with one seed share their luck.

n rows, v words of the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lineas_core.errors import UserError

__all__ = ["Sampling", "choose"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
        max_new_tokens: at most this many tokens are added, 1 or more.
        temperature: logits are divided by it; 0 takes the likeliest token.
        top_k: only this many likeliest tokens are considered, 1 or more.
    """

    max_new_tokens: int = 40
    temperature: float = 1.0
    top_k: int = 50

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        for name, value, low, high, kind in (
            ("max_new_tokens", self.max_new_tokens, 1, 4096, int),
            ("temperature", self.temperature, 0, 10, int | float),
            ("top_k", self.top_k, 1, 100_000, int),
        ):
            if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
                noun = "a whole number" if kind is int else "a number"
                raise UserError(
                    "E_SAMPLING",
                    f"{name} is {value!r}",
                    remedy=f"Give {noun} from {low} to {high}.",
                )


def choose(logits: Tensor, seed: Tensor, step: int, sampling: Sampling) -> Tensor:
    """Next token of every row, (n,), from logits (n, v).

    Gumbel-max: the likeliest token after adding Gumbel noise is a sample of the softmax. The
    noise is a hash of (seed, step, token), not a stream, so two rows with one seed that consider
    the same token give it the same luck, whatever else happened to them, on every device.
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    value, token = logits.topk(min(sampling.top_k, logits.shape[-1]), dim=-1)
    bits = _mix(_mix(_mix(seed)[:, None] + step) + token) >> 11 & ((1 << 52) - 1)
    uniform = (bits.double() + 0.5) / (1 << 52)
    gumbel = -(-uniform.log()).log()
    best = (value.double() / sampling.temperature + gumbel).argmax(dim=-1, keepdim=True)
    return token.gather(1, best).squeeze(1)


def _mix(x: Tensor) -> Tensor:
    """The finaliser of splitmix64 on int64, which wraps around as needed."""
    x = x + -7046029254386353131
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        x = (x ^ (x >> shift & ((1 << (64 - shift)) - 1))) * factor
    return x ^ (x >> 31 & ((1 << 33) - 1))
