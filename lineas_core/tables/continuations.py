"""Rows of the tables about texts: a property counted in continuations of openings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lineas_core.evaluation.counts import Written, count, row_seeds, summarise, write
from lineas_core.evaluation.inputs import STRENGTHS
from lineas_core.evaluation.texts import properties_of
from lineas_core.methods import InstructedModel
from lineas_core.steering.affine import SteeringMaps
from lineas_core.tables.conditions import conditions
from lineas_core.tables.panels import Panels
from lineas_core.tables.verdicts import Main
from lineas_core.tables.workbench import Workbench, facts_of

__all__ = ["PANELS", "SEEDS", "Continuations", "format_share", "share_of"]

SEEDS = range(4)
PANELS: Panels = {
    "share of texts": lambda row: row["share"],
    "perplexity": lambda row: row["perplexity"],
}


@dataclass(frozen=True)
class Continuations:
    """Continuations of openings by a language model, in which a property is counted.

    Attributes:
        model: catalog name or hub id of the language model.
        openings: texts to continue.
        metric: a key of `lineas_core.evaluation.texts.METRICS`.
        repetitions: one seed for each time that all openings are continued.
    """

    model: str
    openings: Sequence[str]
    metric: str
    repetitions: Sequence[int] = SEEDS

    def measure(
        self, bench: Workbench, maps: SteeringMaps, strengths: Sequence[float] = STRENGTHS
    ) -> dict[str, Any]:
        """Return the result of a cell: facts about the maps, and one row for every strength."""
        rows = [self.row(bench, maps, strength) for strength in strengths]
        return {"facts": facts_of(maps), "rows": rows}

    def row(
        self, bench: Workbench, maps: SteeringMaps, strength: float, instruction: str = ""
    ) -> dict[str, Any]:
        """Return a row of `lineas_core.evaluation.texts.sweep`; arguments as in `written`."""
        properties = properties_of(self.metric, maps.metadata.get("keywords", ()))
        written = self.written(bench, maps, strength, instruction)
        return summarise(strength, [count(texts, properties) for texts in written])

    def written(
        self, bench: Workbench, maps: SteeringMaps, strength: float, instruction: str = ""
    ) -> list[Written]:
        """Return the continuations, in an item for each repetition.

        The texts are cached in the folder of the workbench, so that another judge can count in
        them. At λ = 0 they do not depend on the maps, so that all of them share these.

        Args:
            bench: provides the model and the cache.
            maps: the maps to apply.
            strength: λ.
            instruction: a sentence before each opening, for the prompting baseline.
        """
        writer = bench.writer(self.model)

        def compute() -> list[dict[str, Any]]:
            model = InstructedModel(writer, instruction) if instruction else writer
            seeds = [row_seeds(seed, range(len(self.openings))) for seed in self.repetitions]
            written = write(model, maps, self.openings, strength=strength, seeds=seeds)
            return [asdict(texts) for texts in written]

        facts = [
            "texts",
            *conditions(writer),
            [*self.openings],
            [*self.repetitions],
            instruction,
            [maps.metadata["sha256"], strength] if strength else [],
        ]
        return [Written(**texts) for texts in bench.cached(facts, compute)]


def share_of(name: str, *judges: str) -> Main:
    """Return the share of texts that the first of the judges finds, as the main quantity.

    Args:
        name: of the quantity.
        judges: keys of `by` in a row; one that none of them has counted has no figure.
    """

    def value(row: Mapping[str, Any]) -> float | None:
        return next((row["by"][judge]["share"] for judge in judges if judge in row["by"]), None)

    return Main(name, value)


def format_share(row: Mapping[str, Any]) -> str:
    """Format a row: share of texts with each property, its spread, and perplexity."""
    shares = ", ".join(
        f"{'' if name == 'topic' else f'{name} '}{share['share']:.1%} ± {share['spread']:.1%}"
        for name, share in row["by"].items()
    )
    return f"{shares} at {row['perplexity']:.1f}"
