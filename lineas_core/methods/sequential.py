"""Maps that are fitted one module after the other, in a single pass of the source prompts.

The map of a module is fitted to what the maps before it leave (Rodriguez et al., 2025,
"Controlling language and diffusion models by transporting activations", section 3). That needs
no pass per module: the hook that sees the whole source batch fits its map, applies it and lets
the batch go on.
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
    """Fit the maps of all modules, each behind the ones before it.

    Args:
        samples: both sides of prompts; the target side is recorded once, untouched.
        fit: makes one module's map from its pooled activations.

    Returns:
        The maps, in the order of execution.

    Raises:
        UserError: the memory does not suffice.
    """
    target, count = samples.split(samples.target), len(samples.source)

    def work() -> SteeringMaps:
        whole = len(samples.memory.chunks(count)) == 1
        return (_in_one_pass if whole else _module_by_module)(samples, target, fit)

    return samples.memory.within(count, work)


@torch.no_grad()
def _in_one_pass(samples: Samples, target: dict[str, Tensor], fit: _FitRows) -> SteeringMaps:
    pool = samples.pooling(samples.source)

    def fit_one(name: str, activation: Tensor, axis: int) -> AffineMap:
        return fit(pool(activation, axis), target[name])

    with fit_in_passing(samples.model.network, samples.names, fit_one) as maps:
        samples.run(samples.source)
    return SteeringMaps(maps)


def _module_by_module(samples: Samples, target: dict[str, Tensor], fit: _FitRows) -> SteeringMaps:
    """The same where the memory does not hold all prompts: a map is fitted to all of them."""
    maps: dict[str, AffineMap] = {}
    for name in samples.names:
        rows = samples.rows(samples.source, SteeringMaps(maps), [name])
        maps[name] = fit(rows, target[name])
    return SteeringMaps(maps)
