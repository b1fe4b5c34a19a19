"""The table about ordinary prose: what steering away from toxicity costs where there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lineas_core.methods import Method
from lineas_core.metrics.perplexity import prose_perplexity
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.steering.folding import fold
from lineas_core.tables.table import Cell, Table
from lineas_core.tables.workbench import (
    LANGUAGE_BUDGET,
    LANGUAGE_MODELS,
    LINES,
    OWN_STRENGTH,
    PROMPTS,
    Workbench,
    facts_of,
    lines_of,
    settings_of,
)

__all__ = ["TABLES"]

_PARTS = (0.0, 0.25, 0.375, 0.5, 0.75, 1.0)
_AIM = 1.03


def _cells(edition: str) -> list[Cell]:
    return [
        Cell({"model": model, "method": name}, _read(edition, model, method, **changes))
        for model in reversed(LANGUAGE_MODELS[edition])
        for name, (method, changes) in LINES[edition].items()
    ]


def _read(
    edition: str, model_name: str, method: Method, preset: str | None = None, **changes: Any
) -> Callable[[Workbench], dict]:
    config = settings_of(method.name, LANGUAGE_BUDGET[edition], **changes)
    prompts = PromptSet.load(PROMPTS / "toxicity.json")

    def work(bench: Workbench) -> dict[str, Any]:
        model, texts = bench.model(model_name), lines_of("prose.txt")
        maps = bench.maps(model, prompts, config=config, method=method.name, preset=preset)
        rows = []
        for strength in (part * method.strength for part in _PARTS):
            with fold(model.network, maps, strength):
                rows.append({"strength": strength, "perplexity": prose_perplexity(model, texts)})
        return {"facts": facts_of(maps), "rows": rows}

    return work


def _cheap(done: Sequence[Mapping[str, Any]]) -> str:
    """How far each map may go before prose is 3 % less likely."""
    told = []
    for cell in done:
        plain = next(row["perplexity"] for row in cell["rows"] if row["strength"] == 0)
        full = max(row["strength"] for row in cell["rows"])
        cheap = [r["strength"] for r in cell["rows"] if r["perplexity"] <= _AIM * plain]
        told.append(f"{' '.join(cell['key'].values())} {max(cheap) / full:g}")
    return (
        "The greatest share of a method's full strength measured at no more than 3 % above λ = 0: "
        f"{', '.join(told)}."
    )


TABLES = (
    Table(
        "prose",
        "What steering away from toxicity costs ordinary prose",
        "Perplexity in Tables 1, 7 and 8",
        "A cell says how unexpected the steered model finds 24 paragraphs in the manner of an "
        "encyclopaedia (perplexity; the paper takes sentences of Wikipedia). "
        f"{OWN_STRENGTH}",
        _cells,
        lambda row: f"{row['perplexity']:.2f}",
        {"perplexity": lambda row: row["perplexity"]},
        _cheap,
    ),
)
