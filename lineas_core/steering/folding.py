"""Maps folded into the parameters of the modules they follow: steering without overhead.

A map s ⊙ y + c after y = γ ⊙ norm(z) + β is the same norm with γ' = s ⊙ γ, β' = s ⊙ β + c. The
same holds for Linear and convolutions, whose weight's first axis runs over coordinates. An
RMSNorm has no bias of its own: its scale folds and the shift is added behind it.
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

__all__ = ["fold"]

# Of the RMSNorms met so far: asking one takes as long as all the rest of a move of the slider.
_GAINS: WeakKeyDictionary[nn.Module, float] = WeakKeyDictionary()
_Place = tuple[dict[str, Any], str, Any]  # parameters or children of a module, name, value
_WITH_BIAS = (nn.LayerNorm, nn.GroupNorm, nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@contextmanager
def fold(network: nn.Module, maps: SteeringMaps, strength: Strength = 1.0) -> Iterator[nn.Module]:
    """The same as `steer`, by exchanged parameters instead of hooks while the block runs.

    Always folded from the pristine parameters, which come back untouched at the end. Rounding
    folded ones would lose some of the effect, so in a network of reduced precision LayerNorms and
    GroupNorms compute in float32 meanwhile. What cannot be folded exactly is hooked: one λ per
    row, modules of other kinds, and other modules in reduced precision.

    Args:
        network: where the maps' names resolve.
        maps: what was learnt.
        strength: λ, or one λ per row of the batch.
    """
    lam = check_strength(strength)
    with ExitStack() as stack:
        if isinstance(lam, float) and lam != 0:
            device = next(network.parameters()).device
            steps, strength = maps.to(device).at(lam), 1.0
            before: list[_Place] = []
            stack.callback(_restore, before)
            maps = SteeringMaps(
                {n: step for n, step in steps.items() if not _fold(network, n, step, before)}
            )
        stack.enter_context(steer(network, maps, strength))
        yield network


def _fold(network: nn.Module, name: str, step: AffineMap, before: list[_Place]) -> bool:
    """Exchange one module's parameters; False where that would not be exact."""
    path, leaf = path_to(network, name), name.rpartition(".")[2]
    parent, module = path[-2:]
    weight: Any = getattr(module, "weight", None)
    if module._forward_hooks:
        return False  # another steers or records what comes out, and acts first
    if weight is None or step.scale.shape != weight.shape[:1]:
        return False  # of another width, or with a row for each of the batch
    if weight.dtype != torch.float32:
        if not isinstance(module, nn.LayerNorm | nn.GroupNorm):
            return False
        if any(around._compiled_call_impl for around in path):
            return False  # every move would have the network compiled anew
        module = _widened(module)
        _exchange(parent, leaf, module, before)
    scale, shift = step.scale.to(weight.device), step.shift.to(weight.device)
    if isinstance(module, _WITH_BIAS):
        bias: Any = 0 if module.bias is None else module.bias.detach()
        per_coordinate = scale.view(-1, *[1] * (weight.dim() - 1))
        _exchange(module, "weight", per_coordinate * weight.detach(), before)
        _exchange(module, "bias", scale * bias + shift, before)
        return True
    gain = _rms_gain(module, weight)
    if gain is None:
        return False
    _exchange(module, "weight", scale * (weight.detach() + gain) - gain, before)
    _exchange(parent, leaf, _Shifted(module, shift), before)
    return True


def _widened(norm: nn.Module) -> nn.Module:
    """The same norm computed in float32, with parameters of its own to exchange."""
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


def _rms_gain(module: nn.Module, weight: Tensor) -> float | None:
    """0 for an RMSNorm that multiplies by its weight, 1 for one that multiplies by 1 + weight.

    Llama and Gemma differ here and the class names do not say so; on a row of ones, whose root
    mean square is 1, the output is the factor itself. None: not an RMSNorm.
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
    # Not setattr, which checks and registers anew what has its place: half the time of a move.
    places: dict[str, Any] = owner._modules
    if isinstance(value, Tensor):
        places, value = owner._parameters, nn.Parameter(value, requires_grad=False)
    before.append((places, name, places[name]))
    places[name] = value


def _restore(before: list[_Place]) -> None:
    for places, name, value in before:
        places[name] = value
