"""Tables about pictures: concepts taken out and brought in, and which layers do it best."""

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
"""What a table calls them -> the name of the budget, and what differs from it."""
_FOR_LOOKS = ("normal, both ways",)  # objects gain nothing both ways, whatever the budget
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
    """Learn, then paint 32 scenes with the concept and without at every strength."""
    own = METHODS[method]
    config = settings_of(method, budget, **changes)
    strengths = [strength * own.strength for strength in _STRENGTHS]

    def work(bench: Workbench) -> dict[str, Any]:
        model = bench.model(_MODEL[edition])
        prompts = PromptSet.load(PROMPTS / "images" / f"{concept}.json")
        if prompts_a_side:
            prompts = prompts.take(prompts_a_side)
        maps = bench.maps(model, prompts, config=config, method=method, preset=preset)
        scenes = lines_of("neutral-images.txt")
        judges = Judges()
        if edition == "paper":
            shown = partial(clip_scores, description=prompts.keywords[0])
            judges = Judges(shown, dinov2_scores)
        rows = list(sweep_pictures(model, maps, scenes, strengths=strengths, judges=judges))
        return {"facts": facts_of(maps), "rows": rows}

    return work


def _concepts(edition: str) -> list[Cell]:
    files = sorted((PROMPTS / "images").glob("*.json"))
    kinds = {file.stem: PromptSet.load(file).kind for file in files}
    return [
        Cell(
            {"concept": name, "budget": called},
            _measured(edition, name, budget=budget, **changes),
        )
        for called, (budget, changes) in _BUDGETS[edition].items()
        for name, kind in kinds.items()
        if kind == "style" or called not in _FOR_LOOKS
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
    """Cells in which one option of `_measured` varies, for three concepts; `key` names it."""

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


def _scores(row: Mapping[str, Any]) -> str:
    """ConceptScore with the concept in the prompt and without, then ImgScore of the former."""
    concepts = [row[side]["concept"] for side in ("with", "without")]
    told = ["-" if score is None else f"{score:.2f}" for score in concepts]
    return f"{told[0]} ({told[1]}) {row['with']['image']:.2f}"


def _goals(done: Sequence[Mapping[str, Any]]) -> str:
    """How many concepts go and come, budget by budget."""
    budgets = dict.fromkeys(cell["key"]["budget"] for cell in done)
    cells = {name: [c for c in done if c["key"]["budget"] == name] for name in budgets}
    reached = {name: _reached(of_it) for name, of_it in cells.items()}
    return "\n\n".join(f"*{name}*: {said}" for name, said in reached.items() if said)


def _reached(done: Sequence[Mapping[str, Any]]) -> str:
    """How many concepts go and come, and what is left of the rest of the picture."""
    full = [{row["strength"]: row for row in cell["rows"]} for cell in done]
    scores = {side: [at[lam][side]["concept"] for at in full] for side, lam in _ENDS.items()}
    untouched = [at[0.0]["with"]["concept"] for at in full]
    if None in untouched or fmean(untouched) < _SEEN:
        return ""  # no probe's scores: those of CLIP are of another size
    kept = [at[1.0]["with"]["image"] for at in full]
    order = [_falling(cell["rows"]) for cell in done]
    gone = sum(score <= _GONE for score in scores["with"])
    came = sum(score >= _SEEN for score in scores["without"])
    return (
        f"{gone} of {len(done)} maps take the concept out at λ = 1 (ConceptScore {_GONE} or "
        f"less; goal: all). ImgScore there is {fmean(kept):.2f} on average (goal 0.75; the "
        f"paper reports 0.66 of DINOv2), {min(kept):.2f} at the lowest. The rank correlation of "
        f"ConceptScore and λ from 0 to 1 is {max(order):.2f} or stronger (goal -0.97). At "
        f"λ = -1, {came} of {len(done)} bring the concept into scenes that do not ask for it, "
        f"at a ConceptScore of {_SEEN} or more (goal: all)."
    )


def _falling(rows: Sequence[Mapping[str, Any]]) -> float:
    """Spearman's rank correlation of ConceptScore and the strengths that take out."""
    taking = [row for row in rows if row["strength"] >= 0]
    strengths, scores = zip(*((r["strength"], r["with"]["concept"]) for r in taking), strict=True)
    return rank_correlation(strengths, scores)


_GONE, _SEEN = 0.15, 0.5
_ENDS = {"with": 1.0, "without": -1.0}

_MEASURE = (
    "A cell says ConceptScore (CLIPScore in the paper's edition) of 32 scenes with the concept in "
    "the prompt, in brackets of the same scenes without it, then ImgScore of the former against "
    "λ = 0"
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
        _scores,
        _PANELS,
        _goals,
    ),
    Table(
        "layers",
        "Which layers to steer",
        "Table 3",
        f"{_MEASURE}.",
        _varied("layers", "preset", _PRESETS),
        _scores,
        _PANELS,
    ),
    Table(
        "picture-sparsity",
        "How few coordinates suffice",
        "Figure 4 and Table 10",
        f"{_MEASURE}. Support is the share of coordinates that a map moves.",
        _sparsity,
        _scores,
        _PANELS,
    ),
    Table(
        "picture-data",
        "How few prompts suffice",
        "Figure 3",
        f"{_MEASURE}.",
        _varied("prompts a side", "prompts_a_side", _COUNTS),
        _scores,
        _PANELS,
    ),
    Table(
        "picture-methods",
        "Methods beside each other on pictures",
        "Tables 2 and 15",
        f"{_MEASURE}. All methods steer all norms and learn from the maximum over the picture. A "
        "method whose own strength is not 1 is measured at multiples of it.",
        _varied("method", "method", METHODS),
        _scores,
        _PANELS,
    ),
)
