"""Report on a finished run in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from lineas_core import SteeringMaps
from lineas_core.prompts.errors import plural
from lineas_core.steering.plausible import recommended_strength

from ..html.maps import way_to_target

__all__ = ["report"]

_SMALL_EFFECT = 0.8  # remaining share of the distance from which an effect counts as small
_OVERFITTED = 1.05  # last distance relative to the smallest one
_ALIKE = 0.05  # distance in units of spread²; useful sets started at 0.13 or more


def report(
    records: Sequence[Mapping[str, Any]], maps: SteeringMaps, *, ended_early: bool = False
) -> list[str]:
    """Report the outcome of a run, and what to do next.

    Args:
        records: records from `Jobs.records`.
        maps: the learnt maps.
        ended_early: whether the run ended before its last iteration.

    Returns:
        Whole sentences.
    """
    sentences = _outcome(records, maps, ended_early=ended_early)
    if cut := maps.metadata.get("truncated"):
        subject = "1 prompt was" if cut == 1 else f"{cut} prompts were"
        sentences.append(f"{subject} truncated to the model's context length.")
    if all(r["heldout"] is None for r in records):
        sentences.append("Hold some prompts out to see whether the map works on unseen prompts.")
    sentences.append(f"{maps.support:.0%} of the coordinates are moved.")
    if count := maps.not_invertible:
        sentences.append(f"{plural(count, 'coordinate')} without an inverse: no change for λ < 0.")
    return sentences


def _outcome(
    records: Sequence[Mapping[str, Any]], maps: SteeringMaps, *, ended_early: bool
) -> list[str]:
    """Report the distances before and after, and what follows from them."""
    heldout = [(r["iteration"], r["heldout"]) for r in records if r["heldout"] is not None]
    points = heldout or [(r["iteration"], r["loss"]) for r in records if r["loss"] is not None]
    if not points:  # neither held-out prompts nor iterations
        return []
    (_, start), (_, end) = points[0], points[-1]
    strength = recommended_strength(maps.metadata)
    sentences = [_distances(start, end, strength, heldout=bool(heldout))]
    if heldout and start < _ALIKE:
        sentences.append(
            "The model barely distinguishes the two sides. It may not know the concept."
        )
    elif all(r["loss"] is None for r in records):
        sentences += _after_one_pass(start, end, maps)
    else:
        since = None if ended_early else _overfitted_since(heldout)
        sentences += _after_iterations(start, end, maps, since)
    return sentences


def _distances(start: float, end: float, strength: float, *, heldout: bool) -> str:
    """Report how far the map moves the source prompts towards the target."""
    way = way_to_target(start, end)
    at = f" at λ = {strength:g}" if strength != 1 else ""
    if heldout:
        name, prompts = "held-out distance", "prompts that the map has not seen"
    else:
        name, prompts = "training loss", "the training prompts"
    return f"{way[0].upper()}{way[1:]}{at}, on {prompts} ({name} {start:.3g} → {end:.3g})."


def _after_iterations(
    start: float, end: float, maps: SteeringMaps, overfitted_since: int | None
) -> list[str]:
    """Give one verdict, so that no two contradict each other."""
    if maps.support == 0:
        return ["The map changes nothing. Use a lower γ."]
    if overfitted_since is not None:
        return [
            "The map has overfitted: the held-out distance has risen since iteration "
            f"{overfitted_since}. Use fewer iterations or more prompts."
        ]
    if end > start:
        return ["The map does not help yet. Use more iterations, or more prompts."]
    if end > _SMALL_EFFECT * start:
        return ["The effect is small. Use more iterations, or prompts that differ more."]
    return []


def _overfitted_since(heldout: Sequence[tuple[int, float]]) -> int | None:
    """Return the iteration of the smallest held-out distance, if there was a much smaller one.

    A distance that has only risen was never fitted.
    """
    iteration, best = min(heldout, key=lambda point: point[1], default=(0, inf))
    return iteration if iteration and heldout[-1][1] > _OVERFITTED * best else None


def _after_one_pass(start: float, end: float, maps: SteeringMaps) -> list[str]:
    if maps.support == 0:
        return ["The map changes nothing. Use prompts that differ."]
    if end > start:
        return [
            "On unseen prompts the map moves away from the target. Use a smaller λ, or LinEAS."
        ]
    if end > _SMALL_EFFECT * start:
        return ["The effect is small. Use prompts that differ more, or LinEAS."]
    return []
