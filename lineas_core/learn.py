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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from warnings import warn

import torch
from torch import Tensor

from lineas_core.affine import AffineMap, SteeringMaps
from lineas_core.errors import UserError
from lineas_core.hooks import record, steer
from lineas_core.models.base import Inputs, SteerableModel, fingerprint
from lineas_core.pooling import POOLINGS, pool
from lineas_core.sparsity import prox_group_lasso
from lineas_core.wasserstein import wasserstein_1d

__all__ = ["BUDGETS", "Iterate", "LearnConfig", "learn", "learn_iter"]

OPTIMIZERS = ("adam", "adamw", "sgd")
_HALVINGS = 5
_FIGURES = ("iteration", "loss_start", "loss", "heldout_start", "heldout")


@dataclass(frozen=True)
class LearnConfig:
    """Settings of a run; the one place where defaults live.

    Attributes:
        iterations: optimiser steps, 1 to 100,000.
        learning_rate: initial rate, above 0 and at most 10; decays to 0 along a cosine.
        optimizer: `adam`, `adamw` or `sgd`.
        batch_size: prompts per side and step, 1 or more; None takes all.
        sparsity: γ from 0 to 1, weight of the sparse group lasso (LinEAS, Eq. 3.6).
        standardise: learn in units of each coordinate's spread (see the module's docstring);
            False is the paper's plain loss.
        pooling: `mean`, `last` or `all`, see `lineas_core.pooling`.
        precision: `bfloat16` runs the frozen network in mixed precision, `float32` does not.
            Maps and loss are float32 in both.
        heldout_every: iterations between two evaluations on held-out prompts, 1 or more.
        seed: whole number, draws the mini-batches.
    """

    iterations: int = 80
    learning_rate: float = 0.02
    optimizer: str = "adam"
    batch_size: int | None = None
    sparsity: float = 0.1
    standardise: bool = True
    pooling: str = "mean"
    precision: str = "bfloat16"
    heldout_every: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values that mean nothing, with the range that does."""
        for name, low, high in (
            ("iterations", 1, 100_000),
            ("learning_rate", 1e-8, 10),
            ("batch_size", 1, 100_000),
            ("sparsity", 0, 1),
            ("heldout_every", 1, 100_000),
            ("seed", 0, 2**53),
        ):
            value = getattr(self, name)
            if name == "batch_size" and value is None:
                continue
            whole = name not in ("learning_rate", "sparsity")
            kind = int if whole else int | float
            # `not low <= value` rather than `value < low`: NaN fails every comparison.
            if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
                noun = "a whole number" if whole else "a number"
                raise _setting(name, value, f"{noun} from {low} to {high}")
        for name, choices in (
            ("optimizer", OPTIMIZERS),
            ("pooling", POOLINGS),
            ("precision", ("bfloat16", "float32")),
            ("standardise", (True, False)),
        ):
            if getattr(self, name) not in choices:
                raise _setting(name, getattr(self, name), f"one of {choices}")


BUDGETS = {
    "quick": LearnConfig(),
    "normal": LearnConfig(iterations=300),
    "thorough": LearnConfig(iterations=1000),
    "paper (language)": LearnConfig(
        iterations=1000,
        learning_rate=0.1,
        optimizer="sgd",
        batch_size=32,
        sparsity=0,
        standardise=False,
    ),
    "paper (DMD2)": LearnConfig(
        iterations=1000,
        learning_rate=1e-4,
        optimizer="adamw",
        batch_size=4,
        sparsity=0,
        standardise=False,
    ),
}
"""Named settings. The two of the paper are its sections 3.3 and H, to the letter."""


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
        UserError: too few prompts; or loss or gradient stayed non-finite after five halvings
            of the learning rate. What was yielded before stays valid.
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
    descent = _Descent(problem.zeros(), config)
    start = descent.restore(resume) if resume else 0
    for iteration in range(start, config.iterations + 1):
        state = descent.state(iteration)
        cost = problem.cost(descent.parameters, iteration)
        (gradient,) = torch.autograd.grad(cost.sum(), descent.parameters)
        cost = cost.detach()
        if not (cost.isfinite().all() and gradient.isfinite().all()):
            descent.fall_back(problem, iteration, cost)
            continue
        loss = problem.total(cost)
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
        descent.step(gradient, problem.widths, iteration)


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


class _Descent:
    """What changes during a run: parameters, optimiser, the best so far."""

    def __init__(self, parameters: Tensor, config: LearnConfig) -> None:
        self.config = config
        self.parameters = parameters.requires_grad_()
        self.halvings, self.best_loss = 0, math.inf
        self.best_parameters = parameters.detach().clone()
        self.figures: dict[str, float | None] = dict.fromkeys(_FIGURES)
        self._start_optimizer()

    def rate(self, iteration: int) -> float:
        cosine = 0.5 * (1 + math.cos(math.pi * iteration / self.config.iterations))
        return self.config.learning_rate * cosine * 0.5**self.halvings

    def step(self, gradient: Tensor, widths: list[int], iteration: int) -> None:
        rate = self.rate(iteration)
        self.optimizer.param_groups[0]["lr"] = rate
        self.parameters.grad = gradient
        self.optimizer.step()
        with torch.no_grad():
            shrunk = prox_group_lasso(self.parameters, widths, rate * self.config.sparsity)
            self.parameters.copy_(shrunk)

    def keep_best(self, loss: float) -> bool:
        better = loss < self.best_loss
        if better:
            self.best_loss, self.best_parameters = loss, self.parameters.detach().clone()
        return better

    def note(self, iteration: int, loss: float, heldout: float | None) -> None:
        """Figures for the map's file; the held-out distance is the last one evaluated."""
        if iteration == 0:
            self.figures |= {"loss_start": loss, "heldout_start": heldout}
        self.figures |= {"iteration": iteration, "loss": loss}
        if heldout is not None:
            self.figures["heldout"] = heldout

    def fall_back(self, problem: _Problem, iteration: int, cost: Tensor) -> None:
        """Back to the best parameters with half the rate, or give up."""
        self.halvings += 1
        if self.halvings > _HALVINGS:
            worst = max(problem.split(cost.nan_to_num(math.inf)).items(), key=lambda c: c[1].sum())
            raise UserError(
                "E_DIVERGED",
                f"the run diverged at iteration {iteration} (module {worst[0]}) although the "
                f"learning rate was halved {_HALVINGS} times",
                remedy="Start again with a smaller learning rate.",
            )
        with torch.no_grad():
            self.parameters.copy_(self.best_parameters)
        self._start_optimizer()

    def state(self, iteration: int) -> dict[str, Tensor]:
        moments = self.optimizer.state_dict()["state"].get(0, {})
        return {
            "iteration": torch.tensor(iteration),
            "halvings": torch.tensor(self.halvings),
            "best_loss": torch.tensor(self.best_loss, dtype=torch.float64),
            "best_parameters": self.best_parameters.clone(),
            "parameters": self.parameters.detach().clone(),
            "figures": torch.tensor(
                [math.nan if v is None else v for v in self.figures.values()], dtype=torch.float64
            ),
            **{f"optimizer.{k}": v.clone() for k, v in moments.items() if v is not None},
        }

    def restore(self, state: dict[str, Tensor]) -> int:
        if state["parameters"].shape != self.parameters.shape:
            raise UserError(
                "E_RESUME",
                "the saved run has other modules or another model",
                remedy="Resume with the settings it was started with.",
            )
        with torch.no_grad():
            self.parameters.copy_(state["parameters"])
        self.halvings, self.best_loss = int(state["halvings"]), float(state["best_loss"])
        self.best_parameters = state["best_parameters"].to(self.parameters)
        figures = zip(_FIGURES, state["figures"].tolist(), strict=True)
        self.figures = {k: None if math.isnan(v) else v for k, v in figures}
        moments = {k.removeprefix("optimizer."): v for k, v in state.items() if "." in k}
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": {0: moments}, "param_groups": groups})
        return int(state["iteration"])

    def _start_optimizer(self) -> None:
        kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
        self.optimizer = kinds[self.config.optimizer]([self.parameters])


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


def _setting(name: str, value: object, allowed: str) -> UserError:
    return UserError("E_SETTING", f"{name} is {value!r}", remedy=f"Give {allowed}.")
