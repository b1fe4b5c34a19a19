"""Sweep the strengths of maps over generated pictures.

A, B, C, S and P are the pictures of `lineas_core.metrics.left_in_place`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isnan
from statistics import fmean

from PIL.Image import Image

from lineas_core.evaluation.inputs import (
    STRENGTHS,
    check_not_empty,
    generate_in_batches,
    keywords_of,
    names_a_thing,
)
from lineas_core.metrics.concept import concept_scores, known_concept
from lineas_core.metrics.image_similarity import image_scores
from lineas_core.metrics.left_in_place import (
    VISIBLE,
    astray,
    cast,
    kept,
    left_in_place,
    moved,
    way,
    way_in_features,
)
from lineas_core.models import TextToImageModel
from lineas_core.runtime.memory import MemoryPlan
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.folding import fold

__all__ = ["Judges", "sweep_pictures"]

Figures = dict[str, float | None]
"""Names of measures -> their means over the scenes; None where no scene has the measure."""

_PICTURES_AT_ONCE = 8
_OTHER_THINGS = ("with a book", "with a car")  # the second one for maps of the first


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

        For a model whose right answer is known (`keeps_layout`), a row also has "removal", means
        of the measures in `lineas_core.metrics.left_in_place`. Of a thing: {"left", "visible",
        "shown", "cast", "kept", "moved"}, where `shown` counts the scenes whose picture A shows
        the object, and `visible` those of them in which it can still be seen. Of a style:
        {"way" in features, "way_in_pixels", "astray", "moved"}. `cast` and `moved` range from 0
        to 255. None where no scene has a measure.

    Raises:
        UserError: the maps have no keywords, there are no scenes, memory runs out, or the package
            with the weights of the embedding network is not installed.
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
    removal = None
    if model.keeps_layout and names_a_thing(maps):
        tag = _other_thing(keywords)
        other = paint([f"{scene}, {tag}" for scene in scenes], 0.0)
        removal = partial(_removal_of_thing, originals, other)
    elif model.keeps_layout:
        removal = partial(_removal_of_style, originals)
    for strength in strengths:
        images = {s: paint(p, strength) if strength else originals[s] for s, p in sides.items()}
        row: dict = {"strength": strength, "pictures": len(scenes)}
        for side in sides:
            row[side] = {
                "concept": fmean(concept_of(images[side])) if concept_of else None,
                "image": fmean(judges.similarity(originals[side], images[side])),
            }
        yield row | ({"removal": removal(images)} if removal else {})


def _probe(keywords: Sequence[str], model: str) -> Callable[..., Sequence[float]] | None:
    known = known_concept(keywords, model)
    return partial(concept_scores, concept=known) if known else None


def _other_thing(keywords: Sequence[str]) -> str:
    """Return a tag with an object that the keywords do not name."""
    named = " ".join(keywords).split()
    return next(tag for tag in _OTHER_THINGS if tag.split()[-1] not in named)


def _removal_of_thing(
    originals: Mapping[str, list[Image]], other: list[Image], steered: Mapping[str, list[Image]]
) -> Figures:
    a, b = originals["with"], originals["without"]
    s, p = steered["with"], steered["without"]
    left = [share for share in left_in_place(a, b, s, other=other) if not isnan(share)]
    return {
        "left": _mean(left),
        "visible": sum(share > VISIBLE for share in left),
        "shown": len(left),
        "cast": _mean(cast(a, b, s)),
        "kept": _mean(kept(a, b, s)),
        "moved": _mean(moved(b, p)),
    }


def _removal_of_style(
    originals: Mapping[str, list[Image]], steered: Mapping[str, list[Image]]
) -> Figures:
    a, b = originals["with"], originals["without"]
    s, p = steered["with"], steered["without"]
    return {
        "way": _mean(way_in_features(a, b, s)),
        "way_in_pixels": _mean(way(a, b, s)),
        "astray": _mean(astray(a, b, s)),
        "moved": _mean(moved(b, p)),
    }


def _mean(values: Sequence[float]) -> float | None:
    """Mean of the values that are not NaN."""
    known = [value for value in values if not isnan(value)]
    return fmean(known) if known else None
