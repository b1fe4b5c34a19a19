"""CAA: add the difference of means to every activation.

    T(z) = z + mean(y) - mean(x),    x, y from source and target prompts in the unsteered network

Rimsky et al., 2023, "Steering Llama 2 via contrastive activation addition". They take the mean
over the differences of pairs, which equals the difference of the means. With a single pair it is
ActAdd (Turner et al., 2023, "Activation addition").

Differs from the paper: CAA steers the residual stream (pass the names of the blocks as `modules`)
and reads the last token (`pooling="last"`). The prompts need not be pairs, as in LinEAS, section
4.1.
"""

from __future__ import annotations

import torch

from lineas_core.learning.samples import Samples
from lineas_core.methods.method import closed_form
from lineas_core.steering.affine import SteeringMaps

__all__ = ["METHOD", "METHOD_MIDDLE", "learn"]


def _fit(samples: Samples) -> SteeringMaps:
    shift = samples.target_rows.mean(dim=0) - samples.source_rows.mean(dim=0)
    return samples.affine(torch.ones_like(shift), shift)


def _fit_middle(samples: Samples) -> SteeringMaps:
    middle = samples.names[len(samples.names) // 2]
    return SteeringMaps({middle: _fit(samples)[middle]})


METHOD = closed_form("caa", "CAA: adds the difference of means at every module.", _fit)
METHOD_MIDDLE = closed_form(
    "caa-mid", "CAA at one module: adds the difference of means at the middle one.", _fit_middle
)
learn = METHOD.learn
