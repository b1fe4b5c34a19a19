"""Steer only the coordinates in which the two sides differ most.

    q = (mean(y) - mean(x)) / s,    s = √((var(x) + var(y)) / 2)

x and y are the activations of source and target prompts in the unsteered network, and q is the
effect size d of Cohen (1988, "Statistical power analysis", section 2.2). With 32 prompts a side
its standard error is 0.25, so many differences of means are mostly noise, and a shift by noise
costs fluency without having an effect. With `support` below 1 only the coordinates with the
largest |q| are steered.

Differs from the paper: its sparsity γ selects by the gradient of the loss, thus by what a
coordinate does to all later modules. LinEAS can use both.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lineas_core.learning.samples import Samples
from lineas_core.learning.spread import floored

__all__ = ["effect_sizes", "threshold"]


def effect_sizes(samples: Samples) -> tuple[Tensor, Tensor]:
    """Return q and s of all coordinates.

    Where the outputs of a picture model are compared, means and variances are those over all
    positions of the steered modules.

    Returns:
        (D,) each; s is above 0, floored as `Samples.spread` is.
    """
    if samples.compare == "output":
        x, y = (samples.mean_and_spread(side) for side in (samples.source, samples.target))
    else:
        x, y = (
            (rows.mean(dim=0), rows.std(dim=0))
            for rows in (samples.source_rows, samples.target_rows)
        )
    spread = ((x[1].square() + y[1].square()) / 2).sqrt()
    spread = torch.cat([floored(each) for each in spread.split(samples.widths)])
    return (y[0] - x[0]) / spread, spread


def threshold(effects: Tensor, support: float) -> float:
    """The size that only a share of the effects exceeds.

    Args:
        effects: q, (D,).
        support: share of the coordinates, above 0 and at most 1.

    Returns:
        The largest size of the others, so that support·D effects, rounded up, are larger; -1 if
        those are all of them.
    """
    count = math.ceil(support * len(effects))
    if count == len(effects):
        return -1.0
    return effects.abs().sort(descending=True).values[count].item()
