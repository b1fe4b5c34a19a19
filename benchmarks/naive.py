"""A straightforward training step, and a check that it agrees with ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.ratio import apart, gate
from lineas_core.learning.config import LearnConfig
from lineas_core.learning.pooling import pool
from lineas_core.learning.problem import Problem
from lineas_core.models.base import Inputs, SteerableModel
from lineas_core.steering.hooks import coordinate_axis, record

__all__ = ["PLAIN", "NaiveStep", "agreement", "own_step"]

PLAIN = LearnConfig(standardise=False, pooling="mean", precision="float32")
"""The paper's plain loss, with the same pooling and precision for both steps."""

_TOLERANCE = 1e-3  # relative difference of loss and gradient, both in float32


class NaiveStep:
    """LinEAS as one would first write it, with hooks and autograd.

    Both sides run through the whole model at every step, the weights keep their gradients, and
    the loss is a sum over modules of mean squared differences of sorted columns.
    """

    def __init__(
        self, model: SteerableModel, names: list[str], source: Inputs, target: Inputs
    ) -> None:
        """Start from the identity."""
        self._model, self._source, self._target = model, source, target
        self._modules = {name: model.network.get_submodule(name) for name in names}
        self._scale = nn.ParameterDict()
        self._shift = nn.ParameterDict()
        with torch.no_grad(), record(model.network, names) as seen:
            model.forward(source)
        for name, module in self._modules.items():
            width = seen[name].shape[coordinate_axis(module)]
            self._scale[_key(name)] = nn.Parameter(torch.ones(width))
            self._shift[_key(name)] = nn.Parameter(torch.zeros(width))

    def step(self) -> tuple[float, Tensor]:
        """Compute the loss, and its gradient with respect to scales and shifts, (2, D)."""
        self._model.network.requires_grad_(True)  # ours, which is timed in turn, freezes it
        with torch.no_grad():
            y = self._pooled(self._target, steered=False)
        x = self._pooled(self._source, steered=True)
        terms = [
            (x[name].sort(dim=0).values - y[name].sort(dim=0).values).square().mean(dim=0).sum()
            for name in self._modules
        ]
        loss = torch.stack(terms).sum()
        loss.backward()
        rows = [
            torch.cat([parameters[_key(name)].grad for name in self._modules])
            for parameters in (self._scale, self._shift)
        ]
        self._scale.zero_grad()
        self._shift.zero_grad()
        self._model.network.zero_grad()
        self._model.network.requires_grad_(False)
        return loss.item(), torch.stack(rows)

    def _pooled(self, inputs: Inputs, *, steered: bool) -> dict[str, Tensor]:
        rows: dict[str, Tensor] = {}

        def hook(name: str, module: nn.Module, _: object, output: Tensor) -> Tensor | None:
            axis = coordinate_axis(module)
            if steered:
                shape = [1] * output.dim()
                shape[axis] = -1
                scale, shift = (p[_key(name)].view(shape) for p in (self._scale, self._shift))
                output = output * scale + shift
            rows[name] = pool(output, axis, weight=inputs.weight)
            return output if steered else None

        handles = [m.register_forward_hook(partial(hook, n)) for n, m in self._modules.items()]
        self._model.forward(inputs)
        for handle in handles:
            handle.remove()
        return rows


def own_step(problem: Problem) -> Callable[[], tuple[Tensor, Tensor]]:
    """Return our step at the identity, which computes cost (D,) and gradient (2, D)."""
    return partial(problem.cost_and_gradient, problem.zeros().requires_grad_(), 0)


def agreement(name: str, naive: NaiveStep, own: Callable[[], tuple[Tensor, Tensor]]) -> float:
    """Return the larger of the relative differences of loss and gradient.

    Raises:
        SystemExit: it exceeds the tolerance.
    """
    loss, gradient = naive.step()
    cost, own_gradient = own()
    difference = max(abs(loss / cost.sum().item() - 1), apart(gradient, own_gradient))
    return gate(name, difference, _TOLERANCE)


def _key(name: str) -> str:
    return name.replace(".", "/")
