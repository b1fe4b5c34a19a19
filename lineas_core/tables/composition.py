"""The table about composition: two topics at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any

from lineas_core.evaluation.texts import sweep_composed
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.tables.cells import Cell
from lineas_core.tables.continuations import SEEDS
from lineas_core.tables.names import name_of
from lineas_core.tables.table import Needs, Table
from lineas_core.tables.topics import OPENINGS, TOPICS
from lineas_core.tables.verdicts import Main
from lineas_core.tables.workbench import (
    LANGUAGE_BUDGET,
    LANGUAGE_MODELS,
    PROMPTS,
    Workbench,
    end_of,
    lines_of,
    settings_of,
)

__all__ = ["TABLES"]

_METHODS = ("lineas", "lin-act")


def _cells(edition: str) -> list[Cell]:
    return [
        Cell(
            {"model": model, "topics": " + ".join(pair), "method": method},
            _work(edition, model, pair, method),
        )
        for model in reversed(LANGUAGE_MODELS[edition])
        for pair in combinations(TOPICS, 2)
        for method in _METHODS
    ]


def _work(
    edition: str, model_name: str, pair: Sequence[str], method: str
) -> Callable[[Workbench], dict]:
    """Learn each topic, then count texts with both, half as many seeds in both orders."""
    config = settings_of(method, LANGUAGE_BUDGET[edition])

    def work(bench: Workbench) -> dict[str, Any]:
        model = bench.model(model_name)
        sets = [PromptSet.load(PROMPTS / f"{topic}.json") for topic in pair]
        maps = [bench.maps(model, prompts, config=config, method=method) for prompts in sets]
        openings, writer = lines_of("neutral-openings.txt"), bench.writer(model_name)
        rows = list(sweep_composed(writer, maps, openings, seeds=SEEDS[:2]))
        return {"facts": end_of(*maps), "rows": rows}

    return work


def _format(row: Mapping[str, Any]) -> str:
    each = " and ".join(f"{share:.0%}" for share in row["each"])
    return f"{row['share']:.1%} ({each}) at {row['perplexity']:.1f}"


def _verdict(done: Sequence[Mapping[str, Any]]) -> str:
    """Report the mean share of texts with both topics at λ = 1, by method."""
    shares: dict[str, list[float]] = {method: [] for method in _METHODS}
    for cell in done:
        at_one = [row["share"] for row in cell["rows"] if row["strength"] == 1]
        shares[cell["key"]["method"]] += at_one
    means = [f"{100 * fmean(of):.1f}% with {name_of(name)}" for name, of in shares.items() if of]
    return (
        f"Texts with both topics at λ = 1, as a mean over the lines: {', '.join(means)}; the "
        "paper reports 19% against 1.3%."
    )


TABLES = (
    Table(
        "composition",
        "Two topics at once",
        "Figure 9",
        "Each cell shows the share of continuations that contain both topics (in parentheses: "
        "each of the two), and the perplexity of the continuations under the unsteered model; 21 "
        "neutral openings, two seeds, both orders of the two maps.",
        _cells,
        _format,
        {"share with both": lambda row: row["share"], "perplexity": lambda r: r["perplexity"]},
        _verdict,
        Main("texts with both topics", lambda row: row["share"]),
        needs=lambda _: Needs(maps=2, texts=OPENINGS * 2 * (1 + 2 * 2)),  # both orders at λ > 0
    ),
)
