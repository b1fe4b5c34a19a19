"""What came of a run, told in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from lineas_core import SteeringMaps

__all__ = ["advice"]

_SMALL_EFFECT = 0.8  # less than a fifth of the distance gone
_OVERFITTED = 1.05
_ALIKE = 0.05  # in units of spread²; no set that taught anything began below 0.13


def advice(records: Sequence[Mapping[str, Any]], maps: SteeringMaps) -> list[str]:
    """What came of a run and what to do next, in plain sentences.

    Args:
        records: as `Jobs.records` gives them.
        maps: what was learnt.
    """
    lines = _outcome(records, maps)
    if cut := maps.metadata.get("truncated"):
        lines.append(
            f"{cut} {'prompt was' if cut == 1 else 'prompts were'} longer than the model reads: "
            "what stands at their end did not count."
        )
    if all(r["heldout"] is None for r in records):
        lines.append("Hold some prompts out to see whether the map works on new sentences.")
    lines.append(f"{maps.support:.0%} of the coordinates are moved.")
    if kept := maps.not_invertible:
        lines.append(f"{kept} coordinates cannot be inverted and stay as they are for λ < 0.")
    return lines


def _outcome(records: Sequence[Mapping[str, Any]], maps: SteeringMaps) -> list[str]:
    """The distance before and after, and what it asks for."""
    heldout = [(r["iteration"], r["heldout"]) for r in records if r["heldout"] is not None]
    points = heldout or [(r["iteration"], r["loss"]) for r in records if r["loss"] is not None]
    if not points:  # a method without iterations has no loss either
        return []
    (_, start), (_, end) = points[0], points[-1]
    strength = maps.metadata.get("strength", 1.0)
    at = f" at λ = {strength:g}" if strength != 1 else ""
    name = "Held-out distance" if heldout else "Training loss"
    change = f"{end / (start or 1) - 1:+.0%}"
    lines = [f"{name}{at}: {start:.3g} before, {end:.3g} after ({change})."]
    if heldout and start < _ALIKE:
        return [
            *lines,
            "To this model both sides are nearly alike: does it know what they are about?",
        ]
    if all(r["loss"] is None for r in records):
        return lines + _of_a_pass(start, end, maps)
    return lines + _of_steps(start, end, maps) + _of_overfitting(heldout)


def _of_steps(start: float, end: float, maps: SteeringMaps) -> list[str]:
    if maps.support == 0:
        return ["The map changes nothing: lower γ."]
    if end > _SMALL_EFFECT * start:
        return ["The effect is small: more iterations, or prompts that differ more."]
    return []


def _of_overfitting(heldout: Sequence[tuple[int, float]]) -> list[str]:
    iteration, best = min(heldout, key=lambda point: point[1], default=(0, inf))
    if not heldout or heldout[-1][1] <= _OVERFITTED * best:
        return []
    return [
        f"Overfitted: the held-out distance rises since iteration {iteration}. "
        "Use fewer iterations or more prompts."
    ]


def _of_a_pass(start: float, end: float, maps: SteeringMaps) -> list[str]:
    if maps.support == 0:
        return ["The map changes nothing: give prompts that differ."]
    if end > start:
        return ["New sentences end up further from the target: take a smaller λ, or LinEAS."]
    if end > _SMALL_EFFECT * start:
        return ["The effect is small: give prompts that differ more, or take LinEAS."]
    return []
