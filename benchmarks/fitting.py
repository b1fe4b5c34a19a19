"""R4 and R5: closed-form fits in one pass, vectorised over coordinates, against simpler code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch import Tensor, nn

from benchmarks.ratio import Ratio, apart, gate, side_by_side
from lineas_core import AffineMap, FitConfig, PromptSet, SteeringMaps, load_model
from lineas_core.learning.pooling import pool
from lineas_core.learning.samples import Samples
from lineas_core.methods import iti_c, lin_act
from lineas_core.models.base import Inputs, SteerableModel
from lineas_core.runtime.attention import ShortAttention
from lineas_core.steering.hooks import record, steer
from lineas_core.tables.workbench import PROMPTS

__all__ = ["from_activations", "sequential"]

_PROMPTS_A_SIDE, _MOST_PAIRS = 8, 3  # for R4, whose other side makes a pass for every module
# The goals for a picture model, 200 and 90, are for the 256 norms of SDXL; they scale with the
# number of modules, as does the number of passes that one pass replaces.
_SEQUENTIAL = (  # model, prompts, goal and least
    ("emoji-world", "images/vaporwave", 200 * 51 / 256, 90 * 51 / 256),
    ("smollm2-135m", "football", 25, 12),
)
_ONE_BY_ONE = (("emoji-world", "images/vaporwave"), ("smollm2-135m", "football"))
_EQUAL, _CONVERGED = 1e-4, 1e-3  # tolerances for maps: closed forms, iterative solvers


def sequential(pairs: int) -> Iterator[Ratio]:
    """Measure R4: Lin-AcT from prompts to maps, with one source pass per module ÷ ours.

    It is measured with whole passes, and with passes that stop at the module.
    """
    for name, prompts, goal, least in _SEQUENTIAL:
        model, data = load_model(name), PromptSet.load(PROMPTS / f"{prompts}.json")
        sides = data.source[:_PROMPTS_A_SIDE], data.target[:_PROMPTS_A_SIDE]
        own = partial(lin_act.learn, model, *sides)
        wanted = own()
        for stop in (False, True):
            way = "passes that stop at the module" if stop else "whole passes"
            title = f"R4 {len(wanted)} {way} ÷ ours, {_PROMPTS_A_SIDE} prompts a side, {name}"
            other = partial(_one_pass_per_module, model, *sides, list(wanted), stop=stop)
            yield side_by_side(
                title,
                other,
                own,
                goal=None if stop else goal,
                least=None if stop else least,
                difference=gate(title, apart(_flat(other()), _flat(wanted)), _EQUAL),
                pairs=min(pairs, _MOST_PAIRS),
            )


def from_activations(pairs: int) -> Iterator[Ratio]:
    """Measure R5: Lin-AcT and ITI-C fitted to activations that have been recorded."""
    for name, prompts in _ONE_BY_ONE:
        model, data = load_model(name), PromptSet.load(PROMPTS / f"{prompts}.json")
        samples = Samples(model, data.source, data.target, FitConfig(), None)
        x = samples.split(samples.source_rows)
        y = samples.split(samples.target_rows)
        own = partial(_least_squares, x, y)
        for library, loop, goal, least in (
            ("scikit-learn", _regressions, 150, 70),
            ("numpy", _dot_products, None, None),
        ):
            title = f"R5 Lin-AcT, {library} by coordinate ÷ ours, {name}"
            yield side_by_side(
                title,
                partial(loop, x, y),
                own,
                goal=goal,
                least=least,
                difference=gate(title, apart(_flat(loop(x, y)), _flat(own())), _EQUAL),
                pairs=pairs,
            )
        if model.kind == "language":  # ITI-C was designed for these
            yield from _iti_c(samples, pairs)


def _iti_c(samples: Samples, pairs: int) -> Iterator[Ratio]:
    source, target = samples.source_rows, samples.target_rows
    x, y = samples.split(source), samples.split(target)
    own = partial(iti_c.learn, _Given(samples.widths), [*source], [*target])
    for solver, goal, least in (("lbfgs", 10, 4), ("newton-cg", None, None)):
        title = f"R5 ITI-C, scikit-learn's {solver} by module ÷ ours, {samples.model.name}"
        other = partial(_logistic_regressions, x, y, solver)
        yield side_by_side(
            title,
            other,
            own,
            goal=goal,
            least=least,
            difference=gate(title, apart(_flat(other()), _flat(own())), _CONVERGED),
            pairs=pairs,
        )


class _Given:
    """A stand-in model whose prompts are activations, and whose modules are identities."""

    kind = name = "given"
    default_pooling = "mean"

    def __init__(self, widths: list[int]) -> None:
        self._widths = widths
        self.network = nn.Sequential(*(nn.Identity() for _ in widths))
        self.network.weight = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.default_modules = [str(number) for number in range(len(widths))]

    def encode(self, prompts: Sequence[Any]) -> Inputs:
        return Inputs({"rows": torch.stack(list(prompts))})

    def forward(self, inputs: Inputs) -> None:
        parts = inputs.arguments["rows"].split(self._widths, dim=1)
        for module, part in zip(self.network, parts, strict=True):
            module(part)

    def generate(self, prompts: Sequence[str], *, seeds: Sequence[int]) -> list:
        raise NotImplementedError


@torch.no_grad()
def _one_pass_per_module(
    model: SteerableModel,
    source: Sequence[str],
    target: Sequence[str],
    names: list[str],
    *,
    stop: bool,
) -> SteeringMaps:
    """Fit Lin-AcT module by module, each in a pass that is steered by the maps before it."""
    x, y = model.encode(source), model.encode(target)
    pools = [partial(pool, weight=i.weight, how=model.default_pooling) for i in (x, y)]
    maps: dict[str, AffineMap] = {}
    with ShortAttention():  # as ours: another kernel would round differently
        with record(model.network, names, pool=pools[1], stop=True) as wanted:
            model.forward(y)
        for name in names:
            with (
                steer(model.network, SteeringMaps(maps)),
                record(model.network, [name], pool=pools[0], stop=stop) as seen,
            ):
                model.forward(x)
            maps[name] = lin_act.least_squares(seen[name], wanted[name])
    return SteeringMaps(maps)


_Rows = Mapping[str, Tensor]
"""Module name -> activations, (n, d)."""


def _least_squares(x: _Rows, y: _Rows) -> SteeringMaps:
    return SteeringMaps({name: lin_act.least_squares(x[name], y[name]) for name in x})


def _regressions(x: _Rows, y: _Rows) -> SteeringMaps:
    """Fit every coordinate with scikit-learn, on its sorted values."""

    def fit(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
        line = LinearRegression().fit(a[:, None], b)
        return line.coef_[0], line.intercept_

    return _by_coordinate(x, y, fit)


def _dot_products(x: _Rows, y: _Rows) -> SteeringMaps:
    """Fit every coordinate with numpy, by covariance and variance of its sorted values."""

    def fit(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
        mean_a, mean_b = a.mean(), b.mean()
        a = a - mean_a
        scale = a @ (b - mean_b) / (a @ a)
        return scale, mean_b - scale * mean_a

    return _by_coordinate(x, y, fit)


def _by_coordinate(
    x: _Rows, y: _Rows, fit: Callable[[np.ndarray, np.ndarray], tuple[float, float]]
) -> SteeringMaps:
    maps = {}
    for name in x:
        columns = zip(x[name].numpy().T, y[name].numpy().T, strict=True)
        scale, shift = zip(*(fit(np.sort(a), np.sort(b)) for a, b in columns), strict=True)
        maps[name] = AffineMap(torch.tensor(scale), torch.tensor(shift))
    return SteeringMaps(maps)


def _logistic_regressions(x: _Rows, y: _Rows, solver: str) -> SteeringMaps:
    """Fit ITI-C with scikit-learn.

    In float64 and with a small tolerance: the default, 1e-4 in float32, gives directions that are
    off by a tenth.
    """
    maps = {}
    for name in x:
        rows = torch.cat([y[name], x[name]]).double().numpy()
        labels = np.repeat([1, 0], [len(y[name]), len(x[name])])
        regression = LogisticRegression(solver=solver, tol=1e-6, max_iter=1000)
        (direction,) = regression.fit(rows, labels).coef_
        direction = direction / np.linalg.norm(direction)
        shift = torch.from_numpy(np.std(rows @ direction) * direction).float()
        maps[name] = AffineMap(torch.ones_like(shift), shift)
    return SteeringMaps(maps)


def _flat(maps: SteeringMaps) -> Tensor:
    return torch.cat([torch.stack([m.scale - 1, m.shift]) for m in maps.values()], dim=1)
