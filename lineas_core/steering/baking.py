"""Bake maps into parameters for good, so that other programs run the network without hooks.

The map s ⊙ y + c of a module becomes

    y = W x + b               W' = s ⊙ W, row by row, and b' = s ⊙ b + c
    y = γ ⊙ norm(x) + β       γ' = s ⊙ γ and β' = s ⊙ β + c
    y = (g + γ) ⊙ norm(x)     γ' = s ⊙ (g + γ) - g, and b' = b + W c in each layer that reads y

The last one is an RMSNorm, which has no bias: its shift is passed on to the linear layers that
read it. Unlike `fold`, which lasts as long as a `with` block, this adds no module to the network
and falls back on no hook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lineas_core.errors import UserError
from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.steering.folding import WITH_BIAS, gain_of
from lineas_core.steering.hooks import path_to

__all__ = ["Readers", "bake", "not_baked"]

Readers = Mapping[str, Sequence[str]]
"""Last part of an RMSNorm's name -> the linear layers that read its output, and nothing else does.

They are given by their paths from the module that contains the norm.
"""


def bake(network: nn.Module, maps: SteeringMaps, readers: Readers) -> dict[str, Tensor]:
    """Compute the parameters with which a network does at once what the maps do to it.

    Args:
        network: the network in which the maps' module names resolve. It is not changed.
        maps: the maps at the strength to bake, see `SteeringMaps.at` and `compose`.
        readers: where the shift of an RMSNorm goes. The shift of one that is not listed becomes a
            bias of the norm itself.

    Returns:
        Name -> value of the parameters that differ, with device and dtype of their module. Those
        that the network lacks are biases; whoever stores the parameters must provide for them.

    Raises:
        UserError: a map is of low rank, its module or a reader has no parameters for it or is
            missing, or the widths differ.
    """
    modules = {name: path_to(network, name)[-1] for name in maps}
    _check(modules, maps)
    changed: dict[str, Tensor] = {}

    wide = torch.promote_types(next(network.parameters()).dtype, torch.float32)

    def bias_of(name: str) -> Tensor | None:
        bias = changed.get(f"{name}.bias", getattr(path_to(network, name)[-1], "bias", None))
        return bias if bias is None else bias.detach().to(wide)

    # The norms without a bias come first: the map of a reader acts on what they pass on to it.
    for name in sorted(maps, key=lambda name: isinstance(modules[name], WITH_BIAS)):
        module, step = modules[name], maps.affine[name]
        parent, _, leaf = name.rpartition(".")
        weight: Any = module.weight
        gain = gain_of(module) or 0
        listed = () if isinstance(module, WITH_BIAS) else readers.get(leaf, ())
        scale, shift = (v.to(weight.device, wide) for v in (step.scale, step.shift))
        rows = scale.view(-1, *[1] * (weight.dim() - 1))
        changed[f"{name}.weight"] = rows * (weight.detach().to(wide) + gain) - gain
        bias = bias_of(name)
        if not listed and (bias is not None or shift.any()):
            changed[f"{name}.bias"] = shift if bias is None else scale * bias + shift
        for reader in (f"{parent}.{path}" for path in listed if shift.any()):
            passed = _read_by(network, reader, name, len(shift)).to(wide) @ shift
            before = bias_of(reader)
            changed[f"{reader}.bias"] = passed if before is None else before + passed
    return {name: value.to(_dtype(network, name)) for name, value in changed.items()}


def not_baked(what: str) -> UserError:
    """Return the error for maps that cannot become weights, with the way out."""
    remedy = "Steer by hooks, as `lineas generate` and, for texts, `lineas serve` do."
    return UserError("E_EXPORT", what, remedy=remedy)


def _read_by(network: nn.Module, reader: str, norm: str, width: int) -> Tensor:
    """Return the weight of a linear layer that reads a norm, (out, width)."""
    module: Any = path_to(network, reader)[-1]
    weight: Any = getattr(module, "weight", None)
    plain = type(module) is nn.Linear or gain_of(module) == 0
    floating = isinstance(weight, Tensor) and weight.is_floating_point()
    if not (plain and floating and weight.shape[1:] == (width,)):
        raise not_baked(
            f"{reader} ({type(module).__name__}), which reads {norm}, has no weight that could "
            "take up its shift"
        )
    return weight.detach()


def _check(modules: Mapping[str, nn.Module], maps: SteeringMaps) -> None:
    if low := [name for name, step in maps.items() if not isinstance(step, AffineMap)]:
        raise not_baked(
            f"{len(low)} of {len(maps)} maps are of low rank, such as that of {low[0]}"
        )
    for name, module in modules.items():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or not weight.is_floating_point():
            raise not_baked(f"{name} ({type(module).__name__}) has no weight that a map can scale")
        if gain_of(module) is None:
            raise not_baked(f"{name} ({type(module).__name__}) is neither a known norm nor linear")
        if maps[name].width != len(weight):
            raise UserError(
                "E_MODEL",
                f"{name} has {len(weight)} coordinates, the map has {maps[name].width}",
                remedy="Load the model that the map was learnt on.",
            )


def _dtype(network: nn.Module, parameter: str) -> torch.dtype:
    """Return the dtype of the module that a parameter belongs to."""
    return network.get_parameter(f"{parameter.rpartition('.')[0]}.weight").dtype
