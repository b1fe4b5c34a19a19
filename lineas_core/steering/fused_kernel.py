"""scale ⊙ z + shift as a Triton kernel: float32 arithmetic, one rounding to the dtype of z.

Import it where Triton is installed; see `lineas_core.steering.fused`.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from lineas_core.steering.fused import Layout

__all__ = ["launch"]

_TILE = 2048  # elements that one program processes
_RUN = 128  # coordinates in a row of a tile, so that the maps are read once for 16 positions


@triton.jit
def _kernel(  # type: ignore[no-untyped-def]
    z,
    out,
    scale,
    shift,
    stride,
    a,
    b,
    LAST: tl.constexpr,
    FMA: tl.constexpr,
    A: tl.constexpr,
    B: tl.constexpr,
):
    wide, high = (b + B - 1) // B, (a + A - 1) // A  # tiles along b and a
    tile = tl.program_id(0)
    row = tile // (wide * high)
    at_a = (tile // wide % high * A + tl.arange(0, A))[:, None]
    at_b = (tile % wide * B + tl.arange(0, B))[None, :]
    if LAST:
        coordinate, known = at_b, at_b < b
    else:
        coordinate, known = at_a, at_a < a
    w = tl.load(scale + row * stride + coordinate, mask=known, other=0.0)
    c = tl.load(shift + row * stride + coordinate, mask=known, other=0.0)
    place = row.to(tl.int64) * a * b + at_a * b + at_b
    inside = (at_a < a) & (at_b < b)
    x = tl.load(z + place, mask=inside, other=0.0).to(tl.float32)
    w, c = tl.broadcast_to(w, (A, B)), tl.broadcast_to(c, (A, B))
    y = tl.fma(x, w, c) if FMA else x * w + c
    tl.store(out + place, y.to(out.dtype.element_ty), mask=inside)


def launch(
    z: Tensor,
    maps: tuple[Tensor, Tensor],
    out: Tensor,
    layout: Layout,
    *,
    fma: bool,
) -> None:
    """Compute scale ⊙ z + shift.

    Args:
        z: the activation, bfloat16 or float16.
        maps: scale and shift, float32 (d,) or (n, d) each, contiguous, on the device of z.
        out: takes the result; of the dtype and the strides of z.
        layout: that of z, from `layout_of`.
        fma: multiply and add without rounding in between.
    """
    scale, shift = maps
    n, a, b, last = layout
    width = min(_RUN if last else _TILE, triton.next_power_of_2(b))
    height = _TILE // width
    tiles = n * triton.cdiv(a, height) * triton.cdiv(b, width)
    stride = scale.shape[-1] if scale.dim() == 2 else 0
    # By default, the assembler would contract a product and a sum.
    _kernel[(tiles,)](
        z, out, scale, shift, stride, a, b, last, fma, height, width, enable_fp_fusion=fma
    )
