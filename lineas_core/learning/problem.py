"""What is minimised: the distance of steered source prompts to target prompts (Eq. 3.3, 3.4).

x, y     pooled activations of source prompts (steered, Eq. 3.1) and target prompts (untouched,
         Eq. 3.2), concatenated over modules: (n, D) and (m, D)
α, β     the two learnt rows (2, D); scale ω = 1 + α, shift b = spread·β - centre·α
centre, spread   (D,): mean of x before steering and standard deviation of y. With centre = 0
         and spread = 1 (`standardise=False`) α and β are the paper's ω - 1 and b.

Differs from the paper: by default the map is learnt as T(z) = z + α(z - centre) + spread·β and
every coordinate's cost is divided by spread², so that one learning rate fits every model.
With `both_ways` every other iteration minimises the distance of target prompts, steered by the
inverse maps (λ = -1), to untouched source prompts; the paper leaves the inverse to itself.
With `identity_loss` every other one (every third, with both) minimises how far steered target
prompts are from where they were (Zhu et al., 2017, "Unpaired image-to-image translation", section
5.2): what needs no steering is left alone.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import torch
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.learning.config import LearnConfig
from lineas_core.learning.samples import Samples
from lineas_core.learning.wasserstein import wasserstein_1d
from lineas_core.models.base import Inputs, SteerableModel
from lineas_core.steering.affine import SteeringMaps

__all__ = ["Problem"]

_RUNAWAY = 100
_Task = tuple[Inputs, float, Callable[[Tensor], Tensor]]  # what is steered, at which λ, its cost


class Problem(Samples):
    """Samples, the units to learn in, and the loss."""

    config: LearnConfig
    _centre: Tensor | float = 0.0  # with these two, the paper's own units
    _unit: Tensor | float = 1.0

    def __init__(
        self,
        model: SteerableModel,
        source: Sequence[str],
        target: Sequence[str],
        config: LearnConfig,
        modules: Sequence[str] | None,
    ) -> None:
        """Encode the prompts and run the target ones once; arguments as in `learn_iter`."""
        if not isinstance(config, LearnConfig):
            raise UserError(
                "E_SETTING",
                f"the settings for lineas are a {type(config).__name__}",
                remedy="Give a LearnConfig, or none.",
            )
        super().__init__(model, source, target, config, modules)
        if config.standardise:
            self._unit, self._centre = self.spread, self._untouched.mean(dim=0)

    @cached_property
    def _untouched(self) -> Tensor:
        """Pooled activations of the source prompts in the untouched network, (n, D)."""
        return self.rows(self.source)

    def zeros(self) -> Tensor:
        """The parameters of the untouched network, (2, D)."""
        return torch.zeros(2, sum(self.widths), device=self.device)

    def maps(self, parameters: Tensor) -> SteeringMaps:
        """The maps that the parameters (2, D) stand for."""
        alpha, beta = parameters
        if self.config.shift_only:
            alpha = torch.zeros_like(alpha)  # and so is its gradient
        return self.affine(1 + alpha, self._unit * beta - self._centre * alpha)

    def cost_and_gradient(self, parameters: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        """What the parameters cost on this iteration's prompts.

        Returns:
            Eq. 3.4 for every coordinate in squared units of its spread, (D,), and the gradient
            of the sum of these, (2, D).

        Raises:
            UserError: the memory does not suffice.
        """
        inputs, strength, cost = self._turn(iteration)(iteration)
        return self.memory.within(
            len(inputs), lambda: self._in_two_passes(parameters, strength, inputs, cost)
        )

    def goes_forth(self, iteration: int) -> bool:
        """Whether an iteration is about the way from source to target (Eq. 3.3)."""
        return self._turn(iteration) == self._forth

    def _turn(self, iteration: int) -> Callable[[int], _Task]:
        turns = [self._forth]
        turns += [self._back] * self.config.both_ways + [self._stay] * self.config.identity_loss
        return turns[iteration % len(turns)]

    def _forth(self, iteration: int) -> _Task:
        """Source prompts come to the target."""
        return self._matched(self.source, 1.0, self._targets, self.target, iteration)

    def _back(self, iteration: int) -> _Task:
        """Target prompts come to the source, by the inverse maps."""
        return self._matched(self._targets, -1.0, self.source, self._untouched, iteration)

    def _stay(self, iteration: int) -> _Task:
        """Target prompts stay each where it is."""
        inputs, rows = self._drawn(self._targets, self.target, 2 * self.config.seed + 1, iteration)
        return inputs, 1.0, lambda x: (x - rows).square().mean(dim=0) / self._unit**2

    def _matched(
        self, steered: Inputs, strength: float, end: Inputs, rows: Tensor, iteration: int
    ) -> _Task:
        size, seed = self.config.batch_size, self.config.seed
        inputs = steered.rows(_draw(len(steered), size, 2 * seed, iteration))
        _, y = self._drawn(end, rows, 2 * seed + 1, iteration)
        return inputs, strength, lambda x: wasserstein_1d(x, y) / self._unit**2

    def _drawn(
        self, prompts: Inputs, rows: Tensor, seed: int, iteration: int
    ) -> tuple[Inputs, Tensor]:
        """This iteration's prompts of a side, and their rows in the untouched network."""
        places = _draw(len(prompts), self.config.batch_size, seed, iteration)
        if len(places) == len(prompts):
            return prompts, rows
        # A prompt is no one row where each of its positions is a row.
        one_each = len(rows) == len(prompts)
        drawn = prompts.rows(places)
        return drawn, rows[places] if one_each else self.rows(drawn)

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
        one_spread_apart = self.total((self.spread / self._unit).square())
        return _RUNAWAY * max(loss_start, one_spread_apart)

    def worst(self, cost: Tensor) -> str:
        """Name of the module with the highest loss, or with one that is none."""
        blocks = self.split(cost.nan_to_num(math.inf))
        return max(blocks, key=lambda name: blocks[name].sum().item())

    def _plan_memory(self, one_row: Inputs) -> None:
        """Plan for gradients, which need more."""
        start = self.zeros().requires_grad_()
        work = partial(self._backward, start, 1.0, one_row, torch.square)
        self.memory.fit(self.device, len(self.source), work)

    def _in_two_passes(
        self,
        parameters: Tensor,
        strength: float,
        inputs: Inputs,
        cost: Callable[[Tensor], Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Cost and gradient with as little in memory as the plan asks for.

        The loss needs all rows, but its gradient at these rows is all that one row's backward
        pass needs. So a first pass without gradient collects the rows, a second one goes back
        chunk by chunk: exact, with one chunk's memory.
        """
        chunks = self.memory.chunks(len(inputs))
        if len(chunks) == 1:
            return self._backward(parameters, strength, inputs, cost)
        parts = self.rows_in_chunks(inputs, self.maps(parameters.detach()).at(strength))
        x = torch.cat(parts).requires_grad_()
        value = cost(x)
        (at_rows,) = torch.autograd.grad(value.sum(), x)
        gradient = torch.zeros_like(parameters)
        for chunk, at_chunk in zip(chunks, at_rows.split([len(p) for p in parts]), strict=True):
            rows = inputs.rows(chunk)
            gradient += self._backward(parameters, strength, rows, at_chunk.mul)[1]
        return value.detach(), gradient

    def _backward(
        self,
        parameters: Tensor,
        strength: float,
        inputs: Inputs,
        cost: Callable[[Tensor], Tensor],
    ) -> tuple[Tensor, Tensor]:
        """A cost of the rows, and the gradient of its sum."""
        with self.recording(inputs, self.maps(parameters).at(strength)) as samples:
            value = cost(self._join(samples))
            (gradient,) = torch.autograd.grad(value.sum(), parameters)
        return value.detach(), gradient


def _draw(total: int, size: int | None, seed: int, iteration: int) -> Tensor:
    """Rows of this step's mini-batch: a function of (seed, iteration), so it needs no state."""
    if size is None or size >= total:
        return torch.arange(total)
    generator = torch.Generator().manual_seed((seed * 1_000_003 + iteration) % 2**63)
    return torch.randperm(total, generator=generator)[:size]
