"""Sweep the strengths of maps over generated pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from PIL.Image import Image

from lineas_core.evaluation.inputs import (
    STRENGTHS,
    check_not_empty,
    generate_in_batches,
    keywords_of,
)
from lineas_core.metrics.concept import concept_scores, known_concept
from lineas_core.metrics.image_similarity import image_scores
from lineas_core.models import TextToImageModel
from lineas_core.runtime.memory import MemoryPlan
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.folding import fold

__all__ = ["Judges", "sweep_pictures"]

_PICTURES_AT_ONCE = 8


@dataclass(frozen=True)
class Judges:
    """The metrics of a sweep.

    Attributes:
        concept: pictures -> how surely each shows the concept; None means the probe, which knows
            only the world of the embedded model.
        similarity: (originals, steered) -> how similar the pictures of each pair are.
    """

    concept: Callable[[Sequence[Image]], Sequence[float]] | None = None
    similarity: Callable[[Sequence[Image], Sequence[Image]], Sequence[float]] = image_scores


def sweep_pictures(
    model: TextToImageModel,
    maps: SteeringMaps,
    scenes: Sequence[str],
    *,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
    judges: Judges = Judges(),  # noqa: B008 - frozen
) -> Iterator[dict]:
    """Generate every scene with and without the map's concept, at every strength.

    As in the paper, the concept is a tag after the scene (section 4.4). Every scene has a seed
    of its own, which is the same at every strength.

    Args:
        model: the model the maps were learnt on.
        maps: the maps to evaluate; the first of `metadata["keywords"]` is the tag.
        scenes: descriptions without the concept.
        strengths: λ of every row.
        seed: seed of the first scene; those of the others follow.
        judges: the metrics.

    Yields:
        {"strength", "pictures", "with", "without"}: λ, the number of scenes, and for scenes with
        and without the tag {"concept", "image"}: the mean ConceptScore (None if the probe does
        not know the concept) and the mean ImgScore against λ = 0.

    Raises:
        UserError: the maps have no keywords, there are no scenes, or memory runs out.
    """
    keywords = keywords_of(maps)
    check_not_empty(scenes, [seed])
    concept_of = judges.concept or _probe(keywords, model.name)
    sides = {"with": [f"{scene}, {keywords[0]}" for scene in scenes], "without": list(scenes)}
    plan, seeds = MemoryPlan(_PICTURES_AT_ONCE), range(seed, seed + len(scenes))

    def paint(prompts: list[str], strength: float) -> list[Image]:
        with fold(model.network, maps, strength):
            return generate_in_batches(model, plan, prompts, seeds)

    originals = {side: paint(prompts, 0.0) for side, prompts in sides.items()}
    for strength in strengths:
        row: dict = {"strength": strength, "pictures": len(scenes)}
        for side, prompts in sides.items():
            images = paint(prompts, strength) if strength else originals[side]
            row[side] = {
                "concept": fmean(concept_of(images)) if concept_of else None,
                "image": fmean(judges.similarity(originals[side], images)),
            }
        yield row


def _probe(keywords: Sequence[str], model: str) -> Callable[..., Sequence[float]] | None:
    known = known_concept(keywords, model)
    return partial(concept_scores, concept=known) if known else None
