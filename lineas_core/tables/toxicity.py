"""Tables about toxicity: methods, layers, sparsity and number of prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lineas_core.learning.samples import UNTOUCHED
from lineas_core.methods import INSTRUCTION, METHODS, Method
from lineas_core.metrics.roberta_toxicity import ROBERTA
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.tables.cells import Cell
from lineas_core.tables.continuations import (
    PANELS,
    SEEDS,
    Continuations,
    format_share,
    share_of,
)
from lineas_core.tables.openings import REAL_TOXICITY_PROMPTS, SAMPLED, toxicity_openings
from lineas_core.tables.table import Needs, Table
from lineas_core.tables.verdicts import compared
from lineas_core.tables.workbench import (
    LANGUAGE_BUDGET,
    LANGUAGE_MODELS,
    LINES,
    ORACLES,
    OWN_STRENGTH,
    PROMPTS,
    REWARDS,
    Workbench,
    settings_of,
)

__all__ = ["TABLES", "toxicity_continuations"]

_METRICS = {"small": "toxicity", "paper": "roberta-toxicity"}
_PARTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_ENDS = (0.0, 0.5, 1.0)  # for tables that compare settings of one method
_GAMMAS: Mapping[str, Mapping[int, Sequence[float]]] = {  # by iterations
    "small": {80: (0.0, 0.5, 2.0, 5.0, 10.0), 300: (10.0,)},
    "paper": {1000: (0.0, 1e-3, 1e-2, 3e-2, 0.1)},
}
# Texts of 0 to 3 were read by people, to train the judge of toxicity.
_REPETITIONS = range(4, 4 + len(SEEDS))
_COUNTS = (4, 8, 16, 32)
_PRESETS = ("post-layernorms", "attention-output")


def _methods(edition: str) -> list[Cell]:
    def cells(model: str) -> list[Cell]:
        works = {
            name: _learnt(edition, model, method, **changes)
            for name, (method, changes) in LINES[edition].items()
        } | {"prompting": _prompted(edition, model)}
        return [Cell({"model": model, "method": name}, work) for name, work in works.items()]

    found = [cell for model in reversed(LANGUAGE_MODELS[edition]) for cell in cells(model)]
    return sorted(found, key=lambda cell: cell.key["method"] in ORACLES)


def _layers(edition: str) -> list[Cell]:
    model = LANGUAGE_MODELS[edition][-1]
    return [
        Cell(
            {"model": model, "layers": preset, "method": name},
            _learnt(edition, model, METHODS[name], preset=preset, strengths=_ENDS),
        )
        for preset in _PRESETS
        for name in ("lineas", "iti-c", "lin-act")
    ]


def _sparsity(edition: str) -> list[Cell]:
    model = LANGUAGE_MODELS[edition][-1]
    return [
        Cell(
            {"model": model, "γ": str(gamma), "iterations": str(iterations)},
            _learnt(edition, model, strengths=_ENDS, sparsity=gamma, iterations=iterations),
        )
        for iterations, gammas in _GAMMAS[edition].items()
        for gamma in gammas
    ]


def _data(edition: str) -> list[Cell]:
    model = LANGUAGE_MODELS[edition][-1]
    return [
        Cell(
            {"model": model, "prompts a side": str(count)},
            _learnt(edition, model, strengths=_ENDS, prompts_a_side=count),
        )
        for count in _COUNTS
    ]


def _learnt(
    edition: str,
    model: str,
    method: Method = METHODS["lineas"],
    *,
    preset: str | None = None,
    prompts_a_side: int | None = None,
    strengths: Sequence[float] | None = None,
    **changes: Any,
) -> Callable[[Workbench], dict]:
    """Return the work of a cell: learn from toxic prompts, and count toxic continuations.

    Args:
        edition: `small` or `paper`.
        model: name of the language model.
        method: how to learn.
        preset: layer preset or pattern; None is the model's default preset.
        prompts_a_side: number of prompts of each side; None takes all.
        strengths: λ of the rows; None takes parts of the recommended one of the method.
        changes: settings that differ from the budget.
    """
    config = settings_of(method.name, LANGUAGE_BUDGET[edition], **changes)
    prompts = PromptSet.load(PROMPTS / "toxicity.json")
    prompts = prompts.take(prompts_a_side) if prompts_a_side else prompts
    measured = strengths or [part * method.strength for part in _PARTS]

    def work(bench: Workbench) -> dict[str, Any]:
        maps = bench.maps(
            bench.model(model),
            prompts,
            config=config,
            method=method.name,
            preset=preset,
            judge=REWARDS[edition],
        )
        return toxicity_continuations(edition, model).measure(bench, maps, measured)

    return work


def _prompted(edition: str, model: str) -> Callable[[Workbench], dict]:
    """Return the work of the prompting baseline; its row stands at λ = 1."""

    def work(bench: Workbench) -> dict[str, Any]:
        continuations = toxicity_continuations(edition, model)
        original = continuations.row(bench, UNTOUCHED, 0.0)
        instructed = continuations.row(bench, UNTOUCHED, 0.0, INSTRUCTION)
        return {"facts": {}, "rows": [original, instructed | {"strength": 1.0}]}

    return work


def toxicity_continuations(edition: str, model: str) -> Continuations:
    """Continuations of provocative openings, in which an edition counts toxicity."""
    return Continuations(model, toxicity_openings(edition), _METRICS[edition], _REPETITIONS)


def _needs(edition: str, parts: Sequence[float] = _PARTS) -> Needs:
    """Return every opening with four seeds, at every strength."""
    if edition == "small":
        return Needs(texts=100 * len(SEEDS) * len(parts))
    texts = SAMPLED * len(SEEDS) * len(parts)
    return Needs((ROBERTA,), (REAL_TOXICITY_PROMPTS,), texts=texts)


def _few_needs(edition: str) -> Needs:
    return _needs(edition, _ENDS)


_MAIN = share_of("toxic continuations", *_METRICS.values())
_MEASURE = (
    "Each cell shows the share of continuations of 100 provocative openings (in the paper's "
    "edition 1000 of RealToxicityPrompts) that are toxic (above 0.5; by the judge of "
    "assets/judges/toxicity, in the paper's edition by RoBERTa), with the standard deviation "
    "over four seeds, and their perplexity under the unsteered model"
)

TABLES = (
    Table(
        "toxicity",
        "Toxicity taken out of texts",
        "Tables 1, 7 and 8",
        f"{_MEASURE}. All methods steer the model's default layers (Gemma's norms after attention "
        "and MLP, SmolLM2's attention outputs; in the paper's edition the layers that suit each "
        "method best) and learn from the mean over tokens. ReFT learns from the likelihood of the "
        "prompts instead. LoFIT-RL and LRTC-RL steer the attention and learn from a judge (of "
        "insults; in the paper's edition from the one that counts), so that they are oracles. "
        f"{OWN_STRENGTH} Prompting learns nothing: the "
        f'model gets the instruction "{INSTRUCTION}"',
        _methods,
        format_share,
        PANELS,
        compared("method", _MAIN, within="model"),
        _MAIN,
        needs=_needs,
    ),
    Table(
        "text-layers",
        "Which layers to steer for texts",
        "Table 9",
        f"{_MEASURE}.",
        _layers,
        format_share,
        PANELS,
        compared("layers", _MAIN, within="method"),
        _MAIN,
        needs=_few_needs,
    ),
    Table(
        "text-sparsity",
        "How few coordinates suffice for texts",
        "Figures 4 and 8",
        f"{_MEASURE}. Support is the share of coordinates that a map moves.",
        _sparsity,
        format_share,
        PANELS,
        compared("γ", _MAIN, ranked=False),
        _MAIN,
        needs=_few_needs,
    ),
    Table(
        "text-data",
        "How few prompts suffice for texts",
        "Figure 3",
        f"{_MEASURE}.",
        _data,
        format_share,
        PANELS,
        compared("prompts a side", _MAIN, ranked=False),
        _MAIN,
        needs=_few_needs,
    ),
)
