"""The method: learn all maps together, end to end, through the frozen network (Algorithm 1).

x, y     pooled activations of source prompts (steered, Eq. 3.1) and target prompts (untouched,
         Eq. 3.2), concatenated over modules: (n, D) and (m, D)
α, β     the two learnt rows (2, D); scale ω = 1 + α, shift b = spread·β - centre·α
centre, spread   (D,): mean of x before steering and standard deviation of y. With centre = 0
         and spread = 1 (`standardise=False`) α and β are the paper's ω - 1 and b.

Differs from the paper: by default the map is learnt as T(z) = z + α(z - centre) + spread·β and
every coordinate's cost is divided by spread², so that one learning rate fits every model. The
learning rate multiplies γ in the proximal step, as proximal gradient descent on Eq. 3.6 needs;
Algorithm 1 leaves it out.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from warnings import warn

import torch
from torch import Tensor

from lineas_core.affine import AffineMap, SteeringMaps
from lineas_core.config import BUDGETS, LearnConfig
from lineas_core.descent import Descent
from lineas_core.errors import UserError
from lineas_core.hooks import record, steer
from lineas_core.models.base import Inputs, SteerableModel, fingerprint
from lineas_core.pooling import pool
from lineas_core.wasserstein import wasserstein_1d

__all__ = ["Iterate", "learn", "learn_iter"]

_RUNAWAY = 100


@dataclass(frozen=True, eq=False)
class Iterate:
    """The maps after some optimiser steps, and what they cost.

    Attributes:
        iteration: number of steps taken; 0 is the untouched network.
        loss: Eq. 3.3 on this step's prompts. Standardised: mean over coordinates, in units of
            spread² (0 equal, 2 as far apart as two independent draws); else the paper's sum.
        loss_by_module: the same for each module alone.
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
) -> SteeringMaps:
    """Learn the maps that carry source prompts to target prompts; arguments as `learn_iter`.

    Returns:
        The last maps. Should the run diverge, the best ones, with a warning.
    """
    best = last = None
    try:
        for last in learn_iter(
            model, source, target, config=config, modules=modules, heldout=heldout
        ):
            best = last if last.best else best
    except UserError as error:
        if best is None:
            raise
        warn(f"{error} The best maps so far are returned.", stacklevel=2)
        return best.maps
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
        `config.iterations + 1` iterates, the first with the untouched network.

    Raises:
        UserError: too few prompts; or the run diverged (loss or gradient not finite, or the loss
            a hundred times what it was at the start) and did so again after five halvings of
            the learning rate. What was yielded before stays valid.
    """
    for side, prompts in (("source", source), ("target", target)):
        if len(prompts) < 2:
            raise UserError(
                "E_PROMPTS",
                f"{side} has {len(prompts)} prompts",
                remedy="Give at least 2, better 32.",
            )
    problem = _Problem(model, source, target, config, modules)
    evaluate = _heldout_distance(problem, heldout)
    descent = Descent(problem.zeros(), problem.widths, config)
    start = descent.restore(resume) if resume else 0
    for iteration in range(start, config.iterations + 1):
        state = descent.state(iteration)
        cost = problem.cost(descent.parameters, iteration)
        (gradient,) = torch.autograd.grad(cost.sum(), descent.parameters)
        cost = cost.detach()
        loss = problem.total(cost)
        # `not loss <= ceiling` rather than `loss > ceiling`: NaN fails every comparison.
        ceiling = problem.ceiling(descent.figures["loss_start"])
        if not (loss <= ceiling and gradient.isfinite().all()):
            descent.fall_back(iteration, problem.worst(cost))
            continue
        best = descent.keep_best(loss)
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
            maps=SteeringMaps(maps.maps, {**problem.facts, **descent.figures}),
            state=state,
        )
        descent.step(gradient, iteration)


class _Problem:
    """What stays fixed during a run: encoded prompts, target samples, units."""

    def __init__(
        self,
        model: SteerableModel,
        source: Sequence[str],
        target: Sequence[str],
        config: LearnConfig,
        modules: Sequence[str] | None,
    ) -> None:
        self.model, self.config = model, config
        self.names = list(modules or model.default_modules)
        self.inputs, targets = model.encode(source), model.encode(target)
        with torch.no_grad():
            samples = self.samples(targets)
            self.names = list(samples)  # now in the order of execution
            self.widths = [y.shape[1] for y in samples.values()]
            self.target = self.join(samples)
            self.spread = _spread(self.target, self.widths)
            centre = self.join(self.samples(self.inputs)).mean(dim=0)
        plain = not config.standardise
        self.centre = torch.zeros_like(centre) if plain else centre
        self.unit = torch.ones_like(centre) if plain else self.spread
        self.facts = {
            "method": "lineas",
            "model": model.name,
            "fingerprint": fingerprint(model.network, self.names),
            "config": asdict(config),
            "source_size": len(source),
            "target_size": len(target),
            "truncated": self.inputs.truncated + targets.truncated,
            "versions": {name: version(name) for name in ("torch", "transformers")},
        }

    def zeros(self) -> Tensor:
        return torch.zeros(2, len(self.spread), device=self.spread.device)

    def samples(self, inputs: Inputs) -> dict[str, Tensor]:
        """One pass: module name -> pooled activations (n, d)."""
        device = next(self.model.network.parameters()).device
        pooling = partial(pool, weight=inputs.weight, how=self.config.pooling)
        mixed = torch.autocast(
            device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"
        )
        with mixed, record(self.model.network, self.names, pool=pooling, stop=True) as samples:
            self.model.forward(inputs)
        return samples

    def join(self, samples: dict[str, Tensor]) -> Tensor:
        return torch.cat([samples[name] for name in self.names], dim=1)

    def split(self, coordinates: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.names, coordinates.split(self.widths, dim=-1), strict=True))

    def maps(self, parameters: Tensor) -> SteeringMaps:
        alpha, beta = parameters
        scales = self.split(1 + alpha)
        shifts = self.split(self.unit * beta - self.centre * alpha)
        return SteeringMaps({name: AffineMap(scales[name], shifts[name]) for name in self.names})

    def cost(self, parameters: Tensor, iteration: int) -> Tensor:
        """Eq. 3.4 for every coordinate, (D,), in units of `unit`²."""
        share = min((self.config.batch_size or math.inf) / len(self.inputs), 1)
        rows_x = _draw(len(self.inputs), share, self.config.seed, iteration)
        rows_y = _draw(len(self.target), share, self.config.seed + 1, iteration)
        with steer(self.model.network, self.maps(parameters)):
            x = self.join(self.samples(self.inputs.rows(rows_x)))
        return wasserstein_1d(x, self.target[rows_y]) / self.unit**2

    def total(self, cost: Tensor) -> float:
        """One number for a loss: the paper's sum, or the mean in standardised units."""
        return (cost.mean() if self.config.standardise else cost.sum()).item()

    def ceiling(self, loss_start: float | None) -> float:
        """The highest loss that is no divergence.

        A run that explodes passes through huge finite losses before the first infinite one, and
        no descent comes back from a hundred times its start. Sets that were equal at the start
        are allowed a hundred times the loss of sets one spread apart.
        """
        if loss_start is None:
            return sys.float_info.max
        one_spread_apart = self.total((self.spread / self.unit).square())
        return _RUNAWAY * max(loss_start, one_spread_apart)

    def worst(self, cost: Tensor) -> str:
        """Name of the module with the highest loss, or with one that is none."""
        blocks = self.split(cost.nan_to_num(math.inf))
        return max(blocks, key=lambda name: blocks[name].sum().item())


def _heldout_distance(
    problem: _Problem, heldout: tuple[Sequence[str], Sequence[str]] | None
) -> Callable[[SteeringMaps], float] | None:
    """A function that measures maps on prompts they were not learnt from."""
    if not heldout or not all(heldout):
        return None
    source, target = (problem.model.encode(side) for side in heldout)
    with torch.no_grad():
        y = problem.join(problem.samples(target))

    @torch.no_grad()
    def distance(maps: SteeringMaps) -> float:
        with steer(problem.model.network, maps):
            x = problem.join(problem.samples(source))
        return (wasserstein_1d(x, y) / problem.spread**2).mean().item()

    return distance


def _spread(y: Tensor, widths: list[int]) -> Tensor:
    """Standard deviation of each coordinate over the target, (D,), never near zero.

    A coordinate that hardly varies would get a huge weight; it is given a tenth of its module's
    typical spread instead, and a dead module the spread 1.
    """
    spread = y.std(dim=0).split(widths)
    floors = [0.1 * s.median() for s in spread]
    return torch.cat(
        [
            s.clamp(min=floor) if floor > 0 else s.where(s > 0, torch.ones_like(s))
            for s, floor in zip(spread, floors, strict=True)
        ]
    )


def _draw(total: int, share: float, seed: int, iteration: int) -> Tensor:
    """Rows of this step's mini-batch: a function of (seed, iteration), so it needs no state."""
    if share == 1:
        return torch.arange(total)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + iteration)
    return torch.randperm(total, generator=generator)[: max(round(share * total), 1)]
