"""Fit maps one module after the other, in a single pass of the source prompts.

The map of a module is fitted to activations that the maps of the earlier modules have changed
(Rodriguez et al., 2025, "Controlling language and diffusion models by transporting activations",
section 3). One pass suffices: the hook of a module fits its map to the whole source batch and
applies it before the pass continues.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lineas_core.learning.samples import Samples
from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.steering.hooks import fit_in_passing

__all__ = ["fit_in_sequence"]

_FitRows = Callable[[Tensor, Tensor], AffineMap]
"""(source (n, d), target (m, d)) -> the map of one module."""


def fit_in_sequence(samples: Samples, fit: _FitRows) -> SteeringMaps:
    """Fit the maps of all modules in the order of execution.

    Args:
        samples: both sides of prompts; the target side is recorded once, unsteered.
        fit: computes one module's map from source samples (n, d) and target samples (m, d).

    Returns:
        The maps, in the order of execution.

    Raises:
        UserError: memory runs out.
    """
    target, count = samples.split(samples.target_rows), len(samples.source)

    def work() -> SteeringMaps:
        whole = len(samples.memory.chunks(count)) == 1
        return (_in_one_pass if whole else _module_by_module)(samples, target, fit)

    return samples.memory.run(count, work)


@torch.no_grad()
def _in_one_pass(samples: Samples, target: dict[str, Tensor], fit: _FitRows) -> SteeringMaps:
    pool = samples.pooling(samples.source)

    def fit_one(name: str, activation: Tensor, axis: int) -> AffineMap:
        return fit(pool(activation, axis), target[name])

    with fit_in_passing(samples.model.network, samples.names, fit_one) as maps:
        samples.run(samples.source)
    return SteeringMaps(maps)


def _module_by_module(samples: Samples, target: dict[str, Tensor], fit: _FitRows) -> SteeringMaps:
    """One pass per module, where memory does not hold all prompts that a map is fitted to."""
    maps: dict[str, AffineMap] = {}
    for name in samples.names:
        rows = samples.rows(samples.source, SteeringMaps(maps), [name])
        maps[name] = fit(rows, target[name])
    return SteeringMaps(maps)
