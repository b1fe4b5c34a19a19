"""The objective: the distance from steered source prompts to target prompts (Eq. 3.3 and 3.4).

x, y     pooled activations of source prompts (steered, Eq. 3.1) and of target prompts (not
         steered, Eq. 3.2), concatenated over modules: (n, D) and (m, D)
α, β     the two rows of learnt parameters, (2, D); scale ω = 1 + α, shift b = unit·β - centre·α
centre   (D,), mean of x before steering; 0 with `standardise=False`
unit     (D,), standard deviation ("spread") of y; 1 with `standardise=False`

With centre = 0 and unit = 1, α and β are the paper's ω - 1 and b.

Differs from the paper:
- By default the map is learnt as T(z) = z + α(z - centre) + unit·β and every coordinate's cost is
  divided by unit², so that one learning rate suits every model.
- With `both_ways`, a third of the iterations minimise the distance from target prompts, steered by
  the inverse maps (λ = -1), to unsteered source prompts. The paper does not train the inverse. The
  scale is then exp(α), which always has one.
- With `identity_loss`, every other iteration minimises how far the maps move target prompts, which
  need no steering (Zhu et al., 2017, "Unpaired image-to-image translation", section 5.2). With
  both, half of that third keeps source prompts in place under the inverse maps.
- With `compare="output"`, x and y are the outputs of the network, each channel at each position
  a coordinate; unit and centre are then taken over all positions of the steered modules, and a
  cost is in units of the spread of the whole output. In units of each channel's own spread, faint
  channels, which hardly change the picture, would count as much as those that make it.
- With `support` below 1, α and β are 0 in the other coordinates, see
  `lineas_core.learning.selection`.
- A model can learn at several denoising steps. Iterations take turns at them, both sides at the
  same one, so that on average they minimise the mean over steps of the distance at each. In the
  map, centre and unit are then means over the steps; a cost is in units of its own step.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.learning.config import LearnConfig, check_settings
from lineas_core.learning.samples import Samples
from lineas_core.learning.selection import effect_sizes, threshold
from lineas_core.learning.tasks import Task, Tasks
from lineas_core.models.base import SteerableModel
from lineas_core.models.denoising import at_each_step
from lineas_core.prompts.matching import are_matched
from lineas_core.runtime.processes import Share
from lineas_core.steering.affine import SteeringMaps

__all__ = ["Problem"]

_Slope = tuple[Tensor, Tensor]  # cost (D,), and the gradient of its sum
_RUNAWAY = 100  # a loss this many times the one at the start counts as divergence


class Problem:
    """The loss of LinEAS as a function of the learnt parameters.

    Attributes:
        steps: the encoded prompts and the passes of the network, for each denoising step at which
            the model learns; one for texts.
        samples: those of the first step.
        config: settings of the run, with `matched` resolved (never `auto`).
    """

    def __init__(
        self,
        model: SteerableModel,
        source: Sequence[str],
        target: Sequence[str],
        config: LearnConfig,
        modules: Sequence[str] | str | None,
    ) -> None:
        """Encode the prompts and find centre and unit; arguments and errors as in `learn_iter`."""
        check_settings(config, LearnConfig, "lineas")
        if config.matched == "auto":
            # Without mini-batches all lines are taken anyway.
            pairs = config.batch_size and are_matched(source, target)
            config = replace(config, matched="yes" if pairs else "no")
        self.config = config
        self._centre: Tensor | float = 0.0
        self._unit: Tensor | float = 1.0
        if config.matched == "yes" and len(source) != len(target):
            raise UserError(
                "E_PROMPTS",
                f"matched sets have the same size, not {len(source)} and {len(target)} prompts",
                remedy="Give pairs of lines, or set matched to no.",
            )
        self.steps = [
            Samples(each, source, target, config, modules, config.compare)
            for each in at_each_step(model)
        ]
        self.samples = self.steps[0]
        for later in self.steps:
            later.memory = self.samples.memory
        start = self.zeros().requires_grad_()
        self.samples.plan_memory(
            lambda row: self._backward(start, Task(row, 1.0, torch.square), Share(1))
        )
        costs = self._standardise() if config.standardise else [1.0] * len(self.steps)
        self._cost_unit = costs[0]
        self._steered: Tensor | None = None
        if config.support < 1:
            effects = self._mean(lambda s: effect_sizes(s)[0])
            self._steered = effects.abs() > threshold(effects, config.support)
        self._tasks = Tasks(self.steps, config, costs)

    def zeros(self) -> Tensor:
        """The parameters of the identity maps, (2, D), float32."""
        return torch.zeros(2, sum(self.samples.widths), device=self.samples.device)

    def maps(self, parameters: Tensor) -> SteeringMaps:
        """The maps that belong to parameters (2, D)."""
        if self._steered is not None:
            parameters = parameters * self._steered
        alpha, beta = parameters
        if self.config.shift_only:
            alpha = torch.zeros_like(alpha)  # its gradient is 0 as well
        # Learnt both ways, a scale must not cross 0, where it has no inverse.
        both_ways = self.config.both_ways and self.config.standardise
        scale = alpha.exp() if both_ways else 1 + alpha
        return self.samples.affine(scale, self._unit * beta + self._centre * (1 - scale))

    def cost_and_gradient(self, parameters: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        """The cost of the parameters on this iteration's prompts, and its gradient.

        Args:
            parameters: (2, D), requires a gradient.
            iteration: number of the iteration; it selects the mini-batch, the task, and the
                denoising step.

        Returns:
            Eq. 3.4 for every coordinate in units of unit², (D,), and the gradient of their sum
            with respect to the parameters, (2, D).

        Raises:
            UserError: memory runs out.
        """
        task = self._tasks.at(iteration)
        share = Share(len(task.inputs))
        cost, gradient = self.samples.memory.run(
            len(share.rows), lambda: self._in_two_passes(parameters, task, share)
        )
        return cost, share.sum(gradient)

    def is_measured(self, iteration: int) -> bool:
        """Whether the loss of an iteration is that of Eq. 3.3, at the first of the steps."""
        return self._tasks.is_forward(iteration) and self._tasks.step(iteration) == 0

    def total(self, cost: Tensor) -> float:
        """Reduce a cost (D,) to one number: the mean if standardised, else the paper's sum."""
        return (cost.mean() if self.config.standardise else cost.sum()).item()

    def ceiling(self, loss_start: float | None) -> float:
        """The highest loss that does not count as divergence.

        An exploding run passes through huge finite losses before the first infinite one, and no
        descent recovers from a hundred times its starting loss. Sets that are equal at the start
        may reach a hundred times the loss of sets that are one spread apart.

        Args:
            loss_start: loss of the unsteered network; None means that it is not known yet.
        """
        if loss_start is None:
            return sys.float_info.max
        one_spread_apart = self.total((self.samples.spread / self._cost_unit).square())
        return _RUNAWAY * max(loss_start, one_spread_apart)

    def worst_module(self, cost: Tensor) -> str:
        """Name of the module with the highest cost; NaN counts as infinite."""
        blocks = self.samples.split_compared(cost.nan_to_num(math.inf))
        return max(blocks, key=lambda name: blocks[name].sum().item())

    def _standardise(self) -> list[Any]:
        """Choose centre and unit of the maps; return the unit of the costs at each step."""
        if self.samples.compare == "output":
            self._centre, self._unit = self._mean(
                lambda s: torch.stack(s.mean_and_spread(s.target))
            )
            return [samples.spread.square().mean().sqrt() for samples in self.steps]
        self._unit = self._mean(lambda s: s.spread)
        self._centre = self._mean(lambda s: s.source_rows.mean(dim=0))
        return [samples.spread for samples in self.steps]

    def _mean(self, of: Callable[[Samples], Tensor]) -> Tensor:
        """The mean over denoising steps."""
        return torch.stack([of(samples) for samples in self.steps]).mean(dim=0)

    def _in_two_passes(self, parameters: Tensor, task: Task, share: Share) -> _Slope:
        """Cost and gradient, chunk by chunk where the memory plan asks for it.

        The cost needs all rows at once, but the backward pass of one row needs only the gradient
        of the cost at that row. A first pass without gradient therefore collects all rows, and a
        second pass goes back chunk by chunk. The result is exact up to rounding and needs the
        memory of one chunk.
        """
        own = replace(task, inputs=task.inputs.rows(share.rows))
        chunks = self.samples.memory.chunks(len(own.inputs))
        if len(chunks) == 1:
            return self._backward(parameters, own, share)
        maps = self.maps(parameters.detach()).at(task.strength)
        parts = self.samples.rows_in_chunks(own.inputs, maps)
        cost, at_rows = _slope(task, torch.cat(parts), share)
        gradient = torch.zeros_like(parameters)
        for chunk, at_chunk in zip(chunks, at_rows.split([len(p) for p in parts]), strict=True):
            part = Task(own.inputs.rows(chunk), task.strength, at_chunk.mul)
            gradient += self._backward(parameters, part, Share(1))[1]
        return cost, gradient

    def _backward(self, parameters: Tensor, task: Task, share: Share) -> _Slope:
        """The cost in one pass, and the gradient of its sum through the rows of this process."""
        maps = self.maps(parameters).at(task.strength)
        with self.samples.recording(task.inputs, maps) as samples:
            x = self.samples.join(samples)
            cost, at_rows = _slope(task, x, share)
            (gradient,) = torch.autograd.grad(x, parameters, at_rows)
        return cost, gradient


def _slope(task: Task, x: Tensor, share: Share) -> _Slope:
    """The cost, which needs the rows of all processes, and the gradient of its sum at x."""
    rows = share.gather(x.detach()).requires_grad_()
    cost = task.cost(rows)
    (at_rows,) = torch.autograd.grad(cost.sum(), rows)
    return cost.detach(), share.own(at_rows)
