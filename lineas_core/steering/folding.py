"""Fold maps into the parameters of the steered modules, so that steering costs nothing.

The map s ⊙ y + c after the norm y = γ ⊙ norm(z) + β equals the same norm with γ' = s ⊙ γ and
β' = s ⊙ β + c. The same holds for linear layers and convolutions, whose weight has the output
coordinates on its first axis. An RMSNorm has no bias: its scale is folded, and the shift is added
to its output. Some norms multiply by 1 + γ.

Whether this is so cannot be told from the class of a module. Each module is therefore run once on
random input, folded and with the map applied to its output; only if the results agree is it ever
folded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.steering.hooks import coordinate_axis, path_to, paused, steer
from lineas_core.steering.strength import Strength, check_strength

__all__ = ["WITH_BIAS", "fold", "gain_of", "unsteered"]

# Cached per module, because probing takes as long as the rest of a slider move.
_GAINS: WeakKeyDictionary[nn.Module, float | None] = WeakKeyDictionary()
_Place = tuple[dict[str, Any], str, Any]  # parameters or children of a module, name, value
# What the running blocks of `fold` have replaced in a network, the outer ones first.
_FOLDED: WeakKeyDictionary[nn.Module, list[list[_Place]]] = WeakKeyDictionary()
_AGREE = torch.finfo(torch.float32).eps ** 0.5  # of the largest value; rounding adds up to less
WITH_BIAS = (nn.LayerNorm, nn.GroupNorm, nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Modules with output coordinates on the first axis of their weight, and room for a bias."""


@contextmanager
def fold(network: nn.Module, maps: SteeringMaps, strength: Strength = 1.0) -> Iterator[nn.Module]:
    """Steer a network like `steer`, by replacing parameters instead of registering hooks.

    Maps are always folded into the original parameters, which are restored bit for bit when the
    block ends. Rounding folded parameters would lose some of the effect, so in a network of
    reduced precision LayerNorms and GroupNorms compute in float32 while the block runs. What
    cannot be folded exactly is steered by hooks: one λ per row, low-rank maps (the modules of
    ReFT have no parameters), modules in which it would do something else (see `gain_of`), and
    other modules in reduced precision.

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
            blocks = _FOLDED.setdefault(network, [])
            blocks.append(before)
            stack.callback(blocks.pop)
            stack.callback(_exchanged, before)
            maps = SteeringMaps(
                {
                    n: step
                    for n, step in steps.items()
                    if not isinstance(step, AffineMap) or not _fold(network, n, step, before)
                }
            )
        stack.enter_context(steer(network, maps, strength))
        yield network


@contextmanager
def unsteered(network: nn.Module) -> Iterator[nn.Module]:
    """Undo `steer` and `fold` around this block while it runs, bit for bit.

    Args:
        network: the network that they were called with.

    Yields:
        The network.
    """
    taken: list[list[_Place]] = []
    try:
        for before in reversed(_FOLDED.get(network, [])):
            taken.append(_exchanged(before))
        with paused():
            yield network
    finally:
        for folded in reversed(taken):
            _exchanged(folded)


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
    exact = weight.dtype in (torch.float32, torch.float64)
    if not (exact or isinstance(module, nn.LayerNorm | nn.GroupNorm)):
        return False
    if (gain := gain_of(module)) is None:
        return False
    if not exact:
        if any(around._compiled_call_impl for around in path):
            return False  # every change of strength would recompile the network
        module = _widened(module)
        _exchange(parent, leaf, module, before)
    wide = torch.promote_types(weight.dtype, torch.float32)
    scale, shift = (part.to(weight.device, wide) for part in (step.scale, step.shift))
    for parameter, value in _folded(module, scale, shift, gain).items():
        _exchange(module, parameter, value, before)
    if not isinstance(module, WITH_BIAS):
        _exchange(parent, leaf, _Shifted(module, shift), before)
    return True


def _folded(module: Any, scale: Tensor, shift: Tensor, gain: float) -> dict[str, Tensor]:
    """Return weight and bias of a module with a map in them, except the shift where no bias is."""
    weight = module.weight.detach()
    rows = scale.view(-1, *[1] * (weight.dim() - 1))
    values = {"weight": rows * (weight + gain) - gain if gain else rows * weight}
    bias = getattr(module, "bias", None)
    if isinstance(module, WITH_BIAS):
        values["bias"] = shift if bias is None else scale * bias.detach() + shift
    elif bias is not None:
        values["bias"] = scale * bias.detach()
    return values


def _widened(norm: nn.Module) -> nn.Module:
    """Return a copy of the norm that computes in float32, with its own dict of parameters."""
    wide = copy(norm)
    wide._parameters = dict(norm._parameters)
    forward = type(norm).forward
    wide.forward = lambda z: forward(wide, z.float()).to(z.dtype)  # type: ignore[method-assign]
    return wide


class _Shifted(nn.Module):
    """A module with a shift added to its output; everything else is read from the module."""

    def __init__(self, module: nn.Module, shift: Tensor) -> None:
        super().__init__()
        self.module, self.shift = module, shift

    def __getattr__(self, name: str) -> Any:
        if name in self._modules:
            return self._modules[name]
        return getattr(self._modules["module"], name)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.module(*args, **kwargs) + self.shift


def gain_of(module: nn.Module) -> float | None:
    """Return g of a module that multiplies by g + weight; None if maps cannot be folded into it.

    Llama's RMSNorm has g = 0, as have linear layers, and Gemma's g = 1. The result is what the
    module did with random maps folded into a copy in float32, compared with the same maps on its
    output.
    """
    if module not in _GAINS:
        weight = module._parameters.get("weight")
        usable = weight is not None and weight.is_floating_point() and not weight.is_meta
        _GAINS[module] = _probed(module) if usable else None
    return _GAINS[module]


@torch.no_grad()
def _probed(module: Any) -> float | None:
    """Return the gain with which folding equals a hook; None if there is none."""
    noise = torch.Generator().manual_seed(0)
    device, width = module.weight.device, len(module.weight)
    scale, shift = torch.randn(2, width, generator=noise).to(device)
    for gain in (0.0, 1.0):
        exact, folded = _copied(module), _copied(module)
        folded._parameters |= _folded(exact, scale, shift, gain)
        moved = 0 if isinstance(module, WITH_BIAS) else shift
        forward = type(module).forward
        try:
            z = torch.randn(_input_shape(module), generator=noise).to(device)
            y = AffineMap(scale, shift).apply(forward(exact, z), coordinate_axis(module), z)
            error = (forward(folded, z) + moved - y).abs().max()
        except (RuntimeError, TypeError, ValueError, LookupError, AttributeError):
            return None  # it does not take one tensor of this shape, or returns something else
        if error <= _AGREE * y.abs().max():
            return gain
    return None


def _copied(module: Any) -> Any:
    """Return a copy of a module with its own dict of parameters, in float32."""
    other = copy(module)
    other._parameters = {
        name: value if value is None else value.detach().float()
        for name, value in module._parameters.items()
    }
    return other


def _input_shape(module: Any) -> tuple[int, ...]:
    """Return the shape of a small input."""
    if isinstance(module, nn.Linear):
        return 2, module.in_features
    if isinstance(module, nn.GroupNorm):
        return 2, module.num_channels, 4
    if isinstance(module, nn.modules.conv._ConvNd):
        spans = zip(module.kernel_size, module.dilation, strict=True)
        return 2, module.in_channels, *(size * gap + 1 for size, gap in spans)
    return 2, *module.weight.shape


def _exchange(
    owner: nn.Module, name: str, value: Tensor | nn.Module, before: list[_Place]
) -> None:
    # setattr would validate and register the value, which takes half the time of a slider move.
    places: dict[str, Any] = owner._modules
    if isinstance(value, Tensor):
        places, value = owner._parameters, nn.Parameter(value, requires_grad=False)
    before.append((places, name, places[name]))
    places[name] = value


def _exchanged(values: list[_Place]) -> list[_Place]:
    """Put values into their places, and return those that were there."""
    taken = [(places, name, places[name]) for places, name, _ in values]
    for places, name, value in values:
        places[name] = value
    return taken
