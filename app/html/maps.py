"""The facts about a map, and the words that a model knows, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lineas_core import SteeringMaps
from lineas_core.methods import LINEAS
from lineas_core.models.catalog import MODELS
from lineas_core.models.locations import title_of
from lineas_core.prompts.errors import plural

from ..studio.maps import MapEntry
from .basics import hint, link, safe, warning

__all__ = ["about", "summary", "vocabulary", "way_to_target"]


def summary(entry: MapEntry, warnings: Sequence[str] = ()) -> str:
    """Describe a map in two lines: its description, then model, method and quality.

    Args:
        entry: the map.
        warnings: sentences that are shown below.
    """
    by = "" if entry.method == LINEAS else f" · by {safe(entry.method_label)}"
    quality = _quality(entry)
    learnt = f"{by} · {quality}" if quality else by
    return (
        f'<p class="summary">{safe(entry.metadata.get("description", ""))}'
        f"<small>{_licensed(entry.model)}{learnt}</small></p>"
        + "".join(warning(each) for each in warnings)
    )


def about(entry: MapEntry, maps: SteeringMaps) -> str:
    """List how a map was learnt and what it changes."""
    fixed = maps.not_invertible
    facts = {
        "Base model": _licensed(entry.model),
        "Method": safe(entry.method_title),
        "Learnt from": safe(_learnt_from(entry.metadata)),
        "Distance to the target on unseen prompts": _heldout(entry) or "not measured",
        "Steers": safe(f"{len(maps)} modules, {maps.support:.0%} of their coordinates"),
        "Inverse (λ < 0)": safe(f"no change in {plural(fixed, 'coordinate')} without an inverse")
        if fixed
        else "every coordinate has an inverse",
    }
    items = "".join(f"<dt>{name}</dt><dd>{fact}</dd>" for name, fact in facts.items())
    return f'<dl class="facts">{items}</dl>'


def vocabulary(words: Mapping[str, Sequence[str]]) -> str:
    """List the words that a model knows, by heading; empty for a model of free text."""
    if not words:
        return hint("This model understands free text.")
    return "".join(
        f'<section class="words"><h2>{safe(heading)}</h2>'
        f"<ul>{''.join(f'<li>{safe(word)}</li>' for word in listed)}</ul></section>"
        for heading, listed in words.items()
    )


def way_to_target(start: float, end: float) -> str:
    """Say how far a map carries prompts, given their distance to the target before and after."""
    if end > start:
        return "further from the target"
    return f"{1 - end / (start or 1):.0%} of the way to the target"


def _licensed(model: str) -> str:
    entry = MODELS.get(model)
    if entry is None:
        return f'<span title="{safe(model)}">{safe(title_of(model))}</span>'
    return f"{safe(entry.title)} ({link(entry.license_url, entry.license)})"


def _learnt_from(made: Mapping[str, Any]) -> str:
    """Describe the prompts and the optimisation: iterations, epochs, or one pass."""
    config = made["config"] if isinstance(made.get("config"), dict) else {}
    source, target = made.get("source_size", "?"), made.get("target_size", "?")
    prompts = f"{source} source and {target} target prompts"
    if "iteration" not in made:
        epochs = config.get("epochs")
        return f"{prompts}, {epochs} epochs" if epochs else f"{prompts}, in one pass"
    steps = f"{made['iteration']} iterations, optimiser {config.get('optimizer', '?')}"
    return f"{prompts}, {steps}, sparsity γ = {config.get('sparsity', 0)}"


def _quality(entry: MapEntry) -> str:
    """Describe the held-out distance as a share of the way to the target."""
    start, end = entry.metadata.get("heldout_start"), entry.metadata.get("heldout")
    if not isinstance(start, float) or not isinstance(end, float) or start <= 0:
        return ""
    return f"{way_to_target(start, end)} on unseen prompts"


def _heldout(entry: MapEntry) -> str:
    """Return the held-out distance before and after, with its λ unless it was measured at 1."""
    start, end = entry.metadata.get("heldout_start"), entry.metadata.get("heldout")
    if not isinstance(start, float) or not isinstance(end, float):
        return ""
    at = f" at λ = {entry.strength:g}" if entry.strength != 1 else ""
    return f"{start:.2f} before, {end:.2f} after{at}"
