"""LinEAS: learn all maps together, end to end, through the frozen network (Algorithm 1).

Differs from the paper:
- The proximal step uses learning rate times γ, as proximal gradient descent on Eq. 3.6 requires;
  Algorithm 1 leaves the learning rate out. With Adam each coordinate has a step size of its own,
  see `lineas_core.learning.sparsity`.
- γ selects coordinates without shrinking the map, see `lineas_core.learning.descent`.
- The loss is standardised by default, see `lineas_core.learning.problem`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from warnings import warn

from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.learning.config import LearnConfig, check_sides, suited_config
from lineas_core.learning.descent import Descent, Measurements
from lineas_core.learning.facts import describe_run, heldout_distance
from lineas_core.learning.problem import Problem
from lineas_core.models.base import SteerableModel
from lineas_core.steering.affine import SteeringMaps

__all__ = ["Iterate", "learn", "learn_iter"]


@dataclass(frozen=True, eq=False)
class Iterate:
    """The maps after a number of optimiser steps, with their loss.

    Attributes:
        iteration: number of steps taken; 0 is the unsteered network.
        loss: Eq. 3.3 on this iteration's prompts. Standardised, it is the mean over coordinates
            in units of spread² (0 means equal, 2 is the distance of two independent draws);
            otherwise it is the paper's sum. In an iteration that trains the inverse or the
            identity, or at a later denoising step than the first of several, it is the loss of
            the last other iteration.
        loss_by_module: module name -> the cost of this iteration in that module.
        heldout: standardised distance on the held-out prompts, mean over coordinates; None
            means that it was not evaluated in this iteration.
        support: share of coordinates that the maps move, 0 to 1.
        learning_rate: rate of the step that follows.
        best: whether the loss is lower than in all earlier iterates.
        maps: the maps of this iterate.
        best_maps: the maps of the iterate with the lowest loss so far.
        state: tensors for `resume`, from which a run continues bit for bit.
    """

    iteration: int
    loss: float
    loss_by_module: dict[str, float]
    heldout: float | None
    support: float
    learning_rate: float
    best: bool
    maps: SteeringMaps = field(repr=False)
    best_maps: SteeringMaps = field(repr=False)
    state: dict[str, Tensor] = field(repr=False)


def learn(
    model: SteerableModel,
    source: Sequence[str],
    target: Sequence[str],
    *,
    config: LearnConfig | None = None,
    modules: Sequence[str] | str | None = None,
    heldout: tuple[Sequence[str], Sequence[str]] | None = None,
    resume: dict[str, Tensor] | None = None,
    watch: Callable[[Iterate], object] | None = None,
) -> SteeringMaps:
    """Learn maps that steer source prompts towards target prompts.

    Arguments and errors as in `learn_iter`; `watch` is called with every iterate unless it is
    None.

    Returns:
        The maps of the last iterate. If the run diverges, the best ones so far, with a warning
        and with `diverged` in their metadata.
    """
    last = None
    try:
        for last in learn_iter(
            model,
            source,
            target,
            config=config,
            modules=modules,
            heldout=heldout,
            resume=resume,
        ):
            if watch:
                watch(last)
    except UserError as error:
        if error.code != "E_DIVERGED" or last is None:
            raise
        warn(f"{error} The best maps so far are returned.", stacklevel=2)
        best = last.best_maps
        return SteeringMaps(best.maps, {**best.metadata, "diverged": True})
    return last.maps  # type: ignore[union-attr]


def learn_iter(
    model: SteerableModel,
    source: Sequence[str],
    target: Sequence[str],
    *,
    config: LearnConfig | None = None,
    modules: Sequence[str] | str | None = None,
    heldout: tuple[Sequence[str], Sequence[str]] | None = None,
    resume: dict[str, Tensor] | None = None,
) -> Iterator[Iterate]:
    """Learn step by step (LinEAS, Algorithm 1).

    No hook stays on the network between two iterates.

    Args:
        model: the frozen model.
        source: n prompts to steer away from, 2 or more.
        target: m prompts to steer towards, 2 or more.
        config: settings of the run; None means the quick budget as it suits the model. Those
            that suit model and prompts are in `lineas_core.suited`.
        modules: dotted names of the modules to steer, or a layer preset or pattern for
            `find_modules`; None means the model's default preset.
        heldout: source and target prompts that are only used for evaluation; None means no
            evaluation.
        resume: `Iterate.state` of an interrupted run with the same arguments; None means a new
            run.

    Yields:
        `config.iterations + 1` iterates, the first with the unsteered network, minus one for
        every divergence.

    Raises:
        UserError: there are too few prompts, memory runs out, the activations are not finite
            from the start, or the run diverged again after five halvings of the learning rate.
            Divergence means that loss or gradient is not finite, or that the loss is a hundred
            times the one at the start. Earlier iterates stay valid.
    """
    check_sides(source, target)
    config = config or suited_config(keeps_layout=model.keeps_layout)
    problem = Problem(model, source, target, config, modules)
    evaluate = heldout_distance(problem.steps, heldout)
    descent = Descent(problem.zeros(), problem.samples.widths, config)
    start = descent.restore(resume) if resume else 0
    facts = describe_run(model, problem.samples, "lineas")

    def described(parameters: Tensor, measurements: Measurements) -> SteeringMaps:
        return SteeringMaps(problem.maps(parameters).maps, {**facts, **measurements})

    best_maps = described(descent.best.parameters, descent.best.measurements)
    for iteration in range(start, config.iterations + 1):
        state = descent.state(iteration)
        cost, gradient = problem.cost_and_gradient(descent.parameters, iteration)
        total, ceiling = problem.total(cost), problem.ceiling(descent.measurements["loss_start"])
        # `not total <= ceiling` rather than `total > ceiling`: NaN fails every comparison.
        if not (total <= ceiling and gradient.isfinite().all()):
            descent.fall_back(iteration, problem.worst_module(cost))
            continue
        measured = problem.is_measured(iteration)
        parameters = descent.parameters.detach().clone()
        due = iteration % config.heldout_every == 0 or iteration == config.iterations
        distance = evaluate(problem.maps(parameters)) if evaluate and due else None
        loss = descent.note(iteration, total if measured else None, distance)
        maps = described(parameters, descent.measurements)
        if best := measured and descent.keep_if_best():
            best_maps = maps
        yield Iterate(
            iteration=iteration,
            loss=loss,
            loss_by_module={
                k: problem.total(c) for k, c in problem.samples.split_compared(cost).items()
            },
            heldout=distance,
            support=maps.support,
            learning_rate=descent.rate(iteration),
            best=best,
            maps=maps,
            best_maps=best_maps,
            state=state,
        )
        descent.step(gradient, iteration)
