"""The figures of painted pictures: what steering did, and the scores of separate networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gradio as gr

from lineas_core.evaluation.effect import Effect

from ..html import charts
from ..studio.maps import MapEntry
from ..studio.mix import Mix
from ..studio.pictures import IMG_SCORE, Pictures
from ..studio.settings import STRIP
from . import html as images_html

__all__ = ["Measured", "curve_of", "figures_of", "short_figures"]


class Measured(NamedTuple):
    """What is shown of measured pictures.

    Attributes:
        figures: the figures of the steered picture.
        goal: the picture that steering should have given, and where it comes from.
        curve: the figures of the strip.
        measured: key of that strip.
    """

    figures: Any = gr.skip()
    goal: Any = gr.skip()
    curve: Any = gr.skip()
    measured: Any = gr.skip()


def figures_of(
    pictures: Pictures, mix: Mix, strengths: Sequence[float], prompt: str, seed: int
) -> Measured | None:
    """Measure the steered picture; return None if it is not painted.

    Args:
        pictures: holds the painted pictures, and paints those to compare with.
        mix: the maps; the effect is that of the first one.
        strengths: λ of each map, -1 to 1.
        prompt: description of the picture.
        seed: seed of the starting noise.
    """
    entry = mix.entries[0]
    effects = pictures.effects(mix.entries, prompt, [strengths], seed=seed)
    scores = pictures.scores(mix.entries, prompt, [strengths], seed=seed)
    if effects is None or scores is None:
        return None
    goal, answer = pictures.right_answer(mix.entries, prompt, strengths, seed=seed) or (None, [])
    sentence = images_html.effect(entry, prompt, goal, effects[0])
    figures = images_html.figures(sentence, {name: values[0] for name, values in scores.items()})
    if goal is None:
        return Measured(figures, images_html.NO_GOAL)
    return Measured(figures, images_html.answer(entry, goal, seed, answer[0].image))


def curve_of(pictures: Pictures, mix: Mix, prompt: str, seed: int) -> str | None:
    """Draw the figures of the strip; return None if it is not painted. Arguments as above."""
    entry, rows = mix.entries[0], [mix.at(strength) for strength in STRIP]
    effects = pictures.effects(mix.entries, prompt, rows, seed=seed)
    scores = pictures.scores(mix.entries, prompt, rows, seed=seed)
    if effects is None or scores is None:
        return None
    lines: dict[str, Sequence[float | None]] = {}
    if IMG_SCORE in scores:
        lines[IMG_SCORE] = scores.pop(IMG_SCORE)
    goals = [goal for strength in STRIP if (goal := pictures.goal(entry, prompt, strength))]
    if goals:
        removes = goals[0].removes
        heights = [_height(each, left=removes) for each in effects]
        if any(height is not None for height in heights):
            lines[f"{entry.title} {'left' if removes else 'added'}"] = heights
    lines |= {f"ConceptScore of {title}": values for title, values in scores.items()}
    return charts.scores(STRIP, lines)


def _height(effect: Effect, *, left: bool) -> float | None:
    """Return a share of the way within the chart, which goes from 0 to 1."""
    if effect.way is None:
        return None
    return min(max(1 - effect.way if left else effect.way, 0), 1)


def short_figures(
    pictures: Pictures, entry: MapEntry, prompt: str, strength: float, seed: int
) -> str:
    """Return what a map did to its picture, as a line of a caption."""
    effects = pictures.effects([entry], prompt, [[strength]], seed=seed)
    if effects is None:  # no longer in the cache
        return ""
    return f"\n{images_html.short_effect(pictures.goal(entry, prompt, strength), effects[0])}"
