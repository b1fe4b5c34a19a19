"""How far coordinates vary: the units of the loss and of the learnt parameters."""

from __future__ import annotations

import torch
from torch import Tensor

from lineas_core.learning.pooling import pool

__all__ = ["floored", "moments"]


def floored(spread: Tensor) -> Tensor:
    """Raise the spread of coordinates that hardly vary, which would get a huge weight.

    Args:
        spread: standard deviation of each coordinate of a module, (d,).

    Returns:
        (d,), at least a tenth of the median over the coordinates that vary; 1 everywhere in a
        module in which none does.
    """
    varying = spread[spread > 0]
    if not len(varying):
        return torch.ones_like(spread)
    return spread.clamp(min=0.1 * varying.median())


def moments(activation: Tensor, axis: int, *, weight: Tensor | None = None) -> Tensor:
    """Mean and mean square of an activation over its positions.

    Args:
        activation: as in `lineas_core.learning.pooling.pool`, and so are the others.
        axis: axis of the coordinates.
        weight: 1 for a position that counts; None means that all do.

    Returns:
        (n, 2, d), float32.
    """
    squares = activation.float().square()
    both = [pool(values, axis, weight=weight) for values in (activation, squares)]
    return torch.stack(both, dim=1)
