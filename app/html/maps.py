"""A map in words and facts, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lineas_core import SteeringMaps
from lineas_core.methods import LINEAS
from lineas_core.models.catalog import MODELS

from ..studio.maps import MapEntry
from .basics import hint, link, safe

__all__ = ["about", "not_learnt", "summary", "vocabulary"]


def not_learnt(words: Sequence[str]) -> list[str]:
    """A sentence about words that are new to a small model; none where there are none."""
    listed = ", ".join(f"“{word}”" for word in words)
    return [f"Words that this small model has not learnt: {listed}."] if words else []


def summary(entry: MapEntry) -> str:
    """A map in two lines, below the menu it was chosen from."""
    by = "" if entry.method == LINEAS else f" · by {safe(entry.method_label)}"
    heldout = _heldout(entry)
    learnt = f"{by} · held-out distance {heldout}" if heldout else by
    return (
        f'<p class="summary">{safe(entry.metadata.get("description", ""))}'
        f"<small>{_licensed(entry.model)}{learnt}</small></p>"
    )


def about(entry: MapEntry, maps: SteeringMaps) -> str:
    """How a map came about and what it does, as a list of facts."""
    kept = maps.not_invertible
    facts = {
        "Base model": _licensed(entry.model),
        "Method": safe(entry.method_title),
        "Learnt from": safe(_learnt_from(entry.metadata)),
        "Held-out distance": _heldout(entry) or "not measured",
        "Steers": safe(f"{len(maps)} modules, {maps.support:.0%} of their coordinates"),
        "Inverse (λ < 0)": safe(f"{kept} coordinates cannot be inverted and stay as they are")
        if kept
        else "every coordinate can be inverted",
    }
    items = "".join(f"<dt>{name}</dt><dd>{fact}</dd>" for name, fact in facts.items())
    return f'<dl class="facts">{items}</dl>'


def vocabulary(words: Mapping[str, Sequence[str]]) -> str:
    """The words that a model knows, under their headings."""
    if not words:
        return hint("This model understands free text.")
    return "".join(
        f'<section class="words"><h3>{safe(heading)}</h3>'
        f"<ul>{''.join(f'<li>{safe(word)}</li>' for word in listed)}</ul></section>"
        for heading, listed in words.items()
    )


def _licensed(model: str) -> str:
    entry = MODELS.get(model)
    if entry is None:
        return safe(model)
    return f"{safe(entry.title)} ({link(entry.license_url, entry.license)})"


def _learnt_from(made: Mapping[str, Any]) -> str:
    """The prompts, and what was done with them; a method without iterations has one pass."""
    config = made["config"] if isinstance(made.get("config"), dict) else {}
    told = (
        f"{made.get('source_size', '?')} source and {made.get('target_size', '?')} target prompts"
    )
    if "iteration" not in made:
        return f"{told}, in one pass"
    steps = f"{made['iteration']} iterations, optimizer {config.get('optimizer', '?')}"
    return f"{told}, {steps}, γ = {config.get('sparsity', 0)}"


def _heldout(entry: MapEntry) -> str:
    """Distance before and after, and the strength it was taken at where that is not 1."""
    start, end = entry.metadata.get("heldout_start"), entry.metadata.get("heldout")
    if not isinstance(start, float) or not isinstance(end, float):
        return ""
    at = f" at λ = {entry.strength:g}" if entry.strength != 1 else ""
    return f"{start:.2f} before, {end:.2f} after{at}"
