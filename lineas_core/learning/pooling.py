"""From activations to samples of each coordinate (LinEAS, section 3.1; the paper leaves it open).

n prompts, t tokens, d coordinates, h w space. A language model's activation is (n, t, d); an
image network's is (n, h*w, d) after a LayerNorm and (n, d, h, w) after a GroupNorm.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lineas_core.errors import UserError

__all__ = ["POOLINGS", "pool"]


POOLINGS = ("mean", "max", "last", "all")


def pool(
    activation: Tensor, axis: int, *, weight: Tensor | None = None, how: str = "mean"
) -> Tensor:
    """Samples of every coordinate, in float32: sums over many positions need the precision.

    Args:
        activation: (n, t, d) or (n, d) with axis -1, or (n, d, h, w) with axis 1.
        axis: where the coordinates run, see `coordinate_axis`.
        weight: (n, t), 1 for a token that counts and 0 for padding and special tokens; None
            means that every position counts.
        how: `mean` over the positions of a prompt; `max`imum over them, which sees what stands
            in a few of them alone, such as an object in a picture; `last` position that counts;
            `all` positions as samples of their own.

    Returns:
        (n, d), or (number of positions that count, d) for `all`.

    Raises:
        UserError: an unknown way of pooling, or positions that the weight does not tell.
    """
    rows = activation.float()
    if axis == 1:
        rows = rows.flatten(2).transpose(1, 2)  # a view: nothing is copied
    rows = rows.reshape(len(rows), -1, rows.shape[-1])
    if how not in POOLINGS:
        raise UserError(
            "E_POOLING", f"pooling is {how!r}", remedy=f"Choose one of {', '.join(POOLINGS)}."
        )
    if weight is not None and weight.shape != rows.shape[:2]:
        raise UserError(
            "E_MODULES",
            f"an activation of shape {tuple(activation.shape)} has not one row for each of the "
            f"{weight.shape[1]} tokens",
            remedy="Steer modules that have, such as the norms around attention and MLP.",
        )
    if how == "max":
        if weight is not None:
            rows = rows.masked_fill(weight.unsqueeze(2) == 0, -torch.inf)
        return rows.max(dim=1).values  # the way back is a tenth of what it is from amax
    weight = rows.new_ones(rows.shape[:2]) if weight is None else weight.to(rows)
    if how == "all":
        return rows[weight > 0]
    if how == "last":
        weight = weight * (weight.flip(1).cumsum(1).flip(1) == 1)
    with torch.autocast(rows.device.type, enabled=False):  # it would multiply in bfloat16
        total = (weight.unsqueeze(1) @ rows).squeeze(1)
    return total / weight.sum(dim=1, keepdim=True)
