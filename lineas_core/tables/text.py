"""Tables about language models: topics that come and go, and toxicity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from lineas_core.baselines import METHODS, Method
from lineas_core.config import BUDGETS, FitConfig
from lineas_core.evaluate import STRENGTHS, sweep
from lineas_core.prompts import PromptSet
from lineas_core.tables.figure import Panels
from lineas_core.tables.table import Cell, Table
from lineas_core.tables.workbench import PROMPTS, Workbench, facts_of, lines_of

__all__ = ["TABLES"]

_MODELS = {
    "small": ("smollm2-135m", "gemma-3-270m"),
    "paper": ("Qwen/Qwen2.5-1.5B", "google/gemma-2-2b"),
}
_TOPICS = ("football", "night", "day", "elephant", "fishing")
_BUDGETS = {"small": ("quick", "thorough"), "paper": ("paper (language)",)}
_SEEDS = range(4)


def _measured(
    bench: Workbench,
    model_name: str,
    prompts: PromptSet,
    *,
    config: FitConfig,
    openings: Sequence[str],
    metric: str,
    method: str = "lineas",
    strengths: Sequence[float] = STRENGTHS,
) -> dict[str, Any]:
    """Learn, continue the openings with every seed at every strength, and count."""
    model = bench.model(model_name)
    maps = bench.maps(model, prompts, config=config, method=method)
    rows = sweep(model, maps, openings, metric=metric, strengths=strengths, seeds=_SEEDS)
    return {"facts": facts_of(maps), "rows": list(rows)}


def _share(row: Mapping[str, Any]) -> str:
    return f"{row['share']:.1%} ± {row['spread']:.1%} at {row['perplexity']:.1f}"


def _topics(edition: str) -> list[Cell]:
    def work(model: str, topic: str, budget: str) -> Callable[[Workbench], dict]:
        prompts = PromptSet.load(PROMPTS / f"{topic}.json")
        openings = lines_of("neutral-openings.txt")
        return lambda bench: _measured(
            bench, model, prompts, config=BUDGETS[budget], openings=openings, metric="topic"
        )

    return [
        Cell({"model": model, "topic": topic, "budget": budget}, work(model, topic, budget))
        for budget in _BUDGETS[edition]
        for model in _MODELS[edition]
        for topic in _TOPICS
    ]


def _toxicity(edition: str) -> list[Cell]:
    prompts = PromptSet.load(PROMPTS / "toxicity.json")
    openings = lines_of("toxicity-openings.txt")
    paper = BUDGETS[_BUDGETS["paper"][0]]

    def work(model: str, method: Method) -> Callable[[Workbench], dict]:
        exact = edition == "paper" and method.name == "lineas"
        return lambda bench: _measured(
            bench,
            model,
            prompts,
            config=paper if exact else method.config,
            openings=openings,
            metric="toxicity",
            method=method.name,
            strengths=[part * method.strength for part in (0.0, 0.25, 0.5, 0.75, 1.0)],
        )

    return [
        Cell({"model": model, "method": method.name}, work(model, method))
        for model in reversed(_MODELS[edition])
        for method in METHODS.values()
    ]


def _optimisers(edition: str) -> list[Cell]:
    prompts = PromptSet.load(PROMPTS / "football.json")
    openings = lines_of("neutral-openings.txt")

    def work(model: str, budget: str) -> Callable[[Workbench], dict]:
        config = replace(BUDGETS[budget], iterations=BUDGETS["quick"].iterations)
        return lambda bench: _measured(
            bench, model, prompts, config=config, openings=openings, metric="topic"
        )

    return [
        Cell({"model": model, "settings": budget}, work(model, budget))
        for model in _MODELS[edition]
        for budget in ("quick", "paper (language)")
    ]


def _rising(done: Sequence[Mapping[str, Any]]) -> str:
    """Whether the topic comes with the strength."""
    shares = [[row["share"] for row in cell["rows"] if row["strength"] >= 0] for cell in done]
    rising = sum(all(a < b for a, b in pairwise(share)) for share in shares)
    return (
        f"The share rises at every step from λ = 0 to 1 in {rising} of {len(done)} lines (goal: "
        "all)."
    )


_MEASURE = (
    "A cell says in how many continuations the word stands, with the standard deviation over "
    "four seeds, and the perplexity of the continuations under the unsteered model"
)

_PANELS: Panels = {
    "share of texts": lambda row: row["share"],
    "perplexity": lambda row: row["perplexity"],
}

TABLES = (
    Table(
        "topics",
        "Topics brought into texts and taken out",
        "Appendix J",
        f"{_MEASURE}; 21 neutral openings, 40 tokens each.",
        _topics,
        _share,
        _PANELS,
        _rising,
    ),
    Table(
        "toxicity",
        "Toxicity taken out of texts",
        "Tables 1, 7 and 8",
        "A cell says how many continuations of 100 provocative openings are toxic "
        "(alt-profanity-check above 0.5), with the standard deviation over four seeds, and their "
        "perplexity under the unsteered model.",
        _toxicity,
        _share,
        _PANELS,
    ),
    Table(
        "optimisers",
        "The paper's optimiser settings on small models",
        "Section 3.3",
        f"{_MEASURE}; football, 80 iterations with either setting.",
        _optimisers,
        _share,
        _PANELS,
    ),
)
