"""Tables about pictures: concepts taken out and brought in, and which layers do it best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lineas_core.baselines import METHODS
from lineas_core.config import BUDGETS
from lineas_core.evaluate import sweep_pictures
from lineas_core.prompts import PromptSet
from lineas_core.tables.figure import Panels
from lineas_core.tables.table import Cell, Table
from lineas_core.tables.workbench import PROMPTS, Workbench, facts_of, lines_of

__all__ = ["TABLES"]

_MODEL = {"small": "emoji-world", "paper": "dmd2"}
_BUDGETS = {"small": ("quick", "thorough"), "paper": ("paper (DMD2)",)}
_STRENGTHS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
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
) -> Callable[[Workbench], dict[str, Any]]:
    """Learn, then paint 32 scenes with the concept and without at every strength."""
    own = METHODS[method]
    config = BUDGETS[budget] if method == "lineas" else own.config
    strengths = [strength * own.strength for strength in _STRENGTHS]

    def work(bench: Workbench) -> dict[str, Any]:
        model = bench.model(_MODEL[edition])
        prompts = PromptSet.load(PROMPTS / "images" / f"{concept}.json")
        maps = bench.maps(model, prompts, config=config, method=method, preset=preset)
        scenes = lines_of("neutral-images.txt")
        rows = list(sweep_pictures(model, maps, scenes, strengths=strengths))
        return {"facts": facts_of(maps), "rows": rows}

    return work


def _concepts(edition: str) -> list[Cell]:
    names = sorted(file.stem for file in (PROMPTS / "images").glob("*.json"))
    return [
        Cell({"concept": name, "budget": budget}, _measured(edition, name, budget=budget))
        for budget in _BUDGETS[edition]
        for name in names
    ]


def _layers(edition: str) -> list[Cell]:
    (budget, *_) = _BUDGETS[edition]
    return [
        Cell(
            {"concept": concept, "layers": preset},
            _measured(edition, concept, budget=budget, preset=preset),
        )
        for concept in _THREE
        for preset in _PRESETS
    ]


def _methods(edition: str) -> list[Cell]:
    (budget, *_) = _BUDGETS[edition]
    return [
        Cell(
            {"concept": concept, "method": method},
            _measured(edition, concept, budget=budget, method=method),
        )
        for concept in _THREE
        for method in METHODS
    ]


def _scores(row: Mapping[str, Any]) -> str:
    """ConceptScore with the concept in the prompt and without, then ImgScore of the former."""
    concepts = [row[side]["concept"] for side in ("with", "without")]
    told = ["-" if score is None else f"{score:.2f}" for score in concepts]
    return f"{told[0]} ({told[1]}) {row['with']['image']:.2f}"


_MEASURE = (
    "A cell says ConceptScore of 32 scenes with the concept in the prompt, in brackets of the "
    "same scenes without it, then ImgScore of the former against λ = 0"
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
    ),
    Table(
        "layers",
        "Which layers to steer",
        "Table 3",
        f"{_MEASURE}.",
        _layers,
        _scores,
        _PANELS,
    ),
    Table(
        "picture-methods",
        "Methods beside each other on pictures",
        "Tables 2 and 15",
        f"{_MEASURE}. A method whose own strength is not 1 is measured at multiples of it.",
        _methods,
        _scores,
        _PANELS,
    ),
)
