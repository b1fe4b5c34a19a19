"""Sweep the strengths of a map over pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import fmean

from PIL.Image import Image

from lineas_core.evaluation.texts import STRENGTHS, _check_some, _generated, _keywords_of
from lineas_core.metrics.concept import concept_scores, known_concept
from lineas_core.metrics.image_similarity import image_scores
from lineas_core.models import TextToImageModel
from lineas_core.runtime.memory import MemoryPlan
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.folding import fold

__all__ = ["sweep_pictures"]


_PICTURES_AT_ONCE = 8


def sweep_pictures(
    model: TextToImageModel,
    maps: SteeringMaps,
    scenes: Sequence[str],
    *,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
    concept_of: Callable[[Sequence[Image]], Sequence[float]] | None = None,
    likeness: Callable[[Sequence[Image], Sequence[Image]], Sequence[float]] = image_scores,
) -> Iterator[dict]:
    """Paint every scene with the map's concept in it and without, at every strength.

    The concept is added as in the paper, by a tag after the scene (section 4.4). Every scene has
    a seed of its own, the same at every strength.

    Args:
        model: the model the maps were learnt on.
        maps: what is evaluated; the first of `metadata["keywords"]` is the concept's tag.
        scenes: descriptions without the concept.
        strengths: λ of every row.
        seed: of the first scene; the others follow.
        concept_of: how surely each picture shows the concept; None asks the probe, which knows
            the world of the embedded model alone.
        likeness: how much of each picture stays, (original, steered).

    Yields:
        {"strength", "pictures", "with", "without"}: number of scenes, and for the scenes with
        and without the tag {"concept", "image"}: mean ConceptScore, None where the probe does not
        know the concept, and mean ImgScore against λ = 0.

    Raises:
        UserError: the maps tell no concept, there are no scenes, or the memory does not suffice.
    """
    keywords = _keywords_of(maps)
    _check_some(scenes, [seed])
    known = known_concept(keywords, model.name)
    if concept_of is None and known:
        concept_of = partial(concept_scores, concept=known)
    sides = {"with": [f"{scene}, {keywords[0]}" for scene in scenes], "without": list(scenes)}

    plan, seeds = MemoryPlan(_PICTURES_AT_ONCE), range(seed, seed + len(scenes))

    def paint(prompts: list[str], strength: float) -> list[Image]:
        with fold(model.network, maps, strength):
            return _generated(model, plan, prompts, seeds)

    originals = {side: paint(prompts, 0.0) for side, prompts in sides.items()}
    for strength in strengths:
        row: dict = {"strength": strength, "pictures": len(scenes)}
        for side, prompts in sides.items():
            images = paint(prompts, strength) if strength else originals[side]
            row[side] = {
                "concept": fmean(concept_of(images)) if concept_of else None,
                "image": fmean(likeness(originals[side], images)),
            }
        yield row
