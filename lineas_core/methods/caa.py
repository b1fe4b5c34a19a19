"""CAA: add the difference of means to every activation.

    T(z) = z + mean(y) - mean(x),    x, y from source and target prompts in the unsteered network

Rimsky et al., 2023, "Steering Llama 2 via contrastive activation addition". They take the mean
over the differences of pairs, which equals the difference of the means. With a single pair it is
ActAdd (Turner et al., 2023, "Activation addition").

Differs from the paper: CAA steers the residual stream (pass the names of the blocks as `modules`)
and reads the last token (`pooling="last"`). The prompts need not be pairs, as in LinEAS, section
4.1. With `support` below 1, the differences in standard deviations are shrunk until only that
share of them is left (nearest shrunken centroids: Tibshirani et al., 2002, "Diagnosis of multiple
cancer types by shrunken centroids of gene expression", Eq. 5), then scaled to their former length.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lineas_core.learning.config import SelectConfig
from lineas_core.learning.samples import Samples
from lineas_core.learning.selection import effect_sizes, threshold
from lineas_core.learning.sparsity import soft_threshold
from lineas_core.methods.method import closed_form
from lineas_core.steering.affine import SteeringMaps

__all__ = ["METHOD", "METHOD_MIDDLE", "learn"]


def _fit(samples: Samples) -> SteeringMaps:
    config: Any = samples.config
    shift = _difference(samples) if config.support == 1 else _shrunken(samples, config.support)
    return samples.affine(torch.ones_like(shift), shift)


def _fit_middle(samples: Samples) -> SteeringMaps:
    shift, middle = _difference(samples), samples.names[len(samples.names) // 2]
    return SteeringMaps({middle: samples.affine(torch.ones_like(shift), shift)[middle]})


def _difference(samples: Samples) -> Tensor:
    return samples.target_rows.mean(dim=0) - samples.source_rows.mean(dim=0)


def _shrunken(samples: Samples, support: float) -> Tensor:
    effects, spread = effect_sizes(samples)
    few = soft_threshold(effects, max(threshold(effects, support), 0))
    length = few.norm()
    return spread * few * (effects.norm() / length if length else 0)  # nothing differs: no shift


METHOD = closed_form(
    "caa", "CAA: adds the difference of means at every module.", _fit, config=SelectConfig()
)
METHOD_MIDDLE = closed_form(
    "caa-mid", "CAA at one module: adds the difference of means at the middle one.", _fit_middle
)
learn = METHOD.learn
