"""Maps as named tensors: what their file holds, and of which shapes.

affine      <module>.scale and <module>.shift, (d,) each; without the former where all of it is 1
low-rank    <module>.up (d, r), <module>.down (r, k) and <module>.bias (r,)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.steering.low_rank import LowRankMap

__all__ = ["maps_of", "shapes_of", "sizes_of", "tensors_of"]


def tensors_of(maps: SteeringMaps) -> dict[str, Tensor]:
    """Return the tensors of maps by name, float32 on the CPU."""
    rows: dict[str, Tensor] = {}
    for name, m in maps.items():
        if isinstance(m, LowRankMap):
            rows |= {f"{name}.up": m.up, f"{name}.down": m.down, f"{name}.bias": m.bias}
        else:
            rows[f"{name}.shift"] = m.shift
            if not _only_shifts(m):
                rows[f"{name}.scale"] = m.scale
    # Copies, because safetensors does not save tensors that share memory.
    return {
        k: v.detach().to("cpu", torch.float32, copy=True).contiguous() for k, v in rows.items()
    }


def maps_of(tensors: Mapping[str, Tensor], config: dict[str, Any]) -> SteeringMaps:
    """Return the maps that tensors and metadata describe, with the metadata."""
    maps: dict[str, AffineMap | LowRankMap] = {}
    for name in config["modules"]:
        low = _low_rank(config, name)
        if low is None:
            shift, scale = tensors[f"{name}.shift"], tensors.get(f"{name}.scale")
            maps[name] = AffineMap(torch.ones_like(shift) if scale is None else scale, shift)
            continue
        up, down, bias = (tensors[f"{name}.{part}"] for part in ("up", "down", "bias"))
        maps[name] = LowRankMap(up, down, bias, reads_input=low["input"] is not None)
    return SteeringMaps(maps, config)


def sizes_of(maps: SteeringMaps) -> dict[str, Any]:
    """Return the sizes of maps for their metadata.

    `modules` holds the width d of every module; `low_rank` the rank r of every low-rank map, and
    the number of coordinates k of the module's input, None for a map that reads the output;
    `shifts` names the affine maps that only shift.
    """
    low = {
        name: {"rank": len(m.bias), "input": m.down.shape[1] if m.reads_input else None}
        for name, m in maps.items()
        if isinstance(m, LowRankMap)
    }
    shifts = [name for name, m in maps.items() if name not in low and _only_shifts(m)]
    widths = {name: m.width for name, m in maps.items()}
    return {"modules": widths, "low_rank": low, "shifts": shifts}


def shapes_of(config: Mapping[str, Any]) -> dict[str, list[int]]:
    """Return the shapes of the tensors that metadata describe."""
    shapes: dict[str, list[int]] = {}
    for name, width in config["modules"].items():
        low = _low_rank(config, name)
        if low is None:
            shapes[f"{name}.shift"] = [width]
            if name not in config.get("shifts", ()):  # missing in files before version 3
                shapes[f"{name}.scale"] = [width]
            continue
        rank, reads = low["rank"], width if low["input"] is None else low["input"]
        shapes |= {f"{name}.up": [width, rank], f"{name}.down": [rank, reads]}
        shapes[f"{name}.bias"] = [rank]
    return shapes


def _only_shifts(m: AffineMap | LowRankMap) -> bool:
    return isinstance(m, AffineMap) and bool((m.scale == 1).all())


def _low_rank(config: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    return config.get("low_rank", {}).get(name)  # missing in files of version 1
