"""Affine maps with one scale and one shift per coordinate (LinEAS, Eq. 3.5).

z        activation with d coordinates
T(z)     scale * z + shift, coordinate by coordinate
λ        strength: 0 leaves the network unchanged, 1 applies the map in full, negative values
         apply its inverse
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.steering.fused import multiply_add
from lineas_core.steering.low_rank import SMALLEST_SCALE, LowRankMap
from lineas_core.steering.strength import Strength, check_strength

__all__ = ["SMALLEST_SCALE", "AffineMap", "SteeringMaps", "compose"]

@dataclass(frozen=True, eq=False)
class AffineMap:
    """The map T(z) = scale * z + shift (LinEAS, Eq. 3.5).

    Attributes:
        scale: ω, (d,); or (n, d) with one map per row of the batch.
        shift: b, of the same shape and on the same device.
    """

    scale: Tensor
    shift: Tensor

    @classmethod
    def identity(cls, width: int) -> AffineMap:
        """Return the identity map on `width` coordinates, float32 on the CPU."""
        return cls(torch.ones(width), torch.zeros(width))

    @property
    def width(self) -> int:
        """Number of coordinates d."""
        return self.scale.shape[-1]

    @property
    def rows(self) -> int | None:
        """Number of rows of the batch that have a map each; None if all have the same."""
        return len(self.scale) if self.scale.dim() == 2 else None

    @property
    def invertible(self) -> Tensor:
        """Mask of the coordinates that have a usable inverse, bool (d,)."""
        return self.scale.abs() >= SMALLEST_SCALE

    @property
    def moved(self) -> Tensor:
        """Mask of the coordinates where the map is not exactly the identity, bool (d,)."""
        return (self.scale != 1) | (self.shift != 0)

    @property
    def extreme(self) -> Tensor:
        """Mask of the coordinates with |scale| < 0.01 or > 10 or |shift| > 1000, bool (d,)."""
        size = self.scale.abs()
        return (size < 0.01) | (size > 10) | (self.shift.abs() > 1000)

    def to(self, device: torch.device) -> AffineMap:
        """Return the map on a device; itself if it is there already."""
        if self.scale.device == self.shift.device == device:
            return self
        return AffineMap(self.scale.to(device), self.shift.to(device))

    def at(self, strength: float | Tensor) -> AffineMap:
        """Return the affine map that applies this one at strength λ.

        λ ≥ 0: z + λ(T(z) - z); λ < 0: z + |λ|(T⁻¹(z) - z) with T⁻¹(z) = (z - shift) / scale
        (LinEAS, sections 3.1 and 4.4). Coordinates without a usable inverse keep the identity
        for λ < 0.

        Args:
            strength: one number, or a tensor (n,) with one λ per row of the batch.

        Returns:
            A map of shape (d,), or (n, d) for a tensor of strengths.
        """
        if isinstance(strength, Tensor):
            rows = strength.to(self.scale).unsqueeze(-1)  # (n, 1)
            inverse = self._inverse(rows)
            return AffineMap(
                torch.where(rows < 0, inverse.scale, 1 + rows * (self.scale - 1)),
                torch.where(rows < 0, inverse.shift, rows * self.shift),
            )
        if strength == 1:  # exactly T: 1 + (scale - 1) would round
            return self
        if strength < 0:
            return self._inverse(strength)
        return AffineMap(1 + strength * (self.scale - 1), strength * self.shift)

    def repeated(self, times: int) -> AffineMap:
        """Return a map of n rows for a batch that repeats them, row by row in the same order."""
        return AffineMap(self.scale.repeat(times, 1), self.shift.repeat(times, 1))

    def chosen(self, rows: Sequence[int]) -> AffineMap:
        """Return a map of these of the n rows, in this order."""
        return AffineMap(self.scale[[*rows]], self.shift[[*rows]])

    def apply(self, output: Tensor, axis: int, read: Tensor) -> Tensor:  # noqa: ARG002
        """Apply the map to a module's output, whose coordinates are on `axis`.

        The input of the module, `read`, has no effect; see `LowRankMap.apply`.
        """
        return multiply_add(output, self.scale, self.shift, axis)

    def then(self, other: AffineMap) -> AffineMap:
        """Return one map that applies this one first and `other` second."""
        return AffineMap(other.scale * self.scale, other.scale * self.shift + other.shift)

    def _inverse(self, strength: float | Tensor) -> AffineMap:
        # This `where` keeps 1/ω finite; without it, the masked coordinates would yield NaN.
        safe = torch.where(self.invertible, self.scale, 1.0)
        scale = 1 - strength * (1 / safe - 1)
        return AffineMap(scale, torch.where(self.invertible, strength * self.shift / safe, 0.0))


@dataclass(frozen=True, eq=False)
class SteeringMaps(Mapping[str, AffineMap | LowRankMap]):
    """Learnt maps: one `AffineMap` or `LowRankMap` per module, with metadata.

    Attributes:
        maps: module name (dotted path in the network) -> map, in the order of execution.
        metadata: JSON-like record of model, prompts, settings and measurements.
    """

    maps: Mapping[str, AffineMap | LowRankMap]
    metadata: dict = field(default_factory=dict)

    def __getitem__(self, name: str) -> AffineMap | LowRankMap:
        return self.maps[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.maps)

    def __len__(self) -> int:
        return len(self.maps)

    @property
    def affine(self) -> dict[str, AffineMap]:
        """Those of the maps that have a scale and a shift for each coordinate."""
        return {name: m for name, m in self.maps.items() if isinstance(m, AffineMap)}

    @property
    def support(self) -> float:
        """Share of coordinates moved, 0 to 1 (LinEAS, section 4.3)."""
        moved = torch.cat([m.moved for m in self.values()])
        return moved.double().mean().item()

    @property
    def not_invertible(self) -> int:
        """Number of coordinates, in low-rank maps of directions, not steered for λ < 0."""
        return sum(int((~m.invertible).sum()) for m in self.values())

    @property
    def reflected(self) -> int:
        """Number of coordinates with scale < 0, which reverse the order, as no transport does."""
        return sum(int((m.scale < 0).sum()) for m in self.affine.values())

    @property
    def extreme(self) -> float:
        """Share of coordinates and directions that are `extreme` in their map, 0 to 1."""
        return torch.cat([m.extreme for m in self.values()]).double().mean().item()

    @property
    def ranges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Smallest and largest scale, and smallest and largest shift, of the affine maps."""
        scale = torch.cat([m.scale for m in self.affine.values()])
        shift = torch.cat([m.shift for m in self.affine.values()])
        return (
            (scale.min().item(), scale.max().item()),
            (shift.min().item(), shift.max().item()),
        )

    def at(self, strength: Strength) -> SteeringMaps:
        """Return every map at strength λ, see `AffineMap.at` and `LowRankMap.at`.

        Raises:
            UserError: the strength is not finite, or the maps have another number of rows.
        """
        checked = check_strength(strength)
        _check_rows([self], [checked])
        affine = _at_once(self.affine, lambda step: step.at(checked))
        changed = {n: affine.get(n) or step.at(checked) for n, step in self.maps.items()}
        return SteeringMaps(changed, self.metadata)

    def to(self, device: torch.device) -> SteeringMaps:
        """Return the maps on a device; themselves if they are there already."""
        if all(step.to(device) is step for step in self.maps.values()):
            return self
        affine = _at_once(self.affine, lambda step: step.to(device))
        changed = {n: affine.get(n) or step.to(device) for n, step in self.maps.items()}
        return SteeringMaps(changed, self.metadata)


def _at_once(
    maps: Mapping[str, AffineMap], change: Callable[[AffineMap], AffineMap]
) -> dict[str, AffineMap]:
    """Change all maps as one concatenated map: many small tensors take ten times as long."""
    steps = list(maps.values())
    if len({(m.scale.shape[:-1], m.scale.device) for m in steps}) != 1:
        changed = map(change, steps)  # no maps, or shapes or devices differ
    else:
        scale = torch.cat([m.scale for m in steps], -1)
        shift = torch.cat([m.shift for m in steps], -1)
        whole, widths = change(AffineMap(scale, shift)), [m.width for m in steps]
        changed = map(AffineMap, whole.scale.split(widths, -1), whole.shift.split(widths, -1))
    return dict(zip(maps, changed, strict=True))


def compose(maps: Sequence[SteeringMaps], strengths: Sequence[Strength]) -> SteeringMaps:
    """Compose the maps of several concepts into one map per module (LinEAS, section F).

    T^{c2}(T^{c1}(z)): the first concept acts first, each at its own strength. Apply the result
    at strength 1; its cost does not depend on the number of concepts.

    Args:
        maps: the concepts, in the order in which they act. Module sets may differ; a module with
            a low-rank map must be in one of them only.
        strengths: one λ, or one λ per row of the batch, for each concept.

    Returns:
        The composed maps, without metadata.

    Raises:
        UserError: the two sequences differ in length, two maps disagree on a width, or two
            strengths on the number of rows, or two maps of a module are not both affine.
    """
    if len(maps) != len(strengths):
        raise UserError(
            "E_STRENGTH",
            f"{len(maps)} maps came with {len(strengths)} strengths",
            remedy="Give one strength for each map.",
        )
    _check_rows(maps, [check_strength(strength) for strength in strengths])
    composed: dict[str, AffineMap | LowRankMap] = {}
    for concept, strength in zip(maps, strengths, strict=True):
        for name, step in concept.at(strength).items():
            before = composed.get(name)
            composed[name] = _in_turn(name, before, step) if before else step
    return SteeringMaps(composed)


def _check_rows(maps: Sequence[SteeringMaps], strengths: Sequence[float | Tensor]) -> None:
    rows = {len(strength) for strength in strengths if isinstance(strength, Tensor)}
    rows |= {step.rows for each in maps for step in each.values() if step.rows is not None}
    if len(rows) > 1:
        raise UserError(
            "E_STRENGTH",
            f"maps and strengths are for {' and '.join(map(str, sorted(rows)))} rows",
            remedy="Give every map one strength, or as many as there are rows.",
        )


def _in_turn(name: str, before: AffineMap | LowRankMap, step: AffineMap | LowRankMap) -> AffineMap:
    if before.width != step.width:
        raise UserError(
            "E_MODEL",
            f"the maps to compose disagree on {name}: {before.width} and {step.width} coordinates",
            remedy="Compose maps that were learnt on the same model.",
        )
    if not isinstance(before, AffineMap) or not isinstance(step, AffineMap):
        raise UserError(
            "E_COMPOSE",
            f"two maps steer {name}, and not both have a scale and shift per coordinate",
            remedy="Take one of them, or nest one `steer` block in another.",
        )
    return before.to(step.scale.device).then(step)
