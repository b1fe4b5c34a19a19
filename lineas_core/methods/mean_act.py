"""Mean-AcT: shift each module's activations by the difference of means, module after module.

    T(z) = z + mean(y) - mean(x)

Rodriguez et al., 2025, "Controlling language and diffusion models by transporting activations".
It is the optimal transport between distributions that differ in their mean alone. Unlike in CAA,
x is recorded with the maps of the earlier modules applied.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from lineas_core.methods.method import closed_form
from lineas_core.methods.sequential import fit_in_sequence
from lineas_core.steering.affine import AffineMap

__all__ = ["METHOD", "learn"]


def _difference(x: Tensor, y: Tensor) -> AffineMap:
    shift = y.mean(dim=0) - x.mean(dim=0)
    return AffineMap(torch.ones_like(shift), shift)


METHOD = closed_form(
    "mean-act",
    "Mean-AcT: moves the mean, one module after the other.",
    partial(fit_in_sequence, fit=_difference),
)
learn = METHOD.learn
