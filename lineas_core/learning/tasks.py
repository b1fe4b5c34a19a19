"""What each iteration minimises: on which prompts, in which direction, at which denoising step.

Tasks take turns, as the settings say, and so do the steps at which a model learns: the step
changes when every task had its turn, so that every task meets every step. All is a function of
seed and iteration, so that a resumed run needs no state.

n prompts of a mini-batch; D coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lineas_core.learning.config import LearnConfig
from lineas_core.learning.samples import Samples
from lineas_core.learning.wasserstein import wasserstein_1d
from lineas_core.models.base import Inputs

__all__ = ["Task", "Tasks"]

_Side = tuple[Inputs, Tensor]  # encoded prompts, and their rows in the unsteered network


@dataclass(frozen=True, eq=False)
class Task:
    """What one iteration minimises.

    Attributes:
        inputs: the n encoded prompts that are steered.
        strength: λ at which the maps are applied to them.
        cost: their pooled activations (n, D) -> cost of every coordinate (D,).
    """

    inputs: Inputs
    strength: float
    cost: Callable[[Tensor], Tensor]


class Tasks:
    """The tasks of a run."""

    def __init__(
        self, steps: Sequence[Samples], config: LearnConfig, units: Sequence[Tensor | float]
    ) -> None:
        """Choose the tasks.

        Args:
            steps: both sides at each denoising step, see `Problem.steps`.
            config: settings of the run, with `matched` resolved.
            units: of the costs at each step, a number or (D,).
        """
        self._steps, self._config, self._units = steps, config, units
        tasks, inverse = [self._forward], [self._inverse]
        if config.identity_loss:
            tasks.append(self._identity)
            inverse.append(self._inverse_identity)
        if config.both_ways:  # λ > 0 is what most steering is for
            tasks = 2 * tasks + inverse
        self._tasks = tasks

    def at(self, iteration: int) -> Task:
        """Return the task of an iteration."""
        make = self._tasks[iteration % len(self._tasks)]
        return make(self._steps[self.step(iteration)], iteration)

    def step(self, iteration: int) -> int:
        """Return which of the steps an iteration is at."""
        return iteration // len(self._tasks) % len(self._steps)

    def is_forward(self, iteration: int) -> bool:
        """Whether an iteration steers source prompts towards the target (Eq. 3.3)."""
        return self._tasks[iteration % len(self._tasks)] == self._forward

    def _forward(self, s: Samples, iteration: int) -> Task:
        """Steer source prompts towards the target."""
        return self._transport(s, s.source, 1.0, (s.target, s.target_rows), iteration)

    def _inverse(self, s: Samples, iteration: int) -> Task:
        """Steer target prompts back towards the source with the inverse maps."""
        return self._transport(s, s.target, -1.0, (s.source, s.source_rows), iteration)

    def _identity(self, s: Samples, iteration: int) -> Task:
        """Keep every steered target prompt where it is without steering."""
        return self._stay(s, 1.0, (s.target, s.target_rows), iteration)

    def _inverse_identity(self, s: Samples, iteration: int) -> Task:
        """Keep every source prompt where it is under the inverse maps."""
        return self._stay(s, -1.0, (s.source, s.source_rows), iteration)

    def _stay(self, s: Samples, strength: float, side: _Side, iteration: int) -> Task:
        inputs, y = self._drawn(s, side, 2 * self._config.seed + 1, iteration)
        unit = self._units[self.step(iteration)]
        return Task(inputs, strength, lambda x: (x - y).square().mean(dim=0) / unit**2)

    def _transport(
        self, s: Samples, steered: Inputs, strength: float, end: _Side, iteration: int
    ) -> Task:
        size, seed = self._config.batch_size, self._config.seed
        inputs = steered.rows(_draw(len(steered), size, 2 * seed, iteration))
        if self._config.fresh_noise:
            inputs = s.model.with_noise(inputs, self._noise_seed(iteration))
        end_seed = 2 * seed + (self._config.matched == "no")
        _, y = self._drawn(s, end, end_seed, iteration)
        unit = self._units[self.step(iteration)]
        return Task(inputs, strength, lambda x: wasserstein_1d(x, y) / unit**2)

    def _drawn(self, s: Samples, side: _Side, seed: int, iteration: int) -> _Side:
        """This iteration's mini-batch of one side, and its rows in the unsteered network."""
        prompts, rows = side
        places = _draw(len(prompts), self._config.batch_size, seed, iteration)
        drawn = prompts.rows(places)
        if self._config.fresh_noise:
            drawn = s.model.with_noise(drawn, self._noise_seed(iteration))
            return drawn, s.rows(drawn)
        if len(places) == len(prompts):
            return prompts, rows
        # With the pooling `all` a prompt has many rows, so that its number does not select them.
        one_row_each = len(rows) == len(prompts)
        return drawn, rows[places] if one_row_each else s.rows(drawn)

    def _noise_seed(self, iteration: int) -> int:
        """A seed for the noise of an iteration, the same for both sides."""
        return self._config.seed * 1_000_003 + iteration


def _draw(total: int, size: int | None, seed: int, iteration: int) -> Tensor:
    """Row numbers of a mini-batch, a function of seed and iteration, so it needs no state."""
    if size is None or size >= total:
        return torch.arange(total)
    generator = torch.Generator().manual_seed((seed * 1_000_003 + iteration) % 2**63)
    return torch.randperm(total, generator=generator)[:size]
