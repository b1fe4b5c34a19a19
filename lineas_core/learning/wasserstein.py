"""The distributional loss: squared 1-D Wasserstein-2 distances (LinEAS, Eq. 3.3 and 3.4).

x        samples of the source, (n, d)
y        samples of the target, (m, d)
Columns are coordinates; every column is a one-dimensional transport problem of its own, solved
by sorting.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lineas_core.errors import UserError

__all__ = ["matching", "wasserstein_1d"]


def wasserstein_1d(x: Tensor, y: Tensor) -> Tensor:
    """Squared Wasserstein-2 distance between the columns of x and y.

    For n = m the sorted columns are matched one to one: mean squared difference (LinEAS,
    Eq. 3.4). For n ≠ m the two quantile functions are matched exactly on the union of their
    steps, ∫₀¹ (F⁻¹(q) - G⁻¹(q))² dq; nothing is truncated or interpolated.

    Args:
        x: (n, d), may require a gradient.
        y: (m, d), treated as constant.

    Returns:
        (d,) squared distances in squared units of the activations.

    Raises:
        UserError: these are no such samples, or none.
    """
    samples = all(each.is_floating_point() and each.dim() == 2 and len(each) for each in (x, y))
    if not samples or x.shape[1] != y.shape[1]:
        what = " and ".join(f"{each.dtype} {tuple(each.shape)}" for each in (x, y))
        remedy = "Give floating-point samples (n, d) and (m, d), with n and m above 0."
        raise UserError("E_SHAPE", f"the samples are {what}", remedy=remedy)
    return _Wasserstein1d.apply(x, y.sort(dim=0).values)


def matching(n: int, m: int) -> tuple[Tensor, Tensor, Tensor]:
    """The optimal transport plan between n and m sorted samples in one dimension.

    For n = m every rank is matched to itself with mass 1/n; otherwise a rank is matched to
    several ranks.

    Returns:
        Ranks (k,) from 0 to n-1, ranks (k,) from 0 to m-1, and their mass (k, 1), float64,
        which sums to 1.
    """
    # Cut [0, 1] at all multiples of 1/n and 1/m, counted in integer units of 1/(nm), so that
    # rounding loses no cut.
    cuts = torch.unique(torch.cat([torch.arange(n + 1) * m, torch.arange(m + 1) * n]))
    left, mass = cuts[:-1], cuts.diff()
    return left // m, left // n, mass.double().unsqueeze(-1) / (n * m)


class _Wasserstein1d(torch.autograd.Function):
    """The distance with a closed-form gradient: twice the weighted difference of matched ranks.

    Autograd would keep the sorted and gathered copies of x.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y_sorted: Tensor) -> Tensor:
        x_sorted, order = x.sort(dim=0)
        rows_x, rows_y, weight = matching(len(x), len(y_sorted))
        rows_x, rows_y, weight = rows_x.to(x.device), rows_y.to(x.device), weight.to(x)
        difference = weight * (x_sorted[rows_x] - y_sorted[rows_y])
        ctx.save_for_backward(difference, order, rows_x)
        return (difference.square() / weight).sum(dim=0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        difference, order, rows_x = ctx.saved_tensors
        per_rank = torch.zeros_like(order, dtype=difference.dtype)
        per_rank.index_add_(0, rows_x, 2 * difference)
        return torch.zeros_like(per_rank).scatter_(0, order, per_rank) * grad, None
