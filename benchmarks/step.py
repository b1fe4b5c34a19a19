"""R1 and R2: one training step against the plain way, and against the bound of two passes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.ratio import Ratio, side_by_side
from lineas_core import PromptSet, load_model
from lineas_core.config import LearnConfig
from lineas_core.hooks import record
from lineas_core.models.base import Inputs, SteerableModel
from lineas_core.pooling import coordinate_axis, pool
from lineas_core.problem import Problem
from lineas_core.tables.workbench import PROMPTS

__all__ = ["ratios"]

_CASES = (  # model, prompts, goal and least of R1
    ("emoji-world", "images/vaporwave", 2.4, 1.8),
    ("smollm2-135m", "football", 2.2, 1.8),
    ("gemma-3-270m", "football", 3.5, 2.8),
)
_TOLERANCE = 1e-3  # of loss and gradient, both in float32


def ratios(pairs: int) -> Iterator[Ratio]:
    """For each embedded model R1, then R2."""
    for name, prompts, goal, least in _CASES:
        model = load_model(name)
        data = PromptSet.load(PROMPTS / f"{prompts}.json")
        # The paper's plain loss, and the same pooling and precision on both sides.
        config = LearnConfig(standardise=False, pooling="mean", precision="float32")
        problem = Problem(model, data.source, data.target, config, None)
        source, target = model.encode(data.source), model.encode(data.target)
        parameters = problem.zeros().requires_grad_()
        naive = _Naive(model, problem.names, source, target)
        loss, gradient = naive.step()
        cost, own_gradient = problem.cost_and_gradient(parameters, 0)
        difference = max(
            abs(loss / cost.sum().item() - 1),
            ((gradient - own_gradient).norm() / own_gradient.norm()).item(),
        )
        if difference > _TOLERANCE:
            raise SystemExit(f"R1 on {name}: the two ways differ by {difference:.1e}")
        own = partial(problem.cost_and_gradient, parameters, 0)
        yield side_by_side(
            f"R1 naive step ÷ ours, {name}",
            naive.step,
            own,
            goal=goal,
            least=least,
            difference=difference,
            pairs=pairs,
        )
        naive.close()
        yield side_by_side(
            f"R2 our step ÷ two plain passes, {name}",
            own,
            partial(_two_passes, model, problem.names, source),
            goal=1.10,
            least=1.25,
            pairs=pairs,
            smaller_is_better=True,
        )


class _Naive:
    """The method as one would first write it with hooks and autograd.

    Both sides run through the whole model at every step, the weights keep their gradients, and
    the loss is a sum over modules of mean squared differences of sorted columns.
    """

    def __init__(
        self, model: SteerableModel, names: list[str], source: Inputs, target: Inputs
    ) -> None:
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
        model.network.requires_grad_(True)

    def close(self) -> None:
        """Freeze the weights again."""
        self._model.network.requires_grad_(False)
        self._model.network.zero_grad(set_to_none=True)

    def step(self) -> tuple[float, Tensor]:
        """Loss, and the gradient as (2, D)."""
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


def _two_passes(model: SteerableModel, names: list[str], inputs: Inputs) -> None:
    """Two plain forward passes, each to the last module that is learnt on."""
    for _ in range(2):
        with torch.no_grad(), record(model.network, names, pool=_first, stop=True):
            model.forward(inputs)


def _first(activation: Tensor, _: int) -> Tensor:
    """Nothing but a row: what the recorder keeps is not what is timed here."""
    return activation.flatten(1)[:, :1]


def _key(name: str) -> str:
    return name.replace(".", "/")
