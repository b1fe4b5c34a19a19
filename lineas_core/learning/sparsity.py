"""Sparse group lasso: its proximal operators (LinEAS, Eq. 3.6 and D.1).

z_j, z_ℓ   one coordinate, and the block of all coordinates of module ℓ
d_ℓ        number of coordinates of module ℓ
τ          threshold: learning rate times γ

The regulariser is R = λ_1 Σ|z_j| + λ_G Σ_ℓ √d_ℓ |z_ℓ|₂ with λ_1 = λ_G = 1; γ multiplies it.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["prox_group_lasso", "soft_threshold"]


def soft_threshold(z: Tensor, threshold: float | Tensor) -> Tensor:
    """Proximal operator of threshold·|z|₁: sign(z) max(|z| - threshold, 0) (LinEAS, Eq. D.1).

    Args:
        z: any shape.
        threshold: τ ≥ 0, in the unit of z; one number, or a tensor of the shape of z.

    Returns:
        A tensor of the shape of z, with exact zeros where |z| ≤ τ.
    """
    return z.sign() * (z.abs() - threshold).clamp(min=0)


def prox_group_lasso(z: Tensor, widths: list[int], threshold: float | Tensor) -> Tensor:
    """Proximal operator of the sparse group lasso, with exact zeros (LinEAS, Algorithm 1).

    First soft-thresholds every coordinate, then shrinks the norm of every module's block by
    threshold·√width: (1 - τ√d / |z|₂)₊ z. The composition in this order is the exact proximal
    operator of the sum of both norms.

    Differs from the paper: an optimiser with a step size for each coordinate needs a threshold
    for each of them (Yun, Lozano, Yang, 2021, "Adaptive proximal gradient methods for structured
    neural networks"). The composition is then no longer exact, but it has the same fixed points:
    where the gradients of the loss and of the norms cancel.

    Args:
        z: (r, D), rows of concatenated coordinates; each row has blocks of its own.
        widths: d_ℓ of every module, summing to D.
        threshold: τ ≥ 0; one number, or (r, D).

    Returns:
        (r, D), zero where a coordinate or a whole block was switched off.
    """
    z = soft_threshold(z, threshold)
    width = torch.tensor(widths, device=z.device)
    block = torch.arange(len(widths), device=z.device).repeat_interleave(width)
    norm = z.new_zeros(len(z), len(widths)).index_add_(1, block, z.square()).sqrt()
    norm = norm.clamp(min=1e-30)  # keeps the ratio finite: with threshold 0 no 0 * inf
    return z * (1 - threshold * (width.sqrt() / norm)[:, block]).clamp(min=0)
