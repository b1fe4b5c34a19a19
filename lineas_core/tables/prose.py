"""The table about ordinary prose: its perplexity when steering away from toxicity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lineas_core.methods import LINEAS, Method
from lineas_core.metrics.perplexity import prose_perplexity
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.steering.folding import fold
from lineas_core.tables.cells import Cell
from lineas_core.tables.names import shown_key
from lineas_core.tables.table import Needs, Table
from lineas_core.tables.verdicts import at_full, at_zero
from lineas_core.tables.workbench import (
    LANGUAGE_BUDGET,
    LANGUAGE_MODELS,
    LINES,
    ORACLES,
    OWN_STRENGTH,
    PROMPTS,
    REWARDS,
    Workbench,
    facts_of,
    lines_of,
    settings_of,
)

__all__ = ["TABLES"]

_PARTS = (0.0, 0.25, 0.375, 0.5, 0.75, 1.0)
_TOLERATED = 1.03  # times the perplexity at λ = 0


def _cells(edition: str) -> list[Cell]:
    found = [
        Cell({"model": model, "method": name}, _work(edition, model, method, **changes))
        for model in reversed(LANGUAGE_MODELS[edition])
        for name, (method, changes) in LINES[edition].items()
    ]
    return sorted(found, key=lambda cell: cell.key["method"] in ORACLES)


def _work(
    edition: str, model_name: str, method: Method, preset: str | None = None, **changes: Any
) -> Callable[[Workbench], dict]:
    config = settings_of(method.name, LANGUAGE_BUDGET[edition], **changes)
    prompts = PromptSet.load(PROMPTS / "toxicity.json")

    def work(bench: Workbench) -> dict[str, Any]:
        model, texts = bench.model(model_name), lines_of("prose.txt")
        maps = bench.maps(
            model,
            prompts,
            config=config,
            method=method.name,
            preset=preset,
            judge=REWARDS[edition],
        )
        rows = []
        for strength in (part * method.strength for part in _PARTS):
            with fold(model.network, maps, strength):
                rows.append({"strength": strength, "perplexity": prose_perplexity(model, texts)})
        return {"facts": facts_of(maps), "rows": rows}

    return work


def _summary(done: Sequence[Mapping[str, Any]]) -> str:
    """Report the highest strength of each method that raises perplexity by 3% at most."""
    shares = []
    for cell in done:
        original = next(row["perplexity"] for row in cell["rows"] if row["strength"] == 0)
        full = max(row["strength"] for row in cell["rows"])
        tolerated = [
            r["strength"] for r in cell["rows"] if r["perplexity"] <= _TOLERATED * original
        ]
        line = ", ".join(shown_key(cell["key"]).values())
        shares.append(f"{max(tolerated) / full:g} ({line})")
    return (
        "The greatest share of a method's full strength measured at no more than 3% above λ = 0: "
        f"{', '.join(shares)}."
    )


def _verdict(done: Sequence[Mapping[str, Any]]) -> str:
    """Report by how much each kind of LinEAS raises perplexity at full strength, by model."""
    rises: dict[str, list[str]] = {}
    for cell in done:
        if cell["key"]["method"].startswith(LINEAS):
            rise = at_full(cell)["perplexity"] / at_zero(cell)["perplexity"] - 1
            key = shown_key(cell["key"])
            rises.setdefault(key["model"], []).append(f"{rise:.1%} ({key['method']})")
    by_model = "; ".join(f"{', '.join(each)} on {model}" for model, each in rises.items())
    return f"At full strength, the perplexity of ordinary prose rises by {by_model}."


TABLES = (
    Table(
        "prose",
        "What steering away from toxicity costs ordinary prose",
        "Perplexity in Tables 1, 7 and 8",
        "Each cell shows the perplexity of 24 encyclopaedia-style paragraphs under the steered "
        "model (the paper takes sentences of Wikipedia). "
        f"{OWN_STRENGTH}",
        _cells,
        lambda row: f"{row['perplexity']:.2f}",
        {"perplexity": lambda row: row["perplexity"]},
        _verdict,
        None,
        _summary,
        lambda _: Needs(answers=24 * len(_PARTS)),
    ),
)
