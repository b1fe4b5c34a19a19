"""Maps of several rows joined, so that one batch steers every row by maps of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.steering.low_rank import LowRankMap

__all__ = ["stack_rows"]


def stack_rows(rows: Sequence[SteeringMaps]) -> list[SteeringMaps]:
    """Return maps with one map for each row of a batch.

    A row that has no map for a module gets the identity there, exactly.

    Args:
        rows: for each of the n rows its maps at their strength, from `compose`; maps of any
            modules, all on one device. Empty maps leave a row unsteered.

    Returns:
        Up to three sets, one for each kind of map: affine, low-rank, and low-rank maps that read
        the input. Nest one `steer` block for each; no row has two maps in one module, so that
        their order has no effect.
    """
    sets = [_per_module([maps.affine for maps in rows], _affine)]
    for reads_input in (False, True):
        low_rank = [
            {
                name: step
                for name, step in maps.items()
                if isinstance(step, LowRankMap) and step.reads_input == reads_input
            }
            for maps in rows
        ]
        sets.append(_per_module(low_rank, _low_rank))
    return [maps for maps in sets if maps]


def _per_module(rows: Sequence[Mapping[str, Any]], join: Callable[[list], Any]) -> SteeringMaps:
    names = dict.fromkeys(name for maps in rows for name in maps)
    return SteeringMaps({name: join([maps.get(name) for maps in rows]) for name in names})


def _affine(steps: Sequence[AffineMap | None]) -> AffineMap:
    """Join the maps of one module; None is the identity."""
    known = next(step for step in steps if step)
    one, zero = torch.ones_like(known.scale), torch.zeros_like(known.shift)
    return AffineMap(
        torch.stack([step.scale if step else one for step in steps]),
        torch.stack([step.shift if step else zero for step in steps]),
    )


def _low_rank(steps: Sequence[LowRankMap | None]) -> LowRankMap:
    """Join the maps of one module; None is the identity.

    Maps with the same `up`, such as one map at several strengths, share its columns. In the
    columns of the others, a row has zeros in `down` and `bias`.
    """
    ups: dict[int, Tensor] = {id(step.up): step.up for step in steps if step}
    starts, rank = {}, 0
    for key, up in ups.items():
        starts[key], rank = rank, rank + up.shape[1]
    known = next(step for step in steps if step)
    down = known.down.new_zeros(len(steps), rank, known.down.shape[-1])
    bias = known.bias.new_zeros(len(steps), rank)
    for row, step in enumerate(steps):
        if step:
            place = slice(starts[id(step.up)], starts[id(step.up)] + step.up.shape[1])
            down[row, place], bias[row, place] = step.down, step.bias
    return LowRankMap(torch.cat([*ups.values()], dim=1), down, bias, known.reads_input)
