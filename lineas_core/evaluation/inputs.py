"""Shared by the sweeps over texts and over pictures: strengths, batches and checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.runtime.memory import MemoryPlan
from lineas_core.steering.affine import SteeringMaps

__all__ = [
    "STRENGTHS",
    "Generator",
    "check_not_empty",
    "generate_in_batches",
    "keywords_of",
    "names_a_thing",
]

STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Default strengths λ of a sweep."""


class Generator(Protocol):
    """Anything that turns prompts and seeds into texts or pictures."""

    def generate(self, prompts: Sequence[str], *, seeds: Sequence[int]) -> list:
        """One result per prompt."""


def generate_in_batches(
    model: Generator, plan: MemoryPlan, prompts: Sequence[str], seeds: Sequence[int]
) -> list[Any]:
    """Generate one text or picture per prompt, in batches of the size that the plan allows.

    Args:
        model: generates.
        plan: the batch size; it is halved once if memory runs out.
        prompts: n texts.
        seeds: n whole numbers.

    Raises:
        UserError: memory runs out.
    """

    def batches() -> list[Any]:
        return [
            made
            for rows in map(Tensor.tolist, plan.chunks(len(prompts)))
            for made in model.generate([prompts[k] for k in rows], seeds=[seeds[k] for k in rows])
        ]

    return plan.run(len(prompts), batches)


def keywords_of(maps: SteeringMaps) -> Sequence[str]:
    """The keywords of the concept in the metadata of maps.

    Raises:
        UserError: there are none.
    """
    keywords = maps.metadata.get("keywords")
    if not keywords:
        raise UserError(
            "E_CONCEPT",
            "the map has no keywords to look for",
            remedy="Learn it from a prompt set with keywords; the metric toxicity needs none.",
        )
    return keywords


def names_a_thing(maps: SteeringMaps) -> bool:
    """Whether the concept of maps is an object in the picture, and not a look of all of it.

    The prompt set says so; without one, the tag does: "with a robot", but "vaporwave style".

    Raises:
        UserError: the maps have no keywords.
    """
    tag = keywords_of(maps)[0]
    kind = maps.metadata.get("concept_kind")
    return kind == "thing" if kind else tag.startswith("with ")


def check_not_empty(prompts: Sequence[str], seeds: Sequence[int]) -> None:
    """Refuse a sweep without prompts or without seeds.

    Raises:
        UserError: one of them is empty.
    """
    for what, given in (("texts", prompts), ("seeds", seeds)):
        if not given:
            raise UserError("E_PROMPTS", f"there are no {what}", remedy="Give one or more.")
