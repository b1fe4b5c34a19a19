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

__all__ = ["SMALLEST_SCALE", "AffineMap", "SteeringMaps", "Strength", "compose"]

SMALLEST_SCALE = 1e-3
"""Coordinates with |scale| below this have no usable inverse and are not steered for λ < 0."""
_MOST_EXTREME = 0.1  # of the coordinates; of the ready-made maps hardly any is extreme

Strength = float | Sequence[float]
"""One λ for the whole batch, or one λ per row."""


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
    def invertible(self) -> Tensor:
        """Mask of the coordinates that have a usable inverse, bool (d,)."""
        return self.scale.abs() >= SMALLEST_SCALE

    @property
    def moved(self) -> Tensor:
        """Mask of the coordinates where the map is not exactly the identity, bool (d,)."""
        return (self.scale != 1) | (self.shift != 0)

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

    def then(self, other: AffineMap) -> AffineMap:
        """Return one map that applies this one first and `other` second."""
        return AffineMap(other.scale * self.scale, other.scale * self.shift + other.shift)

    def _inverse(self, strength: float | Tensor) -> AffineMap:
        # This `where` keeps 1/ω finite; without it, the masked coordinates would yield NaN.
        safe = torch.where(self.invertible, self.scale, 1.0)
        scale = 1 - strength * (1 / safe - 1)
        return AffineMap(scale, torch.where(self.invertible, strength * self.shift / safe, 0.0))


@dataclass(frozen=True, eq=False)
class SteeringMaps(Mapping[str, AffineMap]):
    """Learnt maps: one `AffineMap` per module, with metadata.

    Attributes:
        maps: module name (dotted path in the network) -> map, in the order of execution.
        metadata: JSON-like record of model, prompts, settings and measurements.
    """

    maps: dict[str, AffineMap]
    metadata: dict = field(default_factory=dict)

    def __getitem__(self, name: str) -> AffineMap:
        return self.maps[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.maps)

    def __len__(self) -> int:
        return len(self.maps)

    @property
    def support(self) -> float:
        """Share of coordinates moved, 0 to 1 (LinEAS, section 4.3)."""
        moved = torch.cat([m.moved for m in self.values()])
        return moved.double().mean().item()

    @property
    def not_invertible(self) -> int:
        """Number of coordinates that are not steered for λ < 0."""
        return sum(int((~m.invertible).sum()) for m in self.values())

    @property
    def reflected(self) -> int:
        """Number of coordinates with scale < 0, which reverse the order and are no transport."""
        return sum(int((m.scale < 0).sum()) for m in self.values())

    @property
    def extreme(self) -> float:
        """Share of coordinates with |scale| < 0.01 or > 10 or |shift| > 1000, 0 to 1."""
        scale = torch.cat([m.scale for m in self.values()]).abs()
        shift = torch.cat([m.shift for m in self.values()]).abs()
        found = (scale < 0.01) | (scale > 10) | (shift > 1000)
        return found.double().mean().item()

    @property
    def ranges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Smallest and largest scale, and smallest and largest shift."""
        scale = torch.cat([m.scale for m in self.values()])
        shift = torch.cat([m.shift for m in self.values()])
        return (
            (scale.min().item(), scale.max().item()),
            (shift.min().item(), shift.max().item()),
        )

    @property
    def implausible(self) -> str:
        """What values there are that no learnt map has; empty if there are hardly any."""
        if self.extreme <= _MOST_EXTREME:
            return ""
        scale, shift = self.ranges
        return (
            f"{self.extreme:.0%} of its coordinates have values that no learnt map has (scales "
            f"{scale[0]:.3g} to {scale[1]:.3g}, shifts {shift[0]:.3g} to {shift[1]:.3g})"
        )

    def at(self, strength: Strength) -> SteeringMaps:
        """Return every map at strength λ, see `AffineMap.at`.

        Raises:
            UserError: the strength is not finite.
        """
        checked = check_strength(strength)
        return self._changed(lambda step: step.at(checked))

    def to(self, device: torch.device) -> SteeringMaps:
        """Return the maps on a device; themselves if they are there already."""
        if all(m.scale.device == m.shift.device == device for m in self.values()):
            return self
        return self._changed(lambda step: step.to(device))

    def _changed(self, change: Callable[[AffineMap], AffineMap]) -> SteeringMaps:
        maps = list(self.values())
        if len({(m.scale.shape[:-1], m.scale.device) for m in maps}) != 1:
            changed = map(change, maps)  # no maps, or shapes or devices differ
        else:
            # One concatenated map: many small tensors take ten times as long.
            scale = torch.cat([m.scale for m in maps], -1)
            shift = torch.cat([m.shift for m in maps], -1)
            whole, widths = change(AffineMap(scale, shift)), [m.width for m in maps]
            changed = map(AffineMap, whole.scale.split(widths, -1), whole.shift.split(widths, -1))
        return SteeringMaps(dict(zip(self, changed, strict=True)), self.metadata)


def compose(maps: Sequence[SteeringMaps], strengths: Sequence[Strength]) -> SteeringMaps:
    """Compose the maps of several concepts into one affine map per module (LinEAS, section F).

    T^{c2}(T^{c1}(z)): the first concept acts first, each at its own strength. Apply the result
    at strength 1; its cost does not depend on the number of concepts.

    Args:
        maps: the concepts, in the order in which they act. Module sets may differ.
        strengths: one λ, or one λ per row of the batch, for each concept.

    Returns:
        The composed maps, without metadata.

    Raises:
        UserError: the two sequences differ in length, two maps disagree on a width, or two
            strengths on the number of rows.
    """
    if len(maps) != len(strengths):
        raise UserError(
            "E_STRENGTH",
            f"{len(maps)} maps came with {len(strengths)} strengths",
            remedy="Give one strength for each map.",
        )
    checked = map(check_strength, strengths)
    rows = {len(strength) for strength in checked if isinstance(strength, Tensor)}
    if len(rows) > 1:
        raise UserError(
            "E_STRENGTH",
            f"the maps came with {' and '.join(map(str, sorted(rows)))} strengths for the rows",
            remedy="Give every map one strength, or as many as there are rows.",
        )
    composed: dict[str, AffineMap] = {}
    for concept, strength in zip(maps, strengths, strict=True):
        for name, step in concept.at(strength).items():
            before = composed.get(name)
            if before is not None and before.width != step.width:
                raise UserError(
                    "E_MODEL",
                    f"the maps to compose disagree on {name}: {before.width} and {step.width} "
                    "coordinates",
                    remedy="Compose maps that were learnt on the same model.",
                )
            composed[name] = before.to(step.scale.device).then(step) if before else step
    return SteeringMaps(composed)


def check_strength(strength: Strength) -> float | Tensor:
    """Validate a strength.

    Returns:
        A finite float, or a finite float32 tensor (n,) for one λ per row.

    Raises:
        UserError: the strength is not a number, or is NaN or infinite.
    """
    try:
        value = torch.as_tensor(strength, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        value = torch.tensor(float("nan"))
    if isinstance(strength, bool | str) or value.dim() > 1 or not value.isfinite().all():
        raise UserError(
            "E_STRENGTH",
            f"strength is {strength!r}",
            remedy="Give a number, usually from -1 to 1, or one number per prompt.",
        )
    return value if value.dim() else float(strength)  # type: ignore[arg-type]
