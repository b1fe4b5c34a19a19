"""AURA: dampen each coordinate in proportion to how well it separates source from target.

Suau et al., 2024, "Whispering experts: neural interventions for toxicity mitigation in language
models". With a the AUROC of a coordinate as a classifier of source (positive) against target:

    T(z) = z                    a ≤ 1/2
    T(z) = (1 - 2(a - 1/2)) z   a > 1/2

Differs from the paper: samples are pooled as for every method here, by default with the mean over
tokens; the paper takes the maximum. The paper steers the linear layers of the MLPs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lineas_core.learning.samples import Samples
from lineas_core.methods.method import closed_form
from lineas_core.steering.affine import SteeringMaps

__all__ = ["METHOD", "auroc", "learn"]


def auroc(x: Tensor, y: Tensor) -> Tensor:
    """Area under the ROC curve of each coordinate: P(x > y) + P(x = y) / 2.

    Args:
        x: samples of the positive class, (n, d).
        y: samples of the negative class, (m, d).

    Returns:
        (d,), 0 to 1; 0.5 means that the coordinate does not separate the classes.
    """
    x, ranked = x.T.contiguous(), y.T.contiguous().sort(dim=1).values
    below = torch.searchsorted(ranked, x)
    not_above = torch.searchsorted(ranked, x, right=True)
    return (below + not_above).sum(dim=1) / (2 * len(y) * x.shape[1])


def _fit(samples: Samples) -> SteeringMaps:
    area = auroc(samples.source_rows, samples.target_rows)
    scale = 1 - 2 * (area - 0.5).clamp(min=0)
    return samples.affine(scale, torch.zeros_like(scale))


METHOD = closed_form("aura", "AURA: dampens coordinates that tell source from target.", _fit)
learn = METHOD.learn
