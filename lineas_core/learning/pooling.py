"""Pooling: from the activations of prompts to samples of each coordinate (LinEAS, section 3.1).

n prompts, t tokens, d coordinates, h w space. The activation of a language model is (n, t, d).
The activation of an image network is (n, h*w, d) after a LayerNorm and (n, d, h, w) after a
GroupNorm.

The paper does not specify how activations are pooled.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lineas_core.errors import UserError

__all__ = ["POOLINGS", "pool", "weighted"]


POOLINGS = ("mean", "max", "last", "all")


def pool(
    activation: Tensor, axis: int, *, weight: Tensor | None = None, how: str = "mean"
) -> Tensor:
    """Pool an activation over its positions, in float32 because sums over positions need it.

    Args:
        activation: (n, t, d) or (n, d) with axis -1, or (n, d, h, w) with axis 1; any dtype.
        axis: axis of the coordinates, 1 or -1, see `lineas_core.steering.hooks.coordinate_axis`.
        weight: (n, t), 1 for a token that counts and 0 for padding and special tokens; None
            means that every position counts.
        how: `mean` over the positions of a prompt; `max`imum over them, which responds to what
            fills only a few of them, such as an object in a picture; `last` position that
            counts; `all` positions as samples of their own.

    Returns:
        (n, d), float32; for `all`, (number of positions that count, d).

    Raises:
        UserError: `how` is unknown, or the activation does not have the positions of `weight`.
    """
    rows = activation.float()
    if axis == 1:
        rows = rows.flatten(2).transpose(1, 2)  # (n, h*w, d), a view: nothing is copied
    rows = rows.reshape(len(rows), -1, rows.shape[-1])
    _check(how, rows, weight, tuple(activation.shape))
    if how == "max":
        if weight is not None:
            rows = rows.masked_fill(weight.unsqueeze(2).to(rows.device) == 0, -torch.inf)
        return rows.max(dim=1).values  # its backward pass is ten times as fast as that of amax
    weight = rows.new_ones(rows.shape[:2]) if weight is None else weight.to(rows)
    if how == "all":
        return rows[weight > 0]
    if how == "last":
        weight = weight * (weight.flip(1).cumsum(1).flip(1) == 1)
    with torch.autocast(rows.device.type, enabled=False):  # autocast would multiply in bfloat16
        total = (weight.unsqueeze(1) @ rows).squeeze(1)
    return total / weight.sum(dim=1, keepdim=True)


def weighted(
    work: Callable[..., Tensor], weight_at: Callable[[int], Tensor | None]
) -> Callable[[Tensor, int], Tensor]:
    """Return `pool`, or a function like it, with the weight of the positions it is given.

    Args:
        work: takes an activation, the axis of its coordinates, and `weight`.
        weight_at: number of positions of an activation -> their weight, as in `pool`.
    """
    return lambda z, axis: work(z, axis, weight=weight_at(z[0].numel() // z.shape[axis]))


def _check(how: str, rows: Tensor, weight: Tensor | None, shape: tuple[int, ...]) -> None:
    if how not in POOLINGS:
        raise UserError(
            "E_POOLING", f"pooling is {how!r}", remedy=f"Choose one of {', '.join(POOLINGS)}."
        )
    if weight is not None and weight.shape != rows.shape[:2]:
        raise UserError(
            "E_MODULES",
            f"an activation of shape {shape} does not have one row for each of the "
            f"{weight.shape[1]} tokens",
            remedy="Steer modules that have, such as the norms around attention and MLP.",
        )
