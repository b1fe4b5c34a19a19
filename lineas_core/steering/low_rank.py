"""Low-rank maps, as ReFT and LoRA learn them: they move activations within r directions.

x        what the map reads: the module's output z, d coordinates, or its input, k coordinates
T(z)     z + up (down x + bias)
λ        strength, as for affine maps
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["SMALLEST_SCALE", "LowRankMap"]

SMALLEST_SCALE = 1e-3
"""A coordinate or direction that a map scales by less than this has no usable inverse and is not
steered for λ < 0."""


@dataclass(frozen=True, eq=False)
class LowRankMap:
    """The map T(z) = z + up (down x + bias).

    Attributes:
        up: (d, r).
        down: (r, k); or (n, r, k) with one map per row of the batch.
        bias: (r,), or (n, r).
        reads_input: whether x is the input of the module, as in LoRA, instead of its output z;
            then k may differ from d, and the map has no inverse.
    """

    up: Tensor
    down: Tensor
    bias: Tensor
    reads_input: bool = False

    @property
    def width(self) -> int:
        """Number of coordinates d of the module's output."""
        return len(self.up)

    @property
    def rows(self) -> int | None:
        """Number of rows of the batch that have a map each; None if all have the same."""
        return len(self.down) if self.down.dim() == 3 else None

    @property
    def moved(self) -> Tensor:
        """Mask of the coordinates that the map moves, bool (d,)."""
        return (self.up != 0).any(dim=1) & (self.down.any() | self.bias.any())

    @property
    def invertible(self) -> Tensor:
        """Mask of the directions that have a usable inverse, bool (r,).

        All of them have one if the map reads the input: then λ < 0 subtracts it.
        """
        if self.reads_input:
            return torch.ones_like(self.bias, dtype=torch.bool)
        return torch.linalg.svdvals(self._core) >= SMALLEST_SCALE

    @property
    def extreme(self) -> Tensor:
        """Mask of the directions that grow more than tenfold or move by over 1000, bool (r,)."""
        reach = self.up.norm(dim=0)
        return (reach * self.down.norm(dim=1) > 10) | (reach * self.bias.abs() > 1000)

    def to(self, device: torch.device) -> LowRankMap:
        """Return the map on a device; itself if it is there already."""
        if self.up.device == self.down.device == self.bias.device == device:
            return self
        up, down, bias = (part.to(device) for part in (self.up, self.down, self.bias))
        return LowRankMap(up, down, bias, self.reads_input)

    def at(self, strength: float | Tensor) -> LowRankMap:
        """Return the low-rank map that applies this one at strength λ.

        λ ≥ 0: z + λ(T(z) - z); λ < 0: z + |λ|(T⁻¹(z) - z) with
        T⁻¹(z) = z - up (I + down up)⁻¹ (down z + bias), by the formula of Woodbury. A map that
        reads the input has no inverse; there λ < 0 subtracts it, z - |λ|(T(z) - z).

        Args:
            strength: one number, or a tensor (n,) with one λ per row of the batch.

        Returns:
            A map with `down` of shape (r, k), or (n, r, k) for a tensor of strengths.
        """
        if isinstance(strength, Tensor):
            rows = strength.to(self.up)[:, None, None]  # (n, 1, 1)
            return self._mixed(rows * torch.where(rows < 0, self._inverse, self._identity))
        if strength == 1:
            return self
        return self._mixed(strength * (self._inverse if strength < 0 else self._identity))

    def repeated(self, times: int) -> LowRankMap:
        """Return a map of n rows for a batch that repeats them, row by row in the same order."""
        down, bias = self.down.repeat(times, 1, 1), self.bias.repeat(times, 1)
        return LowRankMap(self.up, down, bias, self.reads_input)

    def chosen(self, rows: Sequence[int]) -> LowRankMap:
        """Return a map of these of the n rows, in this order."""
        return LowRankMap(self.up, self.down[[*rows]], self.bias[[*rows]], self.reads_input)

    def misread(self, read: Tensor, axis: int, *, called: bool) -> str:
        """Return why a module's input is not what the map reads; empty if it is, or need not be.

        Args:
            read: the input of the module.
            axis: axis of the coordinates.
            called: whether the module was called with its input as a positional argument.
        """
        found, wanted = read.shape[axis], self.down.shape[-1]
        if not self.reads_input or (called and found == wanted):
            return ""
        return f"reads {found} coordinates, the map {wanted}" if called else "hides its input"

    def apply(self, output: Tensor, axis: int, read: Tensor) -> Tensor:
        """Apply the map to a module's output.

        Args:
            output: z, with d coordinates on `axis`; the rows of the batch are on axis 0.
            axis: axis of the coordinates, 1 or -1.
            read: the input of the module, laid out as the output.

        Returns:
            A tensor like `output`.
        """
        x = (read if self.reads_input else output).movedim(axis, -1).float()
        positions = x.reshape(len(x), -1, x.shape[-1])  # (n, t, k)
        hidden = positions @ self.down.mT + self.bias.unsqueeze(-2)  # (n, t, r)
        change = (hidden @ self.up.mT).reshape(*x.shape[:-1], self.width).movedim(-1, axis)
        return (output + change).to(output.dtype)

    @property
    def _core(self) -> Tensor:
        """By how much the map multiplies its directions: I + down up, (r, r)."""
        return self._identity + self.down @ self.up

    @property
    def _identity(self) -> Tensor:
        return torch.eye(self.up.shape[1], device=self.up.device)

    @property
    def _inverse(self) -> Tensor:
        if self.reads_input:
            return self._identity
        return torch.linalg.pinv(self._core, atol=SMALLEST_SCALE, rtol=0.0)

    def _mixed(self, core: Tensor) -> LowRankMap:
        """The map whose directions are multiplied by a matrix, (r, r) or (n, r, r)."""
        bias = (core @ self.bias.unsqueeze(-1)).squeeze(-1)
        return LowRankMap(self.up, core @ self.down, bias, self.reads_input)
