"""Tell maps with values that no learning gives, such as those of a damaged file."""

from __future__ import annotations

from lineas_core.steering.affine import SteeringMaps

__all__ = ["describe_implausible"]

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
