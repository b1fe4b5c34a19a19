"""scale ⊙ z + shift for an activation z, in one pass over memory where a GPU can do it.

On a GPU, torch multiplies a bfloat16 activation by a float32 map in a kernel that converts every
number by itself, and rounds the float32 result in a second one. The kernel of `fused_kernel` does
both in one pass. It takes the place of torch on a device only after it has returned the numbers of
torch there, bit for bit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Layout", "layout_of", "multiply_add", "prove"]

_log = logging.getLogger(__name__)
_DEVICES = ("cuda",)
_REDUCED = (torch.bfloat16, torch.float16)
_LEAST = 1 << 19  # elements; to start a Triton kernel takes longer than torch needs for fewer
_MOST = (1 << 31) - 1  # elements of a row, which the kernel counts in 32 bits

Kernel = Callable[[Tensor, tuple[Tensor, Tensor], Tensor, "Layout"], None]
"""Function of z, of scale and shift, of the result to write, and of the layout of both."""
_PROVEN: dict[tuple[torch.device, torch.dtype], Kernel | None] = {}


class Layout(NamedTuple):
    """How an activation lies in memory: n rows of a * b numbers, without gaps.

    Attributes:
        n: rows of the batch.
        a: coordinates, or positions if `last` is set.
        b: positions, or coordinates if `last` is set.
        last: whether the coordinates are on b.
    """

    n: int
    a: int
    b: int
    last: bool


def multiply_add(z: Tensor, scale: Tensor, shift: Tensor, axis: int) -> Tensor:
    """Return scale ⊙ z + shift, computed in float32 and rounded once to the dtype of z.

    Args:
        z: activation with d coordinates on `axis` and the n rows of the batch on axis 0.
        scale: float32 (d,), or (n, d) with one scale for each row.
        shift: likewise.
        axis: 1 or -1.

    Returns:
        A tensor like z.
    """
    w, c = _broadcast(z, scale, shift, axis)
    if z.dtype not in _REDUCED or z.device.type not in _DEVICES or _is_traced(z, scale, shift):
        return torch.addcmul(c, z, w).to(z.dtype)
    out = torch.empty_like(z)
    layout = layout_of(z, (scale, shift), axis) if z.numel() >= _LEAST else None
    if not (layout and _launched(z, (scale, shift), out, layout)):
        torch.addcmul(c, z, w, out=out)  # rounds while it stores
    return out


def layout_of(z: Tensor, maps: tuple[Tensor, Tensor], axis: int) -> Layout | None:
    """Return the layout of an activation; None if the kernel does not take it.

    Args:
        z: as in `multiply_add`.
        maps: scale and shift as in `multiply_add`.
        axis: as in `multiply_add`.
    """
    n, d = z.shape[0], z.shape[axis]
    for each in maps:
        # Whatever differs here would make the kernel read memory of something else.
        known = each.dtype == torch.float32 and each.device == z.device and each.is_contiguous()
        if not known or each.shape != maps[0].shape or each.shape not in ((d,), (n, d)):
            return None
    plain = type(z) is Tensor and z.dtype in _REDUCED and z.dim() > 1
    if not plain or not 0 < z.numel() // max(n, 1) <= _MOST:
        return None
    positions = z.numel() // (n * d)
    if axis in (-1, z.dim() - 1):
        return Layout(n, positions, d, last=True) if z.is_contiguous() else None
    if z.is_contiguous():
        return Layout(n, d, positions, last=False)
    if z.dim() == 4 and z.is_contiguous(memory_format=torch.channels_last):
        return Layout(n, positions, d, last=True)
    return None


def prove(device: torch.device, dtype: torch.dtype) -> Kernel | None:
    """Return a kernel that computes what torch computes on a device, bit for bit.

    Torch may round between product and sum or not, which its compiler decides; so both are tried.

    Args:
        device: where to compute.
        dtype: bfloat16 or float16.

    Returns:
        The kernel; None if Triton is missing, or the kernel fails or differs.
    """
    try:
        from lineas_core.steering.fused_kernel import launch

        for fma in (False, True):
            kernel: Kernel = partial(launch, fma=fma)
            if _agrees(kernel, device, dtype):
                return kernel
    except ImportError:
        return None
    except Exception as error:  # noqa: BLE001 - whatever fails, torch can do it
        _report(device, error)
    return None


def _broadcast(z: Tensor, scale: Tensor, shift: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """View scale and shift so that they broadcast to z."""
    shape = [1] * z.dim()
    shape[axis] = scale.shape[-1]
    if scale.dim() == 2:
        shape[0] = len(scale)
    return scale.view(shape), shift.view(shape)


def _is_traced(*tensors: Tensor) -> bool:
    """Return whether autograd or a compiler has to see the operations."""
    differentiated = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    return differentiated or torch.compiler.is_compiling()


def _launched(z: Tensor, maps: tuple[Tensor, Tensor], out: Tensor, layout: Layout) -> bool:
    """Run the kernel if it is proven; return whether it has run."""
    place = z.device, z.dtype
    if place not in _PROVEN:
        if z.is_cuda and torch.cuda.is_current_stream_capturing():
            return False  # a trial waits for the device, which would end the capture
        _PROVEN[place] = prove(*place)
    if not (kernel := _PROVEN[place]):
        return False
    try:
        with torch.cuda.device_of(z):  # Triton launches on the current device
            kernel(z, maps, out, layout)
    except Exception as error:  # noqa: BLE001 - such as a full disk while it compiles
        _report(z.device, error)
        _PROVEN[place] = None
        return False
    return True


@torch.no_grad()
def _agrees(kernel: Kernel, device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether a kernel returns what torch does, for both layouts and with and without rows.

    At the first position of each row, products and shifts cancel: what remains is 0, or what
    rounding takes from a product.
    """
    noise = torch.Generator().manual_seed(0)
    z = (16 * torch.randn(3, 64, 48, generator=noise)).to(device, dtype)
    for axis in (-1, 1):
        first = z.select(1 if axis == -1 else 2, 0).float()
        rows = (64 * torch.randn(first.shape, generator=noise)).to(device)
        shifts = -(first * rows)
        for scale, shift in ((rows, shifts), (rows[0], shifts[0])):
            out = torch.empty_like(z)
            layout = layout_of(z, (scale, shift), axis)
            if not layout:
                return False
            with torch.cuda.device_of(z):
                kernel(z, (scale, shift), out, layout)
            w, c = _broadcast(z, scale, shift, axis)
            if not torch.equal(out, torch.addcmul(c, z, w).to(dtype)):
                return False
    return True


def _report(device: torch.device, error: Exception) -> None:
    _log.warning("steering on %s goes without its fused kernel: %s", device, error)
