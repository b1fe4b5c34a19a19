"""Lin-AcT: least squares between sorted activations, coordinate by coordinate.

Rodriguez et al., 2025, "Controlling language and diffusion models by transporting activations",
where it is called Linear-AcT; Lin-AcT is its name in the paper of LinEAS:

    (ω, b) = argmin Σ_i (ω x_(i) + b - y_(i))²,    x_(i), y_(i) the i-th smallest sample

with the solution ω = cov / var of the sorted pairs and b = mean(y) - ω mean(x).

Differs from the paper:
- Sets of unequal size are matched by their quantiles; the authors' code requires equal sizes.
- The map acts on every pixel, as in LinEAS; the authors' code moves the mean of a picture over
  space and keeps the deviations from it.
- The map acts on all values, not only within the observed range of the source (their `q_all`).
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from lineas_core.learning.wasserstein import matching
from lineas_core.methods.method import closed_form
from lineas_core.methods.sequential import fit_in_sequence
from lineas_core.steering.affine import AffineMap

__all__ = ["METHOD", "learn", "least_squares"]

_NARROW = 1e-4
"""A source coordinate whose spread is below this share of its module's typical spread counts as
constant: the rest is rounding error, and a slope fitted to it has no meaning."""


def least_squares(x: Tensor, y: Tensor) -> AffineMap:
    """The affine map of each coordinate with the least squared error between sorted samples.

    Args:
        x: source samples, (n, d).
        y: target samples, (m, d).

    Returns:
        A map with scale ≥ 0 and shift, (d,) each. Where x is constant every scale fits equally
        well; there it is 1, and the shift is the difference of means.
    """
    rows_x, rows_y, mass = matching(len(x), len(y))
    mass = mass.to(x)
    x, y = x.sort(dim=0).values, y.sort(dim=0).values
    x, y = x[rows_x.to(x.device)], y[rows_y.to(y.device)]
    mean_x, mean_y = (mass * x).sum(dim=0), (mass * y).sum(dim=0)
    x, y = x - mean_x, y - mean_y
    variance, covariance = (mass * x * x).sum(dim=0), (mass * x * y).sum(dim=0)
    fitted = variance > (_NARROW**2 * variance.median()).clamp(min=(1e-6 * mean_x) ** 2)
    scale = (covariance / variance.where(fitted, 1)).where(fitted, 1)
    return AffineMap(scale, mean_y - scale * mean_x)


METHOD = closed_form(
    "lin-act",
    "Lin-AcT: least squares on sorted activations, one module after the other.",
    partial(fit_in_sequence, fit=least_squares),
)
learn = METHOD.learn
