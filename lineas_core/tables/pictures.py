"""Tables about pictures: concepts, layers, sparsity, number of prompts, and methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from lineas_core.evaluation.pictures import Judges, sweep_pictures
from lineas_core.methods import METHODS
from lineas_core.metrics.clip_score import clip_scores
from lineas_core.metrics.dinov2 import dinov2_scores
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.tables.figure import Panels
from lineas_core.tables.table import Cell, Table
from lineas_core.tables.workbench import (
    PROMPTS,
    Workbench,
    facts_of,
    lines_of,
    rank_correlation,
    settings_of,
)

__all__ = ["TABLES"]

_MODEL = {"small": "emoji-world", "paper": "dmd2"}
_BUDGETS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "small": {
        "quick": ("quick", {}),
        "quick, both ways": ("quick", {"both_ways": True}),
        "normal, both ways": ("normal", {"both_ways": True}),
        "thorough": ("thorough", {}),
    },
    "paper": {"paper (DMD2)": ("paper (DMD2)", {})},
}
"""Edition -> label in the table -> name of the budget, and settings that differ from it."""
_FOR_STYLES = ("normal, both ways",)  # objects gain nothing from learning both ways
_STRENGTHS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
_GAMMAS: Mapping[str, Mapping[int, Sequence[float]]] = {  # by iterations
    "small": {80: (0.0, 0.5, 2.0, 5.0, 10.0), 300: (10.0,)},
    "paper": {1000: (0.0, 0.2, 0.4, 0.6, 0.8)},
}
_COUNTS = (4, 8, 16, 32)
_THREE = ("vaporwave", "underwater", "robot")
_PRESETS = (
    "all-norms",
    "feed-forward",
    "attention-qk",
    "attention-v",
    "proj-in",
    "resnet-norms",
)


def _measured(
    edition: str,
    concept: str,
    *,
    budget: str = "quick",
    method: str = "lineas",
    preset: str | None = None,
    prompts_a_side: int | None = None,
    **changes: Any,
) -> Callable[[Workbench], dict[str, Any]]:
    """Return the work of a cell: learn a concept, and sweep over 32 scenes.

    Args:
        edition: `small` or `paper`.
        concept: name of a prompt set for pictures.
        budget: a key of `BUDGETS`.
        method: a key of `METHODS`.
        preset: layer preset or pattern; None is the model's default preset.
        prompts_a_side: number of prompts of each side; None takes all.
        changes: settings that differ from the budget.
    """
    config = settings_of(method, budget, **changes)
    strengths = [strength * METHODS[method].strength for strength in _STRENGTHS]

    def work(bench: Workbench) -> dict[str, Any]:
        model = bench.model(_MODEL[edition])
        prompts = PromptSet.load(PROMPTS / "images" / f"{concept}.json")
        if prompts_a_side:
            prompts = prompts.take(prompts_a_side)
        maps = bench.maps(model, prompts, config=config, method=method, preset=preset)
        scenes = lines_of("neutral-images.txt")
        judges = Judges()
        if edition == "paper":
            clip = partial(clip_scores, description=prompts.keywords[0])
            judges = Judges(clip, dinov2_scores)
        rows = list(sweep_pictures(model, maps, scenes, strengths=strengths, judges=judges))
        return {"facts": facts_of(maps), "rows": rows}

    return work


def _concepts(edition: str) -> list[Cell]:
    files = sorted((PROMPTS / "images").glob("*.json"))
    kinds = {file.stem: PromptSet.load(file).kind for file in files}
    return [
        Cell(
            {"concept": name, "budget": label},
            _measured(edition, name, budget=budget, **changes),
        )
        for label, (budget, changes) in _BUDGETS[edition].items()
        for name, kind in kinds.items()
        if kind == "style" or label not in _FOR_STYLES
    ]


def _sparsity(edition: str) -> list[Cell]:
    (budget, *_) = _BUDGETS[edition]
    return [
        Cell(
            {"concept": concept, "γ": str(gamma), "iterations": str(iterations)},
            _measured(edition, concept, budget=budget, sparsity=gamma, iterations=iterations),
        )
        for concept in _THREE
        for iterations, gammas in _GAMMAS[edition].items()
        for gamma in gammas
    ]


def _varied(key: str, option: str, values: Iterable[Any]) -> Callable[[str], list[Cell]]:
    """Return cells that vary one option of `_measured` for three concepts, labelled `key`."""

    def cells(edition: str) -> list[Cell]:
        (budget, *_) = _BUDGETS[edition]
        return [
            Cell(
                {"concept": concept, key: str(value)},
                _measured(edition, concept, budget=budget, **{option: value}),
            )
            for concept in _THREE
            for value in values
        ]

    return cells


def _format(row: Mapping[str, Any]) -> str:
    """Format ConceptScore with the concept in the prompt (and without), then ImgScore."""
    concepts = [row[side]["concept"] for side in ("with", "without")]
    named, unnamed = ("-" if score is None else f"{score:.2f}" for score in concepts)
    return f"{named} ({unnamed}) {row['with']['image']:.2f}"


def _summary(done: Sequence[Mapping[str, Any]]) -> str:
    """Report how many concepts are removed and added, by budget."""
    budgets = dict.fromkeys(cell["key"]["budget"] for cell in done)
    cells = {name: [c for c in done if c["key"]["budget"] == name] for name in budgets}
    summaries = {name: _summary_of_budget(of_it) for name, of_it in cells.items()}
    return "\n\n".join(f"*{name}*: {text}" for name, text in summaries.items() if text)


def _summary_of_budget(done: Sequence[Mapping[str, Any]]) -> str:
    """Report how many concepts are removed and added, and how similar the pictures remain."""
    full = [{row["strength"]: row for row in cell["rows"]} for cell in done]
    scores = {
        side: [at[strength][side]["concept"] for at in full] for side, strength in _ENDS.items()
    }
    original = [at[0.0]["with"]["concept"] for at in full]
    if None in original or fmean(original) < _SEEN:
        return ""  # not scores of the probe: CLIPScore has another range
    kept = [at[1.0]["with"]["image"] for at in full]
    order = [_falling(cell["rows"]) for cell in done]
    gone = sum(score <= _GONE for score in scores["with"])
    came = sum(score >= _SEEN for score in scores["without"])
    return (
        f"{gone} of {len(done)} maps take the concept out at λ = 1 (ConceptScore {_GONE} or "
        f"less; goal: all). ImgScore there is {fmean(kept):.2f} on average (goal 0.75; the "
        f"paper reports 0.66 of DINOv2), {min(kept):.2f} at the lowest. The rank correlation of "
        f"ConceptScore and λ from 0 to 1 is {max(order):.2f} or stronger (goal -0.97). At "
        f"λ = -1, {came} of {len(done)} add the concept to scenes whose prompt does not name "
        f"it, at a ConceptScore of {_SEEN} or more (goal: all)."
    )


def _falling(rows: Sequence[Mapping[str, Any]]) -> float:
    """Compute the rank correlation of ConceptScore and strength, for strengths from 0 to 1."""
    positive = [row for row in rows if row["strength"] >= 0]
    strengths, scores = zip(
        *((r["strength"], r["with"]["concept"]) for r in positive), strict=True
    )
    return rank_correlation(strengths, scores)


_GONE, _SEEN = 0.15, 0.5
_ENDS = {"with": 1.0, "without": -1.0}

_MEASURE = (
    "Each cell shows ConceptScore (CLIPScore in the paper's edition) of 32 scenes with the "
    "concept in the prompt, in parentheses: the same scenes without it, then ImgScore of the "
    "former against λ = 0"
)

_PANELS: Panels = {
    "ConceptScore, in the prompt": lambda row: row["with"]["concept"],
    "ConceptScore, not in the prompt": lambda row: row["without"]["concept"],
    "ImgScore": lambda row: row["with"]["image"],
}

TABLES = (
    Table(
        "concepts",
        "Fifteen concepts taken out of pictures (λ > 0) and brought in (λ < 0)",
        "Tables 2 and 15, Figure 6",
        f"{_MEASURE}. No map was learnt from these scenes.",
        _concepts,
        _format,
        _PANELS,
        _summary,
    ),
    Table(
        "layers",
        "Which layers to steer",
        "Table 3",
        f"{_MEASURE}.",
        _varied("layers", "preset", _PRESETS),
        _format,
        _PANELS,
    ),
    Table(
        "picture-sparsity",
        "How few coordinates suffice",
        "Figure 4 and Table 10",
        f"{_MEASURE}. Support is the share of coordinates that a map moves.",
        _sparsity,
        _format,
        _PANELS,
    ),
    Table(
        "picture-data",
        "How few prompts suffice",
        "Figure 3",
        f"{_MEASURE}.",
        _varied("prompts a side", "prompts_a_side", _COUNTS),
        _format,
        _PANELS,
    ),
    Table(
        "picture-methods",
        "Comparison of methods on pictures",
        "Tables 2 and 15",
        f"{_MEASURE}. All methods steer all norms and learn from the maximum over the picture. A "
        "method whose recommended strength is not 1 is measured at multiples of it.",
        _varied("method", "method", METHODS),
        _format,
        _PANELS,
    ),
)
