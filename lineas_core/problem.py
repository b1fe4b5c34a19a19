"""What is minimised: the distance of steered source prompts to target prompts (Eq. 3.3, 3.4).

x, y     pooled activations of source prompts (steered, Eq. 3.1) and target prompts (untouched,
         Eq. 3.2), concatenated over modules: (n, D) and (m, D)
α, β     the two learnt rows (2, D); scale ω = 1 + α, shift b = spread·β - centre·α
centre, spread   (D,): mean of x before steering and standard deviation of y. With centre = 0
         and spread = 1 (`standardise=False`) α and β are the paper's ω - 1 and b.

Differs from the paper: by default the map is learnt as T(z) = z + α(z - centre) + spread·β and
every coordinate's cost is divided by spread², so that one learning rate fits every model.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from functools import partial
from importlib.metadata import version

import torch
from torch import Tensor

from lineas_core.affine import AffineMap, SteeringMaps
from lineas_core.config import LearnConfig
from lineas_core.errors import UserError
from lineas_core.hooks import Complete, record, steer
from lineas_core.memory import MemoryPlan, checkpointed
from lineas_core.models.base import Inputs, SteerableModel, fingerprint
from lineas_core.pooling import pool
from lineas_core.precision import native_bfloat16
from lineas_core.wasserstein import wasserstein_1d

__all__ = ["Problem"]

_RUNAWAY = 100
_UNTOUCHED = SteeringMaps({})


class Problem:
    """What stays fixed during a run: encoded prompts, target samples, units.

    Attributes:
        names: the modules to steer, in the order of execution.
        widths: number of coordinates of each.
        facts: for the map's file.
    """

    def __init__(
        self,
        model: SteerableModel,
        source: Sequence[str],
        target: Sequence[str],
        config: LearnConfig,
        modules: Sequence[str] | None,
    ) -> None:
        """Encode the prompts and run the target ones once."""
        self._model, self._config = model, config
        self._memory = MemoryPlan(config.micro_batch_size)
        self._inputs, targets = model.encode(source), model.encode(target)
        one = self._inputs.rows(torch.tensor([0]))
        self.names = list(modules or model.default_modules)
        with torch.no_grad(), self._pass(one, _UNTOUCHED) as samples:
            self.names = list(samples)  # now in the order of execution
            self.widths = [rows.shape[1] for rows in samples.values()]
        self._centre = self._join(samples).new_zeros(sum(self.widths))
        self._unit = torch.ones_like(self._centre)
        start = self.zeros().requires_grad_()
        self._memory.fit(
            start.device, len(source), lambda: self._backward(start, one, torch.square)
        )
        self._target = self._rows(targets)
        self._spread = _spread(self._target, self.widths)
        if config.standardise:
            self._centre, self._unit = self._rows(self._inputs).mean(dim=0), self._spread
        self.facts = {
            "method": "lineas",
            "kind": model.kind,
            "model": model.name,
            "fingerprint": fingerprint(model.network, self.names),
            "config": asdict(config),
            "source_size": len(source),
            "target_size": len(target),
            "truncated": self._inputs.truncated + targets.truncated,
            "versions": {name: version(name) for name in ("torch", "transformers", "diffusers")},
        }

    def zeros(self) -> Tensor:
        """The parameters of the untouched network, (2, D)."""
        return torch.zeros(2, len(self._centre), device=self._centre.device)

    def maps(self, parameters: Tensor) -> SteeringMaps:
        """The maps that the parameters (2, D) stand for."""
        alpha, beta = parameters
        scales = self.split(1 + alpha)
        shifts = self.split(self._unit * beta - self._centre * alpha)
        return SteeringMaps({name: AffineMap(scales[name], shifts[name]) for name in self.names})

    def cost_and_gradient(self, parameters: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        """What the parameters cost on this iteration's prompts.

        Returns:
            Eq. 3.4 for every coordinate in squared units of its spread, (D,), and the gradient
            of the sum of these, (2, D).

        Raises:
            UserError: the memory does not suffice.
        """
        share = min((self._config.batch_size or math.inf) / len(self._inputs), 1)
        rows_x = _draw(len(self._inputs), share, self._config.seed, iteration)
        rows_y = _draw(len(self._target), share, self._config.seed + 1, iteration)
        inputs, y = self._inputs.rows(rows_x), self._target[rows_y]

        def cost(x: Tensor) -> Tensor:
            return wasserstein_1d(x, y) / self._unit**2

        return self._memory.within(
            len(inputs), lambda: self._in_two_passes(parameters, inputs, cost)
        )

    def heldout_distance(
        self, heldout: tuple[Sequence[str], Sequence[str]] | None
    ) -> Callable[[SteeringMaps], float] | None:
        """A function that measures maps on prompts they were not learnt from."""
        if not heldout or not all(heldout):
            return None
        source, target = (self._model.encode(side) for side in heldout)
        y = self._rows(target)

        def distance(maps: SteeringMaps) -> float:
            x = self._rows(source, maps)
            return (wasserstein_1d(x, y) / self._spread**2).mean().item()

        return distance

    def split(self, coordinates: Tensor) -> dict[str, Tensor]:
        """(..., D) -> (..., d) for each module."""
        return dict(zip(self.names, coordinates.split(self.widths, dim=-1), strict=True))

    def total(self, cost: Tensor) -> float:
        """One number for a loss: the paper's sum, or the mean in standardised units."""
        return (cost.mean() if self._config.standardise else cost.sum()).item()

    def ceiling(self, loss_start: float | None) -> float:
        """The highest loss that is no divergence.

        A run that explodes passes through huge finite losses before the first infinite one, and
        no descent comes back from a hundred times its start. Sets that were equal at the start
        are allowed a hundred times the loss of sets one spread apart.
        """
        if loss_start is None:
            return sys.float_info.max
        one_spread_apart = self.total((self._spread / self._unit).square())
        return _RUNAWAY * max(loss_start, one_spread_apart)

    def worst(self, cost: Tensor) -> str:
        """Name of the module with the highest loss, or with one that is none."""
        blocks = self.split(cost.nan_to_num(math.inf))
        return max(blocks, key=lambda name: blocks[name].sum().item())

    @contextmanager
    def _pass(self, inputs: Inputs, maps: SteeringMaps) -> Iterator[dict[str, Tensor]]:
        """One pass: module name -> pooled activations. Hooked until the block ends."""
        network = self._model.network
        weight = next(network.parameters())
        pooling = partial(pool, weight=inputs.weight, how=self._config.pooling)
        wanted = self._config.precision
        lower = native_bfloat16(weight.device) if wanted == "auto" else wanted == "bfloat16"
        # A network in bfloat16 is left to compute as it does when it generates.
        lower = lower and weight.dtype == torch.float32
        mixed = torch.autocast(weight.device.type, torch.bfloat16, enabled=lower)
        again = checkpointed(network) if self._memory.checkpointing else nullcontext()
        with (
            again,
            steer(network, maps),
            record(network, self.names, pool=pooling, stop=True) as samples,
        ):
            with mixed, suppress(Complete):
                self._model.forward(inputs)
            yield samples

    def _join(self, samples: dict[str, Tensor]) -> Tensor:
        if len({len(rows) for rows in samples.values()}) > 1:
            raise UserError(
                "E_POOLING",
                f"pooling is {self._config.pooling!r}, but the modules differ in their positions",
                remedy="Choose 'mean'.",
            )
        return torch.cat([samples[name] for name in self.names], dim=1)

    def _rows(self, inputs: Inputs, maps: SteeringMaps = _UNTOUCHED) -> Tensor:
        """Pooled activations of all prompts, (n, D), without a gradient."""
        return self._memory.within(
            len(inputs), lambda: torch.cat(self._rows_in_chunks(inputs, maps))
        )

    @torch.no_grad()
    def _rows_in_chunks(self, inputs: Inputs, maps: SteeringMaps) -> list[Tensor]:
        parts = []
        for chunk in self._memory.chunks(len(inputs)):
            with self._pass(inputs.rows(chunk), maps) as samples:
                parts.append(self._join(samples))
        return parts

    def _in_two_passes(
        self, parameters: Tensor, inputs: Inputs, cost: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Cost and gradient with as little in memory as the plan asks for.

        The loss needs all rows, but its gradient at these rows is all that one row's backward
        pass needs. So a first pass without gradient collects the rows, a second one goes back
        chunk by chunk: exact, with one chunk's memory.
        """
        chunks = self._memory.chunks(len(inputs))
        if len(chunks) == 1:
            return self._backward(parameters, inputs, cost)
        parts = self._rows_in_chunks(inputs, self.maps(parameters.detach()))
        x = torch.cat(parts).requires_grad_()
        value = cost(x)
        (at_rows,) = torch.autograd.grad(value.sum(), x)
        gradient = torch.zeros_like(parameters)
        for chunk, at_chunk in zip(chunks, at_rows.split([len(p) for p in parts]), strict=True):
            gradient += self._backward(parameters, inputs.rows(chunk), at_chunk.mul)[1]
        return value.detach(), gradient

    def _backward(
        self, parameters: Tensor, inputs: Inputs, cost: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """A cost of the rows, and the gradient of its sum."""
        with self._pass(inputs, self.maps(parameters)) as samples:
            value = cost(self._join(samples))
            (gradient,) = torch.autograd.grad(value.sum(), parameters)
        return value.detach(), gradient


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
