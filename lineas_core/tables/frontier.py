"""The table about effect at equal cost: how many texts have a property at a given perplexity."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineas_core.errors import UserError
from lineas_core.evaluation.counts import count, summarise
from lineas_core.evaluation.equal_cost import Judged, interval, share_at
from lineas_core.evaluation.texts import properties_of
from lineas_core.methods import LINEAS
from lineas_core.models import title_of
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.steering.affine import SteeringMaps
from lineas_core.tables.cells import Cell
from lineas_core.tables.continuations import Continuations, format_share
from lineas_core.tables.frontier_lines import CORE, OTHERS, Line
from lineas_core.tables.names import name_of
from lineas_core.tables.panels import Panels
from lineas_core.tables.table import Needs, Table
from lineas_core.tables.topics import OPENINGS
from lineas_core.tables.workbench import (
    LANGUAGE_MODELS,
    PROMPTS,
    Workbench,
    facts_of,
    lines_of,
)

__all__ = ["RATIOS", "TABLES", "measure"]

RATIOS = (1.1, 1.25, 1.5)
"""Perplexities at which methods are compared, in times that of λ = 0."""
_MAIN = 1.25
_TOPICS = ("football", "night", "elephant", "fishing", "day")
_OPENINGS = "neutral-openings.txt"
_SEEDS = {"small": range(4), "paper": range(20)}
_PARTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_ENOUGH = 1.6  # ratio to aim at with the full strength: a bit above the highest of `RATIOS`
_DOUBLINGS = 6  # at most
_FEW = 40  # texts that suffice for choosing the full strength
_MOST = 5  # methods that the verdict names
_SHOWN = 3.0  # highest ratio in the figure
_LINES: Mapping[str, Line] = {**CORE, **OTHERS}


def measure(continuations: Continuations, bench: Workbench, maps: SteeringMaps) -> dict[str, Any]:
    """Return the result of a cell, with the shares at equal cost under `at`."""
    full = _full_strength(continuations, bench, maps)
    properties = properties_of(continuations.metric, maps.metadata.get("keywords", ()))
    main = next(iter(properties.values()))
    rows: list[dict[str, Any]] = []
    judged: list[Judged] = []
    for part in _PARTS:
        written = continuations.written(bench, maps, part * full)
        row = summarise(part, [count(texts, properties) for texts in written])
        rows.append(row | {"ratio": row["perplexity"] / (rows or [row])[0]["perplexity"]})
        has = [found for texts in written for found in main(texts.texts)]
        log_p = [p for texts in written for p in texts.log_p]
        judged.append(Judged(part * full, has, log_p))
    at = {f"{ratio:g}": asdict(share_at(judged, ratio)) for ratio in RATIOS}
    facts = {"full λ": full} | {f"at {ratio}": _format_at(found) for ratio, found in at.items()}
    return {"facts": facts_of(maps) | facts, "rows": rows, "at": at}


def _full_strength(continuations: Continuations, bench: Workbench, maps: SteeringMaps) -> float:
    """Halve or double the recommended strength until the perplexity of few texts is enough.

    Three quarters of the result are taken if they are enough, too.
    """
    repetitions = continuations.repetitions[: math.ceil(_FEW / len(continuations.openings))]
    few = replace(continuations, repetitions=repetitions)

    def enough(strength: float) -> bool:
        original, steered = (few.row(bench, maps, x)["perplexity"] for x in (0.0, strength))
        return not steered < _ENOUGH * original  # NaN, of empty texts, is enough

    start = maps.metadata["strength"]
    if enough(start):
        halves = [start / 2**k for k in range(_DOUBLINGS + 1)]
        full = next((x for x in halves[:-1] if not enough(x / 2)), halves[-1])
    else:
        doubles = [start * 2**k for k in range(1, _DOUBLINGS + 1)]
        full = next((x for x in doubles if enough(x)), doubles[-1])
    return 0.75 * full if enough(0.75 * full) else full


def _cells(edition: str) -> list[Cell]:
    return [
        Cell(
            {"model": model, "concept": concept, "method": name},
            _work(edition, model, concept, line),
        )
        for lines in (CORE, OTHERS)
        for model in LANGUAGE_MODELS[edition]
        for concept in _TOPICS
        for name, line in lines.items()
    ]


def _work(
    edition: str, model: str, concept: str, line: Line
) -> Callable[[Workbench], dict[str, Any]]:
    """Return the work of a cell: learn a concept, and count it at equal cost."""

    def work(bench: Workbench) -> dict[str, Any]:
        prompts = PromptSet.load(PROMPTS / f"{concept}.json")
        continuations = Continuations(model, lines_of(_OPENINGS), "topic", _SEEDS[edition])
        try:
            maps = line.maps(bench, edition, model, prompts)
        except UserError as error:
            if error.code != "E_PEERS":
                raise
            return {"facts": {"left out": str(error)}, "rows": []}
        return measure(continuations, bench, maps)

    return work


def _format_at(found: dict[str, Any]) -> str:
    """Format a share with its interval; one that is not at the wanted ratio says at which."""
    text = f"{found['share']:.0%} ({found['low']:.0%} to {found['high']:.0%})"
    return text if found["reached"] else f"{text}, only {found['ratio']:.2f}"


def _verdict(done: Sequence[Mapping[str, Any]]) -> str:
    """Compare the methods that have all topics of a model at the main ratio."""
    models = dict.fromkeys(cell["key"]["model"] for cell in done)
    sentences = [_of_model(model, done) for model in models]
    return "\n\n".join(filter(None, sentences))


def _of_model(model: str, done: Sequence[Mapping[str, Any]]) -> str:
    cells = {
        name: [
            cell["at"][f"{_MAIN:g}"]
            for cell in done
            if cell["key"]["model"] == model and cell["key"]["method"] == name and "at" in cell
        ]
        for name in _LINES
    }
    means = {name: _Mean.of(found) for name, found in cells.items() if len(found) == len(_TOPICS)}
    if not means:
        return ""
    ranked = sorted(means, key=lambda name: -means[name].share)
    shares = ", ".join(f"{name_of(name)} {means[name]}" for name in ranked[:_MOST])
    text = (
        f"*{title_of(model)}*: mean share over the five topics at perplexity {_MAIN:g}: {shares}."
    )
    closed = [name for name in ranked if _LINES[name].closed_form]
    learnt = [name for name in ranked if _LINES[name].method == LINEAS]
    if closed and learnt:
        pairs = dict.fromkeys([LINEAS if LINEAS in means else learnt[0], learnt[0]])
        text += "".join(f" {_compared(name, closed[0], means)}" for name in pairs)
    return text


@dataclass(frozen=True)
class _Mean:
    """Mean share over topics, and the same in each draw of the texts, which all topics share."""

    share: float
    draws: NDArray[np.float64]

    @classmethod
    def of(cls, found: Sequence[Mapping[str, Any]]) -> _Mean:
        draws = np.mean([one["draws"] for one in found], axis=0)
        return cls(fmean(one["share"] for one in found), draws)

    def __str__(self) -> str:
        low, high = interval(self.draws)
        return f"{self.share:.1%} ({low:.1%} to {high:.1%})"


def _compared(name: str, other: str, means: Mapping[str, _Mean]) -> str:
    """Report the ratio of two means, with its interval from draws of the same texts for both."""
    a, b = means[name], means[other]
    if not b.share or not b.draws.all():
        return ""
    low, high = interval(a.draws / b.draws)
    return (
        f"{name_of(name)} ÷ {name_of(other)}, the best of the methods without iterations: "
        f"{a.share / b.share:.2f} ({low:.2f} to {high:.2f})."
    )


def _figure(panels: Panels, done: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw a panel for each model and concept, with a line for each method, but few variants."""
    lines = [
        {
            "key": {"method": name},
            "rows": [
                row | {"panel": _panel(cell["key"]["model"], cell["key"]["concept"])}
                for cell in done
                if cell["key"]["method"] == name
                for row in cell["rows"]
            ],
        }
        for name in dict.fromkeys(cell["key"]["method"] for cell in done)
        if name in CORE or "," not in name
    ]
    from lineas_core.tables.figure import draw  # takes a second to import

    across = ("perplexity, in times that of λ = 0", lambda row: row["ratio"])
    return draw(panels, lines, across)


def _panel(model: str, concept: str) -> str:
    return f"{concept}, {title_of(model)}"


def _share_in(panel: str) -> Callable[[Mapping[str, Any]], float | None]:
    """Return a function from a row to its share if it belongs to a panel and fits into it."""
    return lambda row: row["share"] if row["panel"] == panel and row["ratio"] <= _SHOWN else None


_PANELS = {
    panel: _share_in(panel)
    for models in LANGUAGE_MODELS.values()
    for model in models
    for concept in _TOPICS
    for panel in [_panel(model, concept)]
}


def _needs(edition: str) -> Needs:
    """Return the texts of a cell."""
    return Needs(texts=OPENINGS * len(_SEEDS[edition]) * len(_PARTS))


TABLES = (
    Table(
        "frontier",
        "Effect at equal cost",
        "Section 4.1",
        "Each cell shows the share of continuations that contain the topic's keyword (21 neutral "
        "openings with four seeds each, so 420 texts for a mean over the five topics; with 20 "
        "seeds in the paper's edition), with the standard deviation over seeds, and their "
        "perplexity under the unsteered model. λ counts "
        "in full strengths: a method's recommended one, halved or doubled until perplexity is "
        f"{_ENOUGH:g} times that of λ = 0. The columns *at* have the share where it is 1.1, "
        "1.25 and 1.5 times that of λ = 0, interpolated in the logarithm of the perplexity, with "
        "a 95% interval from a bootstrap over texts (of means and ratios, too: a draw takes the "
        "same openings and seeds for all topics and methods); *only* says how far a method comes "
        "that does not reach it. *Own layers* are those of a method's paper, *late layers* the "
        "last third of the model's default modules. A *peer* is another "
        "library: its vectors, learnt by its own interface from the same prompts, at its default "
        "layers or at ours",
        _cells,
        format_share,
        _PANELS,
        _verdict,
        needs=_needs,
        figure=_figure,
    ),
)
