"""The table about the paper's optimiser settings on small models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lineas_core.evaluation.inputs import STRENGTHS
from lineas_core.learning.config import BUDGETS
from lineas_core.tables.cells import Cell
from lineas_core.tables.continuations import PANELS, SEEDS, format_share, share_of
from lineas_core.tables.table import Needs, Table
from lineas_core.tables.topics import MEASURE, OPENINGS, topic_work
from lineas_core.tables.workbench import LANGUAGE_MODELS

__all__ = ["TABLES"]


def _cells(edition: str) -> list[Cell]:
    iterations = BUDGETS["quick"].iterations
    configs = {
        name: replace(BUDGETS[name], iterations=iterations)
        for name in ("quick", "paper (language)")
    }
    return [
        Cell({"model": model, "settings": name}, topic_work(model, "football", config))
        for model in LANGUAGE_MODELS[edition]
        for name, config in configs.items()
    ]


def _verdict(done: Sequence[Mapping[str, Any]]) -> str:
    """Say how many runs diverged with either settings."""
    names = dict.fromkeys(cell["key"]["settings"] for cell in done)
    counts = []
    for name in names:
        ends = [cell["facts"].get("end") for cell in done if cell["key"]["settings"] == name]
        counts.append(f"{ends.count('diverged')} of {len(ends)} with “{name}”")
    return f"Runs that diverged: {', '.join(counts)}."


TABLES = (
    Table(
        "optimisers",
        "The paper's optimiser settings on small models",
        "Section 3.3",
        f"{MEASURE}; football, 80 iterations with either setting.",
        _cells,
        format_share,
        PANELS,
        _verdict,
        share_of("texts with the keyword", "topic"),
        needs=lambda _: Needs(texts=OPENINGS * len(SEEDS) * len(STRENGTHS)),
    ),
)
