"""Tables about pictures: concepts, layers, sparsity, number of prompts, and methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from lineas_core.evaluation.pictures import Judges, sweep_pictures
from lineas_core.learning.config import FitConfig
from lineas_core.learning.suited import suited
from lineas_core.methods import METHODS
from lineas_core.metrics.clip_score import CLIP, clip_scores
from lineas_core.metrics.dinov2 import DINOV2, dinov2_scores
from lineas_core.models.base import SteerableModel
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.tables.cells import Cell
from lineas_core.tables.names import PAPER_LOSS, name_of
from lineas_core.tables.removal import LEGEND, MAIN, PANELS, format_scores, summarise, verdict
from lineas_core.tables.table import Needs, Table
from lineas_core.tables.verdicts import compared
from lineas_core.tables.workbench import PROMPTS, Workbench, facts_of, lines_of, settings_of

__all__ = ["TABLES"]

_MODEL = {"small": "emoji-world", "paper": "dmd2"}
_BUDGETS = {"small": ("quick", "normal"), "paper": ("paper (DMD2)",)}
_STRENGTHS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
_FEW_STRENGTHS = (-1.0, 0.0, 0.5, 1.0)  # λ = 0 costs nothing
_GAMMAS = {
    "small": [
        *({"sparsity": gamma, "iterations": 80} for gamma in (0.0, 0.5, 2.0, 5.0, 10.0)),
        {"sparsity": 10.0, "iterations": 300},
    ],
    "paper": [{"sparsity": gamma, "iterations": 1000} for gamma in (0.0, 0.2, 0.4, 0.6, 0.8)],
}
_COUNTS = (4, 8, 16, 32, 64)
_THREE = ("vaporwave", "underwater", "robot")
_PRESETS = (
    "all-norms",
    "feed-forward",
    "attention-qk",
    "attention-v",
    "proj-in",
    "resnet-norms",
)


@dataclass(frozen=True)
class _Learning:
    """How the maps of a cell are learnt.

    Attributes:
        budget: a key of `BUDGETS`.
        method: a key of `METHODS`.
        suited: whether LinEAS starts from the settings that suit model and concept, or from the
            bare budget.
        changes: settings that differ from these.
        preset: layer preset or pattern; None is the model's default preset.
        prompts_a_side: number of prompts of each side; None takes all.
    """

    budget: str
    method: str = "lineas"
    suited: bool = True
    changes: Mapping[str, Any] = field(default_factory=dict)
    preset: str | None = None
    prompts_a_side: int | None = None

    def config(self, model: SteerableModel, prompts: PromptSet) -> FitConfig:
        if not (self.suited and METHODS[self.method].iterative):
            return settings_of(self.method, self.budget, **self.changes)
        return replace(suited(model, prompts, self.budget)["config"], **self.changes)


def _measured(
    edition: str,
    concept: str,
    learning: _Learning,
    strengths: Sequence[float] = _FEW_STRENGTHS,
) -> Callable[[Workbench], dict[str, Any]]:
    """Return the work of a cell: learn a concept, and sweep over 32 scenes."""
    factors = [strength * METHODS[learning.method].strength for strength in strengths]

    def work(bench: Workbench) -> dict[str, Any]:
        model, prompts = bench.model(_MODEL[edition]), _prompts(concept)
        config = learning.config(model, prompts)
        if learning.prompts_a_side:
            prompts = prompts.take(learning.prompts_a_side)
        maps = bench.maps(
            model, prompts, config=config, method=learning.method, preset=learning.preset
        )
        scenes = lines_of("neutral-images.txt")
        judges = Judges()
        if edition == "paper":
            clip = partial(clip_scores, description=prompts.keywords[0])
            judges = Judges(clip, dinov2_scores)
        rows = list(sweep_pictures(model, maps, scenes, strengths=factors, judges=judges))
        return {"facts": facts_of(maps), "rows": rows}

    return work


def _prompts(concept: str) -> PromptSet:
    return PromptSet.load(PROMPTS / "images" / f"{concept}.json")


def _concepts(edition: str) -> list[Cell]:
    names = [file.stem for file in sorted((PROMPTS / "images").glob("*.json"))]
    return [
        Cell(
            {"concept": name, "budget": budget},
            _measured(edition, name, _Learning(budget), _STRENGTHS),
        )
        for budget in _BUDGETS[edition]
        for name in names
    ]


def _sparsity(edition: str) -> list[Cell]:
    return [
        Cell(
            {
                "concept": concept,
                "γ": str(changes["sparsity"]),
                "iterations": str(changes["iterations"]),
            },
            _measured(edition, concept, _Learning(_BUDGETS[edition][0], changes=changes)),
        )
        for concept in _THREE
        for changes in _GAMMAS[edition]
    ]


def _varied(
    key: str, learnings: Callable[[str, str], Mapping[str, Mapping[str, Any]]]
) -> Callable[[str], list[Cell]]:
    """Return cells for three concepts that vary one thing.

    Args:
        key: its name.
        learnings: edition, concept -> label -> what differs from `_Learning`.
    """

    def cells(edition: str) -> list[Cell]:
        return [
            Cell(
                {"concept": concept, key: label},
                _measured(edition, concept, _Learning(_BUDGETS[edition][0], **changes)),
            )
            for concept in _THREE
            for label, changes in learnings(edition, concept).items()
        ]

    return cells


def _layers(_edition: str, _concept: str) -> dict[str, dict[str, Any]]:
    return {preset: {"preset": preset} for preset in _PRESETS}


def _counts(_edition: str, concept: str) -> dict[str, dict[str, Any]]:
    prompts = _prompts(concept)
    all_of_them = min(len(prompts.source), len(prompts.target))
    counts = [*(count for count in _COUNTS if count < all_of_them), all_of_them]
    return {str(count): {"prompts_a_side": count} for count in counts}


def _methods(edition: str, _concept: str) -> dict[str, dict[str, Any]]:
    methods: dict[str, dict[str, Any]] = {
        name: {"method": name}
        for name, method in METHODS.items()
        if "text-to-image" in method.kinds
    }
    if edition == "small":
        methods[PAPER_LOSS] = {"suited": False}
    return methods


def _needs(edition: str, strengths: Sequence[float] = _FEW_STRENGTHS) -> Needs:
    """Return 32 scenes with the concept and without it, at every strength."""
    judges = (CLIP, DINOV2) if edition == "paper" else ()
    return Needs((_MODEL[edition], *judges), pictures=2 * 32 * len(strengths))


TABLES = (
    Table(
        "concepts",
        "Fifteen concepts taken out of pictures (λ > 0) and brought in (λ < 0)",
        "Tables 2 and 15, Figure 6",
        f"The normal budget learns both directions, the quick one λ > 0 only. {LEGEND}",
        _concepts,
        format_scores,
        PANELS,
        verdict,
        MAIN,
        summarise,
        partial(_needs, strengths=_STRENGTHS),
    ),
    Table(
        "layers",
        "Which layers to steer",
        "Table 3",
        LEGEND,
        _varied("layers", _layers),
        format_scores,
        PANELS,
        compared("layers", MAIN),
        MAIN,
        needs=_needs,
    ),
    Table(
        "picture-sparsity",
        "How few coordinates suffice",
        "Figure 4 and Table 10",
        f"Support is the share of coordinates that a map moves. {LEGEND}",
        _sparsity,
        format_scores,
        PANELS,
        compared("γ", MAIN, ranked=False),
        MAIN,
        needs=_needs,
    ),
    Table(
        "picture-data",
        "How few prompts suffice",
        "Figure 3",
        f"The last line of a concept has all prompts of its set. {LEGEND}",
        _varied("prompts a side", _counts),
        format_scores,
        PANELS,
        compared("prompts a side", MAIN, ranked=False),
        MAIN,
        needs=_needs,
    ),
    Table(
        "picture-methods",
        "Comparison of methods on pictures",
        "Tables 2 and 15",
        "All methods steer all norms. *LinEAS* is learnt with the settings that suit the model, "
        f"*{name_of(PAPER_LOSS)}* from the maximum of each activation over the picture, as all "
        "other methods are. A method whose recommended strength is not 1 is measured at multiples "
        f"of it. {LEGEND}",
        _varied("method", _methods),
        format_scores,
        PANELS,
        compared("method", MAIN),
        MAIN,
        needs=_needs,
    ),
)
