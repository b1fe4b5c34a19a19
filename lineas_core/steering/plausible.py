"""Recognise values of a map file that no learning gives, such as those of a damaged file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lineas_core.steering.affine import SteeringMaps

__all__ = ["describe_implausible", "recommended_strength"]

_MOST_EXTREME = 0.5  # of the coordinates; AURA silences some, so up to a fifth has a scale of 0


def describe_implausible(maps: SteeringMaps) -> str:
    """Say which values there are that no learnt map has; empty if there are hardly any."""
    if maps.extreme <= _MOST_EXTREME:
        return ""
    found = f"{maps.extreme:.0%} of its coordinates have values that no learnt map has"
    if not maps.affine:
        return found
    scale, shift = maps.ranges
    return (
        f"{found} (scales {scale[0]:.3g} to {scale[1]:.3g}, "
        f"shifts {shift[0]:.3g} to {shift[1]:.3g})"
    )


def recommended_strength(metadata: Mapping[str, Any]) -> float:
    """Return the λ of the method that learnt a map, above 0 and at most 1.

    Args:
        metadata: that of the map; without a usable value the strength is 1.
    """
    value = metadata.get("strength")
    return value if isinstance(value, float) and 0 < value <= 1 else 1.0
