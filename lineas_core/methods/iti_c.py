"""ITI-C: shift along the direction of a logistic regression, by the spread along it.

Li et al., 2024, "Inference-time intervention: eliciting truthful answers from a language model".
The variant that LinEAS compares with uses one classifier per module:

    T(z) = z + σ θ/|θ|,    θ = argmin  Σ_i log(1 + exp(-s_i (θ·z_i + c))) + penalty/2 |θ|²

z_i  activations of both sides, (n, d); s_i = 1 for target, -1 for source
σ    standard deviation of all z_i along θ/|θ|
K    inner products of centred activations, (n, n); θ is a combination of the rows z_i, so the
     regression needs nothing else
a, c     dual coefficients (n,), θ = Σ a_i (z_i - mean), and intercept
f    scores Σ_j K_ij a_j + c, (n,)

Solved by Newton's method on a and c in float64, batched over modules.

Differs from the paper: ITI steers attention heads that are chosen on validation data. Here all
modules are steered, with λ = 0.5, which LinEAS found by grid search (section 4.1). The penalty is
scikit-learn's default, C = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lineas_core.errors import UserError
from lineas_core.learning.config import FitConfig
from lineas_core.learning.samples import Samples
from lineas_core.methods.method import closed_form
from lineas_core.steering.affine import AffineMap, SteeringMaps

__all__ = [
    "MAX_SAMPLES",
    "METHOD",
    "PRODUCTS_AT_ONCE",
    "ItiConfig",
    "dual_coefficients",
    "learn",
]

MAX_SAMPLES = 1 << 13
"""Largest number of samples of both sides together; the memory for K grows with its square."""
PRODUCTS_AT_ONCE = 1 << 24
"""Numbers in the matrices K that are solved together; changes time and memory only."""

_NEWTON_STEPS, _CONVERGED = 100, 1e-10  # at most; relative decrease of the loss
_ROUNDING = 1e-8  # largest logit that counts as 0: for equal sides θ is rounding error
_STEP_SIZES = 0.5 ** torch.arange(12, dtype=torch.float64)  # tried by the line search


@dataclass(frozen=True)
class ItiConfig(FitConfig):
    """Settings of ITI-C.

    Attributes:
        penalty: weight of |θ|²/2, above 0; 1/C of scikit-learn.

    Raises:
        UserError: a value is out of range.
    """

    penalty: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        # `not ... < inf` rather than `>= inf`: NaN fails every comparison.
        if self.penalty is None or not 0 < self.penalty < float("inf"):
            raise UserError(
                "E_SETTING", f"penalty is {self.penalty!r}", remedy="Give a number above 0."
            )


def dual_coefficients(products: Tensor, sign: Tensor, penalty: float) -> Tensor:
    """Solve the logistic regressions of many modules at once; the intercept is not penalised.

    Args:
        products: K, (modules, n, n), float64, on the CPU.
        sign: s, (n,), float64, 1 or -1, both present.
        penalty: weight of |θ|²/2, above 0.

    Returns:
        a, (modules, n), float64.
    """
    label = (sign + 1) / 2
    a = products.new_zeros(products.shape[:2])
    c = products.new_zeros(len(products), 1)
    for _ in range(_NEWTON_STEPS):
        f = (products @ a.unsqueeze(-1)).squeeze(-1) + c
        towards_a, towards_c = _newton_point(products, f, label, penalty)
        step_a, step_c = towards_a - a, towards_c - c
        t, gain = _line_search(products, sign, penalty, (a, c), (step_a, step_c))
        a, c = a + t * step_a, c + t * step_c
        if gain.max() < _CONVERGED:
            break
    return a


def _newton_point(
    products: Tensor, f: Tensor, label: Tensor, penalty: float
) -> tuple[Tensor, Tensor]:
    """The point (a, c) that a full Newton step from the scores f leads to.

    With weights w = p(1 - p) and working response z = f + (label - p)/w it solves
    (K + penalty/w) a + c = z and Σ a = 0. Both sides are scaled by √w, so that no weight near
    zero is divided by (Rasmussen and Williams, 2006, algorithm 3.1).
    """
    p = f.sigmoid()
    root = (p * (1 - p)).sqrt().clamp(min=1e-12)
    system = root.unsqueeze(2) * products * root.unsqueeze(1)
    system.diagonal(dim1=1, dim2=2).add_(penalty)
    right = torch.stack([root * f + (label - p) / root, root], dim=-1)
    solved = root.unsqueeze(-1) * torch.cholesky_solve(right, torch.linalg.cholesky(system))
    for_z, for_one = solved.unbind(dim=-1)
    c = for_z.sum(dim=1, keepdim=True) / for_one.sum(dim=1, keepdim=True)
    return for_z - c * for_one, c


def _line_search(
    products: Tensor,
    sign: Tensor,
    penalty: float,
    point: tuple[Tensor, Tensor],
    step: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor]:
    """The best step size, (modules, 1), and the relative decrease of the loss, (modules,).

    A full Newton step can overshoot where the classes are far apart.
    """
    tried = torch.cat([_STEP_SIZES.new_zeros(1), _STEP_SIZES])
    a = point[0].unsqueeze(1) + tried.view(1, -1, 1) * step[0].unsqueeze(1)
    c = point[1].unsqueeze(1) + tried.view(1, -1, 1) * step[1].unsqueeze(1)
    along = a @ products
    loss = -logsigmoid(sign * (along + c)).sum(-1) + penalty / 2 * (a * along).sum(-1)
    lowest, best = loss.min(dim=1)
    return tried[best].unsqueeze(1), (loss[:, 0] - lowest) / loss[:, 0].clamp(min=1)


def _fit(samples: Samples) -> SteeringMaps:
    y, x = samples.target_rows, samples.source_rows
    sign = torch.cat([torch.ones(len(y)), -torch.ones(len(x))]).double()
    if len(sign) > MAX_SAMPLES:
        raise UserError(
            "E_POOLING",
            f"there are {len(sign)} samples, iti-c takes at most {MAX_SAMPLES}",
            remedy="Choose the pooling 'mean' or 'last', or give fewer prompts.",
        )
    modules = samples.split(torch.cat([y, x]))
    penalty = cast(ItiConfig, samples.config).penalty
    together = max(1, PRODUCTS_AT_ONCE // len(sign) ** 2)
    maps: dict[str, AffineMap] = {}
    for start in range(0, len(modules), together):
        names = samples.names[start : start + together]
        # float64 from here on: with a small penalty large coefficients cancel each other.
        rows = [_centred(modules[name]) for name in names]
        dual = dual_coefficients(torch.stack([(z @ z.T).cpu() for z in rows]), sign, penalty)
        maps |= {name: _map(z, a) for name, z, a in zip(names, rows, dual, strict=True)}
    return SteeringMaps(maps)


def _centred(rows: Tensor) -> Tensor:
    return rows.double() - rows.double().mean(dim=0)


def _map(rows: Tensor, dual: Tensor) -> AffineMap:
    """The map of one module from its centred rows (n, d) and their coefficients (n,)."""
    theta = dual.to(rows.device) @ rows
    if (rows @ theta).abs().max() < _ROUNDING:
        theta = torch.zeros_like(theta)
    direction = theta / theta.norm().clamp(min=torch.finfo(theta.dtype).tiny)
    shift = ((rows @ direction).std(correction=0) * direction).float()
    return AffineMap(torch.ones_like(shift), shift)


METHOD = closed_form(
    "iti-c",
    "ITI-C: along the direction of a logistic regression.",
    _fit,
    config=ItiConfig(),
    strength=0.5,
)
learn = METHOD.learn
