"""The table about the paper's optimiser settings on small models."""

from __future__ import annotations

from dataclasses import replace

from lineas_core.evaluation.inputs import STRENGTHS
from lineas_core.learning.config import BUDGETS
from lineas_core.tables.cells import Cell
from lineas_core.tables.continuations import PANELS, SEEDS, format_share
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


TABLES = (
    Table(
        "optimisers",
        "The paper's optimiser settings on small models",
        "Section 3.3",
        f"{MEASURE}; football, 80 iterations with either setting.",
        _cells,
        format_share,
        PANELS,
        needs=lambda _: Needs(texts=OPENINGS * len(SEEDS) * len(STRENGTHS)),
    ),
)
