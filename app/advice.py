"""What came of a run, told in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lineas_core import SteeringMaps

__all__ = ["advice"]

_SMALL_EFFECT = 0.8  # less than a fifth of the distance gone
_OVERFITTED = 1.05


def advice(records: Sequence[Mapping[str, Any]], maps: SteeringMaps) -> list[str]:
    """What came of a run and what to do next, in plain sentences.

    Args:
        records: as `Jobs.records` gives them.
        maps: what was learnt.
    """
    heldout = [(r["iteration"], r["heldout"]) for r in records if r["heldout"] is not None]
    key = "heldout" if heldout else "loss"
    start, end = (
        next(r[key] for r in run if r[key] is not None) for run in (records, records[::-1])
    )
    name = "Held-out distance" if heldout else "Training loss"
    lines = [f"{name}: {start:.3g} before, {end:.3g} after ({end / (start or 1) - 1:+.0%})."]
    if not heldout:
        lines.append("Hold some prompts out to see whether the map works on new sentences.")
    if maps.support == 0:
        lines.append("The map changes nothing: lower γ.")
    elif end > _SMALL_EFFECT * start:
        lines.append("The effect is small: more iterations, or prompts that differ more.")
    best = min(heldout, key=lambda point: point[1], default=(0, end))
    if end > _OVERFITTED * best[1]:
        lines.append(
            f"Overfitted: the held-out distance rises since iteration {best[0]}. "
            "Use fewer iterations or more prompts."
        )
    lines.append(f"{maps.support:.0%} of the coordinates are moved.")
    if kept := maps.not_invertible:
        lines.append(f"{kept} coordinates cannot be inverted and stay as they are for λ < 0.")
    return lines
