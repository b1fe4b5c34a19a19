"""CAA: the difference of means is added to every activation.

Rimsky et al., 2023, "Steering Llama 2 via contrastive activation addition", take the mean
difference of pairs; without pairs (as in LinEAS, section 4.1) and with them alike this is the
difference of the means, T(z) = z + mean(y) - mean(x), both from the untouched network. With a
single contrast it is ActAdd (Turner et al., 2023, "Activation addition").

Differs from the paper: they steer the residual stream (give the blocks' names as `modules` for
that) and read the last token (`pooling="last"`).
"""

from __future__ import annotations

import torch

from lineas_core.learning.samples import Samples
from lineas_core.methods.method import closed_form
from lineas_core.steering.affine import SteeringMaps

__all__ = ["METHOD", "METHOD_MIDDLE", "learn"]


def _fit(samples: Samples) -> SteeringMaps:
    shift = samples.target.mean(dim=0) - samples.rows(samples.source).mean(dim=0)
    return samples.affine(torch.ones_like(shift), shift)


def _fit_middle(samples: Samples) -> SteeringMaps:
    middle = samples.names[len(samples.names) // 2]
    return SteeringMaps({middle: _fit(samples)[middle]})


METHOD = closed_form("caa", "CAA: adds the difference of means at every module.", _fit)
METHOD_MIDDLE = closed_form(
    "caa-mid", "CAA at one module: adds the difference of means at the middle one.", _fit_middle
)
learn = METHOD.learn
