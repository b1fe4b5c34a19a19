"""Fold maps into the parameters of the steered modules, so that steering costs nothing.

The map s ⊙ y + c after the norm y = γ ⊙ norm(z) + β equals the same norm with γ' = s ⊙ γ and
β' = s ⊙ β + c. The same holds for linear layers and convolutions, whose weight has the output
coordinates on its first axis. An RMSNorm has no bias: its scale is folded, and the shift is added
to its output.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lineas_core.steering.affine import AffineMap, SteeringMaps, Strength, check_strength
from lineas_core.steering.hooks import path_to, steer

__all__ = ["WITH_BIAS", "fold", "rms_gain"]

# Cached per RMSNorm, because probing takes as long as the rest of a slider move.
_GAINS: WeakKeyDictionary[nn.Module, float] = WeakKeyDictionary()
_Place = tuple[dict[str, Any], str, Any]  # parameters or children of a module, name, old value
WITH_BIAS = (nn.LayerNorm, nn.GroupNorm, nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Modules with output coordinates on the first axis of their weight, and room for a bias."""


@contextmanager
def fold(network: nn.Module, maps: SteeringMaps, strength: Strength = 1.0) -> Iterator[nn.Module]:
    """Steer a network like `steer`, by replacing parameters instead of registering hooks.

    Maps are always folded into the original parameters, which are restored bit for bit when the
    block ends. Rounding folded parameters would lose some of the effect, so in a network of
    reduced precision LayerNorms and GroupNorms compute in float32 while the block runs. What
    cannot be folded exactly is steered by hooks: one λ per row, low-rank maps (the modules of
    ReFT have no parameters), other kinds of modules, and other modules in reduced precision.

    Args:
        network: the network in which the maps' module names resolve.
        maps: the learnt maps.
        strength: λ, or one λ per row of the batch.

    Yields:
        The network.

    Raises:
        UserError: a module is missing, its width differs, or the strength is not finite.
    """
    checked = check_strength(strength)
    with ExitStack() as stack:
        if isinstance(checked, float) and checked != 0:
            device = next(network.parameters()).device
            steps, strength = maps.to(device).at(checked), 1.0
            before: list[_Place] = []
            stack.callback(_restore, before)
            maps = SteeringMaps(
                {
                    n: step
                    for n, step in steps.items()
                    if not isinstance(step, AffineMap) or not _fold(network, n, step, before)
                }
            )
        stack.enter_context(steer(network, maps, strength))
        yield network


def _fold(network: nn.Module, name: str, step: AffineMap, before: list[_Place]) -> bool:
    """Replace one module's parameters; False if that would not be exact."""
    path, leaf = path_to(network, name), name.rpartition(".")[2]
    parent, module = path[-2:]
    weight: Any = getattr(module, "weight", None)
    if module._forward_hooks:
        return False  # the module has a forward hook, which must run before the map
    if weight is not None and weight.is_meta:
        return False  # it is on the disk, except while the module runs
    if weight is None or step.scale.shape != weight.shape[:1]:
        return False  # the width differs, or the map has one row per row of the batch
    if weight.dtype != torch.float32:
        if not isinstance(module, nn.LayerNorm | nn.GroupNorm):
            return False
        if any(around._compiled_call_impl for around in path):
            return False  # every change of strength would recompile the network
        module = _widened(module)
        _exchange(parent, leaf, module, before)
    scale, shift = step.scale.to(weight.device), step.shift.to(weight.device)
    if isinstance(module, WITH_BIAS):
        bias: Any = 0 if module.bias is None else module.bias.detach()
        per_coordinate = scale.view(-1, *[1] * (weight.dim() - 1))
        _exchange(module, "weight", per_coordinate * weight.detach(), before)
        _exchange(module, "bias", scale * bias + shift, before)
        return True
    gain = rms_gain(module, weight)
    if gain is None:
        return False
    _exchange(module, "weight", scale * (weight.detach() + gain) - gain, before)
    _exchange(parent, leaf, _Shifted(module, shift), before)
    return True


def _widened(norm: nn.Module) -> nn.Module:
    """Return a copy of the norm that computes in float32, with its own dict of parameters."""
    wide = copy(norm)
    wide._parameters = dict(norm._parameters)
    forward = type(norm).forward
    wide.forward = lambda z: forward(wide, z.float()).to(z.dtype)  # type: ignore[method-assign]
    return wide


class _Shifted(nn.Module):
    def __init__(self, norm: nn.Module, shift: Tensor) -> None:
        super().__init__()
        self.norm, self.shift = norm, shift

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.norm(hidden_states) + self.shift


def rms_gain(module: nn.Module, weight: Tensor) -> float | None:
    """Return g for an RMSNorm that multiplies by g + weight, (d,); None for any other module.

    Llama has g = 0 and Gemma g = 1, which the class names do not show. It is probed on a row of
    ones: its root mean square is 1, so the output is the factor itself.
    """
    if "rmsnorm" not in type(module).__name__.lower():
        return None
    if module not in _GAINS:
        with torch.no_grad():
            factor = module(torch.ones_like(weight).unsqueeze(0)).squeeze(0)
        for gain in (0.0, 1.0):
            if torch.allclose(factor, weight + gain, rtol=1e-4, atol=1e-4):
                _GAINS[module] = gain
    return _GAINS.get(module)


def _exchange(
    owner: nn.Module, name: str, value: Tensor | nn.Module, before: list[_Place]
) -> None:
    # setattr would validate and register the value, which takes half the time of a slider move.
    places: dict[str, Any] = owner._modules
    if isinstance(value, Tensor):
        places, value = owner._parameters, nn.Parameter(value, requires_grad=False)
    before.append((places, name, places[name]))
    places[name] = value


def _restore(before: list[_Place]) -> None:
    for places, name, value in before:
        places[name] = value
