"""The method: learn all maps together, end to end, through the frozen network (Algorithm 1).

Differs from the paper: the learning rate multiplies γ in the proximal step, as proximal gradient
descent on Eq. 3.6 needs; Algorithm 1 leaves it out. With Adam each coordinate has a rate of its
own there, see `lineas_core.learning.sparsity`, and γ chooses coordinates without shrinking the
map, see `lineas_core.learning.descent`. See also `lineas_core.learning.problem`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from warnings import warn

from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.learning.config import BUDGETS, LearnConfig
from lineas_core.learning.descent import Descent
from lineas_core.learning.problem import Problem
from lineas_core.models.base import SteerableModel
from lineas_core.steering.affine import SteeringMaps

__all__ = ["Iterate", "learn", "learn_iter"]


@dataclass(frozen=True, eq=False)
class Iterate:
    """The maps after some optimiser steps, and what they cost.

    Attributes:
        iteration: number of steps taken; 0 is the untouched network.
        loss: Eq. 3.3 on this step's prompts. Standardised: mean over coordinates, in units of
            spread² (0 equal, 2 as far apart as two independent draws); else the paper's sum. Where
            steps are also about something else, of the last one from source to target.
        loss_by_module: the same for each module alone, of this step.
        heldout: standardised distance on the held-out prompts, mean over coordinates; None
            when it was not evaluated here.
        support: share of coordinates moved, 0 to 1.
        learning_rate: of the step that follows.
        best: whether no earlier iterate had a lower loss.
        maps: the maps.
        state: everything that `resume` needs to go on bit for bit; tensors only.
    """

    iteration: int
    loss: float
    loss_by_module: dict[str, float]
    heldout: float | None
    support: float
    learning_rate: float
    best: bool
    maps: SteeringMaps = field(repr=False)
    state: dict[str, Tensor] = field(repr=False)


def learn(
    model: SteerableModel,
    source: Sequence[str],
    target: Sequence[str],
    *,
    config: LearnConfig = BUDGETS["quick"],
    modules: Sequence[str] | None = None,
    heldout: tuple[Sequence[str], Sequence[str]] | None = None,
    resume: dict[str, Tensor] | None = None,
    watch: Callable[[Iterate], object] | None = None,
) -> SteeringMaps:
    """Learn the maps that carry source prompts to target prompts; arguments as `learn_iter`.

    `watch` is called with every iterate.

    Returns:
        The last maps. Should the run diverge, the best ones, with a warning and `diverged` among
        their facts.
    """
    run = partial(
        learn_iter, model, source, target, config=config, modules=modules, heldout=heldout
    )
    best = last = None
    try:
        for last in run(resume=resume):
            best = last if last.best else best
            if watch:
                watch(last)
    except UserError as error:
        if error.code != "E_DIVERGED" or not (best or resume):
            raise
        if best is None and resume:  # none has been better since the interruption
            best = next(run(resume={**resume, "parameters": resume["best_parameters"]}))
        warn(f"{error} The best maps so far are returned.", stacklevel=2)
        facts = {**best.maps.metadata, "diverged": True}  # type: ignore[union-attr]
        return SteeringMaps(best.maps.maps, facts)  # type: ignore[union-attr]
    return last.maps  # type: ignore[union-attr]


def learn_iter(
    model: SteerableModel,
    source: Sequence[str],
    target: Sequence[str],
    *,
    config: LearnConfig = BUDGETS["quick"],
    modules: Sequence[str] | None = None,
    heldout: tuple[Sequence[str], Sequence[str]] | None = None,
    resume: dict[str, Tensor] | None = None,
) -> Iterator[Iterate]:
    """Learn step by step (LinEAS, Algorithm 1); nothing stays hooked between two iterates.

    Args:
        model: the frozen model.
        source: n prompts to steer away from, 2 or more.
        target: m prompts to steer towards, 2 or more.
        config: settings.
        modules: names of the modules to steer; None takes the model's default preset.
        heldout: source and target prompts that are only used for evaluation.
        resume: `Iterate.state` of an interrupted run with the same arguments.

    Yields:
        `config.iterations + 1` iterates, the first with the untouched network, less one for
        every fall-back after a divergence.

    Raises:
        UserError: too few prompts; the memory does not suffice; the activations are not finite
            from the start; or the run diverged (loss or
            gradient not finite, or the loss a hundred times what it was at the start) and did
            so again after five halvings of the learning rate. What was yielded before stays
            valid.
    """
    problem = Problem(model, source, target, config, modules)
    evaluate = problem.heldout_distance(heldout)
    descent = Descent(problem.zeros(), problem.widths, config)
    start = descent.restore(resume) if resume else 0
    facts = problem.facts("lineas")
    for iteration in range(start, config.iterations + 1):
        state = descent.state(iteration)
        cost, gradient = problem.cost_and_gradient(descent.parameters, iteration)
        loss = problem.total(cost)
        # `not loss <= ceiling` rather than `loss > ceiling`: NaN fails every comparison.
        ceiling = problem.ceiling(descent.figures["loss_start"])
        if not (loss <= ceiling and gradient.isfinite().all()):
            descent.fall_back(iteration, problem.worst(cost))
            continue
        forth = problem.goes_forth(iteration)
        best = forth and descent.keep_best(loss)
        if not forth and descent.figures["loss"] is not None:
            loss = descent.figures["loss"]
        maps = problem.maps(descent.parameters.detach().clone())
        due = iteration % config.heldout_every == 0 or iteration == config.iterations
        distance = evaluate(maps) if evaluate and due else None
        descent.note(iteration, loss, distance)
        yield Iterate(
            iteration=iteration,
            loss=loss,
            loss_by_module={k: problem.total(c) for k, c in problem.split(cost).items()},
            heldout=distance,
            support=maps.support,
            learning_rate=descent.rate(iteration),
            best=best,
            maps=SteeringMaps(maps.maps, {**facts, **descent.figures}),
            state=state,
        )
        descent.step(gradient, iteration)
