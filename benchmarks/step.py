"""R1 and R2: our training step against a straightforward one, and against two plain passes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.naive import PLAIN, NaiveStep, agreement, own_step
from benchmarks.ratio import Ratio, side_by_side
from lineas_core import PromptSet, load_model
from lineas_core.learning.problem import Problem
from lineas_core.models.base import Inputs, SteerableModel
from lineas_core.steering.hooks import record
from lineas_core.tables.workbench import PROMPTS

__all__ = ["CASES", "bound", "naive", "two_passes"]

CASES = (  # model, prompts, goal and least of R1
    ("emoji-world", "images/vaporwave", 2.4, 1.8),
    ("smollm2-135m", "football", 2.2, 1.8),
    ("gemma-3-270m", "football", 3.5, 2.8),
)


def naive(pairs: int) -> Iterator[Ratio]:
    """Measure R1 on each embedded model."""
    for name, prompts, goal, least in CASES:
        model, data = load_model(name), PromptSet.load(PROMPTS / f"{prompts}.json")
        problem = Problem(model, data.source, data.target, PLAIN, None)
        target = model.encode(data.target)
        other, own = (
            NaiveStep(model, problem.samples.names, problem.samples.source, target),
            own_step(problem),
        )
        title = f"R1 naive step ÷ ours, {name}"
        yield side_by_side(
            title,
            other.step,
            own,
            goal=goal,
            least=least,
            difference=agreement(title, other, own),
            pairs=pairs,
        )


def bound(pairs: int) -> Iterator[Ratio]:
    """Measure R2 on each embedded model."""
    for name, prompts, _, _ in CASES:
        model, data = load_model(name), PromptSet.load(PROMPTS / f"{prompts}.json")
        problem = Problem(model, data.source, data.target, PLAIN, None)
        yield side_by_side(
            f"R2 our step ÷ two plain passes, {name}",
            own_step(problem),
            partial(two_passes, model, problem.samples.names, problem.samples.source),
            goal=1.10,
            least=1.25,
            pairs=pairs,
            smaller_is_better=True,
        )


def two_passes(model: SteerableModel, names: list[str], inputs: Inputs) -> None:
    """Run two plain forward passes, each up to the last steered module."""
    for _ in range(2):
        with torch.no_grad(), record(model.network, names, pool=_first, stop=True):
            model.forward(inputs)


def _first(activation: Tensor, _: int) -> Tensor:
    """Pool to a single coordinate, so that recording costs next to nothing."""
    return activation.flatten(1)[:, :1]
