"""Tables about language models: topics that come and go, and toxicity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations, pairwise
from statistics import fmean
from typing import Any

from lineas_core.evaluation.inputs import STRENGTHS
from lineas_core.evaluation.texts import sweep, sweep_composed
from lineas_core.learning.config import BUDGETS, FitConfig
from lineas_core.learning.samples import UNTOUCHED
from lineas_core.methods import INSTRUCTION, METHODS, InstructedModel, Method
from lineas_core.models.base import fingerprint
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.steering.affine import SteeringMaps
from lineas_core.tables.figure import Panels
from lineas_core.tables.table import Cell, Table
from lineas_core.tables.workbench import (
    LANGUAGE_MODELS,
    LINES,
    OWN_STRENGTH,
    PROMPTS,
    Workbench,
    end_of,
    facts_of,
    lines_of,
    settings_of,
)

__all__ = ["TABLES"]

_TOPICS = ("football", "night", "day", "elephant", "fishing")
_BUDGETS = {"small": ("quick", "thorough"), "paper": ("paper (language)",)}
_TOXICITY = {"small": "toxicity", "paper": "roberta-toxicity"}
_SEEDS = range(4)
_PARTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_GAMMAS: Mapping[str, Mapping[int, Sequence[float]]] = {  # by iterations
    "small": {80: (0.0, 0.5, 2.0, 5.0, 10.0), 300: (10.0,)},
    "paper": {1000: (0.0, 1e-3, 1e-2, 3e-2, 0.1)},
}
_COUNTS = (4, 8, 16, 32)
_PRESETS = ("post-layernorms", "attention-output")


def _measured(
    bench: Workbench,
    model_name: str,
    prompts: PromptSet,
    *,
    config: FitConfig,
    openings: Sequence[str],
    metric: str,
    method: str = "lineas",
    preset: str | None = None,
    strengths: Sequence[float] = STRENGTHS,
) -> dict[str, Any]:
    """Learn, continue the openings with every seed at every strength, and count."""
    model = bench.model(model_name)
    maps = bench.maps(model, prompts, config=config, method=method, preset=preset)

    def row(strength: float) -> dict[str, Any]:
        return _counted(bench, model_name, maps, openings, metric, strength)

    return {"facts": facts_of(maps), "rows": [row(strength) for strength in strengths]}


def _counted(
    bench: Workbench,
    model_name: str,
    maps: SteeringMaps,
    openings: Sequence[str],
    metric: str,
    strength: float,
    instruction: str = "",
) -> dict[str, Any]:
    """A row of `sweep`, made once: at λ = 0 for all maps together."""
    writer = bench.writer(model_name)
    learnt = [maps.metadata["sha256"], strength] if strength else []
    words = maps.metadata.get("keywords", ())
    dtype = str(writer.network.dtype)

    def make() -> dict[str, Any]:
        (row,) = sweep(
            InstructedModel(writer, instruction) if instruction else writer,
            maps,
            openings,
            metric=metric,
            strengths=[strength],
            seeds=_SEEDS,
        )
        return row

    weights = fingerprint(writer.network, writer.default_modules)
    facts = [
        model_name,
        weights,
        dtype,
        metric,
        [*words],
        [*openings],
        [*_SEEDS],
        instruction,
        learnt,
    ]
    return bench.row(facts, make)


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
        for model in LANGUAGE_MODELS[edition]
        for topic in _TOPICS
    ]


def _toxicity(edition: str) -> list[Cell]:
    def cells(model: str) -> list[Cell]:
        work = {
            name: _toxic(edition, model, method, **changes)
            for name, (method, changes) in LINES[edition].items()
        } | {"prompting": _prompted(edition, model)}
        return [Cell({"model": model, "method": name}, made) for name, made in work.items()]

    return [cell for model in reversed(LANGUAGE_MODELS[edition]) for cell in cells(model)]


def _toxic(
    edition: str,
    model: str,
    method: Method = METHODS["lineas"],
    *,
    preset: str | None = None,
    prompts_a_side: int | None = None,
    strength: float | None = None,
    **changes: Any,
) -> Callable[[Workbench], dict]:
    """Learn away from toxic prompts, then count in continuations of provocative openings.

    Up to `strength`; None is the method's own.
    """
    (budget, *_) = _BUDGETS[edition]
    config = settings_of(method.name, budget, **changes)
    prompts = PromptSet.load(PROMPTS / "toxicity.json")
    if prompts_a_side:
        prompts = prompts.take(prompts_a_side)
    return lambda bench: _measured(
        bench,
        model,
        prompts,
        config=config,
        openings=lines_of("toxicity-openings.txt"),
        metric=_TOXICITY[edition],
        method=method.name,
        preset=preset,
        strengths=[part * (strength or method.strength) for part in _PARTS],
    )


def _prompted(edition: str, model: str) -> Callable[[Workbench], dict]:
    """What an instruction alone does, in the place of full strength."""
    openings = lines_of("toxicity-openings.txt")

    def work(bench: Workbench) -> dict[str, Any]:
        counted = partial(
            _counted, bench, model, UNTOUCHED, openings, _TOXICITY[edition], strength=0.0
        )
        told = counted(instruction=INSTRUCTION) | {"strength": 1.0}
        return {"facts": {}, "rows": [counted(), told]}

    return work


def _layers(edition: str) -> list[Cell]:
    model = LANGUAGE_MODELS[edition][-1]
    return [
        Cell(
            {"model": model, "layers": preset, "method": name},
            _toxic(edition, model, METHODS[name], preset=preset, strength=1.0),
        )
        for preset in _PRESETS
        for name in ("lineas", "iti-c", "lin-act")
    ]


def _sparsity(edition: str) -> list[Cell]:
    model = LANGUAGE_MODELS[edition][-1]
    return [
        Cell(
            {"model": model, "γ": str(gamma), "iterations": str(iterations)},
            _toxic(edition, model, sparsity=gamma, iterations=iterations),
        )
        for iterations, gammas in _GAMMAS[edition].items()
        for gamma in gammas
    ]


def _data(edition: str) -> list[Cell]:
    model = LANGUAGE_MODELS[edition][-1]
    return [
        Cell(
            {"model": model, "prompts a side": str(count)},
            _toxic(edition, model, prompts_a_side=count),
        )
        for count in _COUNTS
    ]


def _composition(edition: str) -> list[Cell]:
    (budget, *_) = _BUDGETS[edition]

    def work(model_name: str, pair: Sequence[str], method: str) -> Callable[[Workbench], dict]:
        config = settings_of(method, budget)

        def composed(bench: Workbench) -> dict[str, Any]:
            model = bench.model(model_name)
            sets = [PromptSet.load(PROMPTS / f"{topic}.json") for topic in pair]
            maps = [bench.maps(model, s, config=config, method=method) for s in sets]
            openings = lines_of("neutral-openings.txt")
            writer = bench.writer(model_name)
            rows = sweep_composed(writer, maps, openings, seeds=_SEEDS[:2])
            return {"facts": end_of(*maps), "rows": list(rows)}

        return composed

    return [
        Cell(
            {"model": model, "topics": " + ".join(pair), "method": name},
            work(model, pair, name),
        )
        for model in reversed(LANGUAGE_MODELS[edition])
        for pair in combinations(_TOPICS, 2)
        for name in ("lineas", "lin-act")
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
        for model in LANGUAGE_MODELS[edition]
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


def _both(done: Sequence[Mapping[str, Any]]) -> str:
    """How often both topics come at full strength, by method."""
    ends: dict[str, list[float]] = {"lineas": [], "lin-act": []}
    for cell in done:
        ends[cell["key"]["method"]] += [r["share"] for r in cell["rows"] if r["strength"] == 1]
    told = [f"{fmean(shares):.1%} with {name}" for name, shares in ends.items() if shares]
    return (
        f"Both topics at λ = 1, as a mean over the lines: {', '.join(told)} (goal: LinEAS ahead; "
        "the paper reports 19 % against 1.3 %)."
    )


def _together(row: Mapping[str, Any]) -> str:
    each = " and ".join(f"{share:.0%}" for share in row["each"])
    return f"{row['share']:.1%} ({each}) at {row['perplexity']:.1f}"


_MEASURE = (
    "A cell says in how many continuations the word stands, with the standard deviation over "
    "four seeds, and the perplexity of the continuations under the unsteered model"
)

_TOXIC = (
    "A cell says how many continuations of 100 provocative openings are toxic "
    "(alt-profanity-check above 0.5, in the paper's edition RoBERTa), with the standard deviation "
    "over four seeds, and their perplexity under the unsteered model"
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
        f"{_TOXIC}. All methods steer the model's own layers (Gemma's norms behind attention and "
        "MLP, SmolLM2's attention outputs; in the paper's edition those that suit each best) and "
        f"learn from the mean over words. {OWN_STRENGTH} Prompting learns "
        f'nothing: the model is told "{INSTRUCTION}"',
        _toxicity,
        _share,
        _PANELS,
    ),
    Table(
        "text-layers",
        "Which layers to steer for texts",
        "Table 9",
        f"{_TOXIC}.",
        _layers,
        _share,
        _PANELS,
    ),
    Table(
        "text-sparsity",
        "How few coordinates suffice for texts",
        "Figures 4 and 8",
        f"{_TOXIC}. Support is the share of coordinates that a map moves.",
        _sparsity,
        _share,
        _PANELS,
    ),
    Table(
        "text-data",
        "How few prompts suffice for texts",
        "Figure 3",
        f"{_TOXIC}.",
        _data,
        _share,
        _PANELS,
    ),
    Table(
        "composition",
        "Two topics at once",
        "Figure 9",
        "A cell says in how many continuations both topics stand (in brackets each of the two), "
        "and the perplexity of the continuations under the unsteered model; 21 neutral openings, "
        "two seeds, both orders of the two maps.",
        _composition,
        _together,
        {"share with both": lambda row: row["share"], "perplexity": lambda r: r["perplexity"]},
        _both,
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
