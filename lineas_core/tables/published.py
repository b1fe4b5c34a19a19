"""Rows of the tables about toxicity in the setting of the paper (LinEAS, section 4.1).

Each of four repetitions learns from another draw of Jigsaw's comments and continues another draw
of RealToxicityPrompts; figures are means over the repetitions. At the ends of a line a row also
has the other columns of the paper: continuations of TET, the perplexity of sentences of Wikipedia,
and MMLU with five examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any

from lineas_core.evaluation.counts import count, summarise
from lineas_core.evaluation.texts import properties_of
from lineas_core.learning.config import FitConfig
from lineas_core.learning.samples import UNTOUCHED
from lineas_core.metrics.harness import harness, import_harness
from lineas_core.metrics.perplexity import prose_perplexity
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.folding import fold
from lineas_core.tables.conditions import conditions
from lineas_core.tables.continuations import SEEDS, Continuations, format_share
from lineas_core.tables.sources import (
    jigsaw,
    real_toxicity_prompts,
    tet_prompts,
    wikipedia_sentences,
)
from lineas_core.tables.workbench import Workbench, end_of, facts_of

__all__ = [
    "JUDGE",
    "LEARNT_FROM",
    "drawn",
    "facts_of_draws",
    "format_row",
    "mean_of",
    "measure",
    "mmlu",
    "prompted",
    "prose",
]

LEARNT_FROM = 32
"""Comments of each side of Jigsaw."""
JUDGE = "roberta-toxicity"
_COLUMNS = {"TET": ".1%", "Wikipedia": ".2f", "MMLU": ".1%"}  # with the format of a figure


def measure(
    bench: Workbench,
    model: str,
    learn: Callable[[int], SteeringMaps],
    strengths: Sequence[float],
) -> dict[str, Any]:
    """Return the result of a cell: facts about the maps, and one row for every strength.

    Args:
        bench: provides the model and the cache.
        model: hub id of the language model.
        learn: seed of a repetition -> its maps.
        strengths: λ of the rows; the first and the last have all columns.
    """
    # Data that are missing are reported before hours of learning.
    import_harness()
    real_toxicity_prompts(SEEDS[0])
    tet_prompts()
    wikipedia_sentences()
    maps = {seed: learn(seed) for seed in SEEDS}
    ends = (strengths[0], strengths[-1])
    rows = [_row(bench, model, maps, x) for x in strengths]
    for row in rows:
        if row["strength"] in ends:
            row |= _columns(bench, model, maps, row["strength"])
            row["MMLU"] = mean_of([mmlu(bench, model, maps[s], row["strength"]) for s in SEEDS])
    return {"facts": facts_of_draws([*maps.values()]), "rows": rows}


def drawn(
    learn: Callable[..., SteeringMaps], config: FitConfig, seed: int, count: int = LEARNT_FROM
) -> SteeringMaps:
    """Learn maps from a draw of Jigsaw.

    Args:
        learn: called with the prompts and `config`.
        config: settings; those that have a seed get that of the draw.
        seed: of the draw.
        count: comments of each side.
    """
    seeded: dict[str, Any] = {"seed": seed} if hasattr(config, "seed") else {}
    return learn(jigsaw(count, seed), config=replace(config, **seeded))


def prompted(bench: Workbench, model: str, instruction: str) -> dict[str, Any]:
    """Return the result of the prompting baseline, without MMLU; its row stands at λ = 1."""
    maps = dict.fromkeys(SEEDS, UNTOUCHED)
    rows = [
        _row(bench, model, maps, 0.0, text) | _columns(bench, model, maps, 0.0, text)
        for text in ("", instruction)
    ]
    return {"facts": {}, "rows": [rows[0], rows[1] | {"strength": 1.0}]}


def facts_of_draws(learnt: Sequence[SteeringMaps]) -> dict[str, Any]:
    """Return the facts of several maps, known numbers as means."""
    facts = [facts_of(maps) for maps in learnt]
    known = [name for name, value in facts[0].items() if isinstance(value, int | float)]
    numbers = {name: fmean(each[name] for each in facts) for name in known}
    return numbers | end_of(*learnt)


def prose(
    bench: Workbench,
    name: str,
    maps: SteeringMaps,
    strength: float,
    sentences: Sequence[str],
    instruction: str = "",
) -> float:
    """Return the perplexity of sentences under a steered model, 1 or more, from the cache."""
    model = bench.model(name)

    def compute() -> float:
        with fold(model.network, maps, strength):
            return prose_perplexity(model, sentences, f"{instruction} " if instruction else "")

    facts = ["prose", [*sentences], instruction, *conditions(model), *_steered(maps, strength)]
    return bench.cached(facts, compute)


def mmlu(bench: Workbench, name: str, maps: SteeringMaps, strength: float) -> float:
    """Return the accuracy of a steered model in MMLU, 5 examples, 0 to 1, from the cache."""
    model = bench.model(name)
    return bench.cached(
        ["mmlu", *conditions(model), *_steered(maps, strength)],
        lambda: harness(model, maps, strength)["mmlu/acc"],
    )


def mean_of(values: Sequence[float]) -> dict[str, float]:
    """Return the mean of two or more repetitions, and their standard deviation."""
    return {"mean": fmean(values), "spread": stdev(values)}


def format_row(row: Mapping[str, Any]) -> str:
    """Format a row, of either edition: shares of toxic texts, and the columns that it has."""
    columns = [
        f"{name} {row[name]['mean']:{form}} ± {row[name]['spread']:{form}}"
        for name, form in _COLUMNS.items()
        if name in row
    ]
    ordinary = f", prose {row['prose']:.2f}" if "prose" in row else ""
    return "; ".join([format_share(row) + ordinary, *columns])


def _row(
    bench: Workbench,
    model: str,
    maps: Mapping[int, SteeringMaps],
    strength: float,
    instruction: str = "",
) -> dict[str, Any]:
    """Continue a draw of RealToxicityPrompts in each repetition; as `Continuations.row`."""
    openings = {seed: real_toxicity_prompts(seed) for seed in maps}
    return _counted(bench, model, maps, strength, openings, instruction)


def _columns(
    bench: Workbench,
    model: str,
    maps: Mapping[int, SteeringMaps],
    strength: float,
    instruction: str = "",
) -> dict[str, Any]:
    """Return what a row has of TET and of Wikipedia."""
    openings, sentences = dict.fromkeys(maps, tet_prompts()), wikipedia_sentences()
    tet = _counted(bench, model, maps, strength, openings, instruction)["by"][JUDGE]
    values = [prose(bench, model, m, strength, sentences, instruction) for m in maps.values()]
    return {
        "TET": {"mean": tet["share"], "spread": tet["spread"]},
        "Wikipedia": mean_of(values),
    }


def _counted(
    bench: Workbench,
    model: str,
    maps: Mapping[int, SteeringMaps],
    strength: float,
    openings: Mapping[int, Sequence[str]],
    instruction: str,
) -> dict[str, Any]:
    properties = properties_of(JUDGE)
    counts = []
    for seed, learnt in maps.items():
        continuations = Continuations(model, openings[seed], JUDGE, (seed,))
        (written,) = continuations.written(bench, learnt, strength, instruction)
        counts.append(count(written, properties))
    return summarise(strength, counts)


def _steered(maps: SteeringMaps, strength: float) -> list[Any]:
    """What a figure depends on besides the model; at λ = 0 the maps have no effect."""
    return [maps.metadata["sha256"], strength] if strength else []
