"""The table about topics: how many texts contain the keyword at each strength."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from lineas_core.evaluation.inputs import STRENGTHS
from lineas_core.learning.config import BUDGETS, LearnConfig
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.tables.cells import Cell
from lineas_core.tables.continuations import (
    PANELS,
    SEEDS,
    Continuations,
    format_share,
    share_of,
)
from lineas_core.tables.table import Needs, Table
from lineas_core.tables.verdicts import at_full, at_zero
from lineas_core.tables.workbench import LANGUAGE_MODELS, PROMPTS, Workbench, lines_of

__all__ = ["MEASURE", "OPENINGS", "TABLES", "TOPICS", "topic_work"]

TOPICS = ("football", "night", "day", "elephant", "fishing")
OPENINGS = 21
"""Number of neutral openings."""
MEASURE = (
    "Each cell shows the share of continuations that contain the keyword, with the standard "
    "deviation over four seeds, and the perplexity of the continuations under the unsteered model"
)
_BUDGETS = {"small": ("quick", "thorough"), "paper": ("paper (language)",)}


def topic_work(model: str, topic: str, config: LearnConfig) -> Callable[[Workbench], dict]:
    """Return the work of a cell: learn a topic, and count it in continuations."""
    prompts = PromptSet.load(PROMPTS / f"{topic}.json")
    continuations = Continuations(model, lines_of("neutral-openings.txt"), "topic")

    def work(bench: Workbench) -> dict[str, Any]:
        maps = bench.maps(bench.model(model), prompts, config=config)
        return continuations.measure(bench, maps)

    return work


def _cells(edition: str) -> list[Cell]:
    return [
        Cell(
            {"model": model, "topic": topic, "budget": budget},
            topic_work(model, topic, BUDGETS[budget]),
        )
        for budget in _BUDGETS[edition]
        for model in LANGUAGE_MODELS[edition]
        for topic in TOPICS
    ]


def _verdict(done: Sequence[Mapping[str, Any]]) -> str:
    """Report between which shares the lines lie at λ = 0 and at λ = 1."""
    full, before = (
        sorted(row["share"] for row in map(row_of, done)) for row_of in (at_full, at_zero)
    )
    return (
        f"At λ = 1, {full[0]:.0%} to {full[-1]:.0%} of the texts contain the topic's keyword; "
        f"without steering, {before[0]:.0%} to {before[-1]:.0%}."
    )


def _summary(done: Sequence[Mapping[str, Any]]) -> str:
    """Report in how many cells the share rises with every strength from 0 to 1."""
    shares = [[row["share"] for row in cell["rows"] if row["strength"] >= 0] for cell in done]
    rising = sum(all(a < b for a, b in pairwise(share)) for share in shares)
    return (
        f"The share rises at every step from λ = 0 to 1 in {rising} of {len(done)} lines (goal: "
        "all)."
    )


TABLES = (
    Table(
        "topics",
        "Topics brought into texts and taken out",
        "Appendix J",
        f"{MEASURE}; 21 neutral openings, 40 tokens each.",
        _cells,
        format_share,
        PANELS,
        _verdict,
        share_of("texts with the keyword", "topic"),
        _summary,
        lambda _: Needs(texts=OPENINGS * len(SEEDS) * len(STRENGTHS)),
    ),
)
