"""The table about similarity of words and of their maps (LinEAS, section L)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from lineas_core.learning.config import BUDGETS
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.steering.affine import SteeringMaps
from lineas_core.tables.cells import Cell
from lineas_core.tables.table import Needs, Table
from lineas_core.tables.workbench import (
    LANGUAGE_BUDGET,
    Workbench,
    end_of,
    lines_of,
    rank_correlation,
)

__all__ = ["TABLES", "word_pairs"]

_MODELS = {"small": "smollm2-135m", "paper": "google/gemma-2-2b"}
_PROMPTS = {"small": 16, "paper": 32}
_GAMMAS = (0.0, 0.5, 2.0)
_NEUTRAL = "something"


def _cells(edition: str) -> list[Cell]:
    model = _MODELS[edition]
    return [Cell({"model": model, "γ": str(g)}, _work(edition, g)) for g in _GAMMAS]


def _work(edition: str, gamma: float) -> Callable[[Workbench], dict[str, Any]]:
    config = replace(BUDGETS[LANGUAGE_BUDGET[edition]], sparsity=gamma)

    def work(bench: Workbench) -> dict[str, Any]:
        model, pairs = bench.model(_MODELS[edition]), word_pairs()
        maps = {
            word: bench.maps(model, _about(word, _PROMPTS[edition]), config=config)
            for word in sorted({word for *pair, _ in pairs for word in pair})
        }
        ratings = [score for *_, score in pairs]
        facts: dict[str, Any] = {"support": fmean(map_.support for map_ in maps.values())}
        facts |= end_of(*maps.values())
        for name, part in (("shifts", _shifts), ("scales", _scales)):
            similarities = [_cosine(part(maps[one]), part(maps[other])) for one, other, _ in pairs]
            facts[f"correlation of {name}"] = rank_correlation(similarities, ratings)
        return {"facts": facts, "rows": []}

    return work


def word_pairs() -> list[tuple[str, str, float]]:
    """Read pairs of words, each with the similarity that people gave it, 0 to 10."""
    rows = (line.split("\t") for line in lines_of("word-pairs.tsv"))
    return [(one, other, float(score)) for one, other, score in rows]


def _about(word: str, count: int) -> PromptSet:
    """Return prompts from sentences about something to the same sentences about the word."""
    lines = lines_of("templates/about.txt")[:count]
    source, target = (
        tuple(line.replace("{word}", name) for line in lines) for name in (_NEUTRAL, word)
    )
    return PromptSet(source, target, name=word)


def _shifts(maps: SteeringMaps) -> Tensor:
    return torch.cat([step.shift for step in maps.affine.values()])


def _scales(maps: SteeringMaps) -> Tensor:
    return torch.cat([step.scale - 1 for step in maps.affine.values()])


def _cosine(one: Tensor, other: Tensor) -> float:
    return torch.cosine_similarity(one, other, dim=0).item()


def _verdict(done: Sequence[Mapping[str, Any]]) -> str:
    """Report the range of the correlations over all values of γ."""
    parts = []
    for name in ("shifts", "scales"):
        found = sorted(cell["facts"][f"correlation of {name}"] for cell in done)
        parts.append(f"{found[0]:.2f} to {found[-1]:.2f} by their {name}")
    return f"Maps of words that people find similar are similar: correlation {', '.join(parts)}."


TABLES = (
    Table(
        "similarity",
        "Whether maps of similar words are similar",
        "Figures 11 and 12",
        "Rank correlation between the cosine similarity of two words' maps (their shifts, and "
        "their scales minus 1, of all modules) and the similarity that people gave the words: 20 "
        "words in 23 pairs of WordSim-353. Each map goes from sentences about something to the "
        "same sentences about the word. With 23 pairs, 0.41 or more is significant (p < 0.05).",
        _cells,
        lambda _: "",
        {},
        _verdict,
        needs=lambda _: Needs(maps=20),
    ),
)
