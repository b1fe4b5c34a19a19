"""The table about ordinary prose: its perplexity when steering away from toxicity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean, stdev
from typing import Any

from lineas_core.methods import LINEAS, Method
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.tables.cells import Cell
from lineas_core.tables.continuations import SEEDS
from lineas_core.tables.names import shown_key
from lineas_core.tables.published import drawn, facts_of_draws, prose
from lineas_core.tables.sources import JIGSAW, SENTENCES, WIKIPEDIA, wikipedia_sentences
from lineas_core.tables.table import Needs, Table
from lineas_core.tables.verdicts import at_full, at_zero
from lineas_core.tables.workbench import (
    LANGUAGE_BUDGET,
    LINES,
    ORACLES,
    OWN_STRENGTH,
    PROMPTS,
    REWARDS,
    TOXICITY_MODELS,
    Workbench,
    lines_of,
    settings_of,
)

__all__ = ["TABLES"]

_PARTS = (0.0, 0.25, 0.375, 0.5, 0.75, 1.0)
_TOLERATED = 1.03  # times the perplexity at λ = 0


def _cells(edition: str) -> list[Cell]:
    found = [
        Cell({"model": model, "method": name}, _work(edition, model, method, **changes))
        for model in TOXICITY_MODELS[edition]
        for name, (method, changes) in LINES[edition].items()
    ]
    return sorted(found, key=lambda cell: cell.key["method"] in ORACLES)


def _work(
    edition: str, model_name: str, method: Method, preset: str | None = None, **changes: Any
) -> Callable[[Workbench], dict]:
    config = settings_of(method.name, LANGUAGE_BUDGET[edition], **changes)

    def work(bench: Workbench) -> dict[str, Any]:
        model = bench.model(model_name)
        texts = lines_of("prose.txt") if edition == "small" else wikipedia_sentences()
        learn = partial(
            bench.maps, model, method=method.name, preset=preset, judge=REWARDS[edition]
        )
        if edition == "small":
            maps = [learn(PromptSet.load(PROMPTS / "toxicity.json"), config=config)]
        else:
            maps = [drawn(learn, config, seed) for seed in SEEDS]
        rows = []
        for strength in (part * method.strength for part in _PARTS):
            found = [prose(bench, model_name, each, strength, texts) for each in maps]
            spread = {"spread": stdev(found)} if len(found) > 1 else {}
            rows.append({"strength": strength, "perplexity": fmean(found)} | spread)
        return {"facts": facts_of_draws(maps), "rows": rows}

    return work


def _format_row(row: Mapping[str, Any]) -> str:
    spread = f" ± {row['spread']:.2f}" if "spread" in row else ""
    return f"{row['perplexity']:.2f}{spread}"


def _needs(edition: str) -> Needs:
    """Return every text at every strength."""
    if edition == "small":
        return Needs(answers=24 * len(_PARTS))
    seeds = len(SEEDS)
    sentences = seeds * SENTENCES * len(_PARTS[1:])  # all cells of a model share λ = 0
    return Needs(data=(JIGSAW, WIKIPEDIA), maps=seeds, sentences=sentences)


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
        f"model, in the paper's edition that of {SENTENCES} sentences of Wikipedia (the same in "
        "all cells, drawn with seed 0; those of the paper are not published) with the standard "
        "deviation over four draws of Jigsaw, seeds 0 to 3, from which the maps are learnt. "
        f"{OWN_STRENGTH}",
        _cells,
        _format_row,
        {"perplexity": lambda row: row["perplexity"]},
        _verdict,
        None,
        _summary,
        _needs,
    ),
)
