"""The data that every method learns from: pooled activations of two sets of prompts.

n, m     number of source and of target prompts
d, D     coordinates of one module, and of all steered modules side by side
x, y     pooled activations of source prompts (n, D) and of target prompts (m, D), float32
spread   standard deviation of y, (D,): the unit in which distances are reported
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.learning.config import FitConfig, check_sides
from lineas_core.learning.pooling import pool, weighted
from lineas_core.learning.spread import floored, moments
from lineas_core.models.base import Inputs, SteerableModel
from lineas_core.runtime.attention import ShortAttention
from lineas_core.runtime.memory import MemoryPlan, checkpointed
from lineas_core.runtime.packing import saved_in_bfloat16
from lineas_core.runtime.precision import native_bfloat16
from lineas_core.runtime.processes import Share
from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.steering.hooks import Complete, Pool, record, steer
from lineas_core.steering.presets import check_ran, find_modules

__all__ = ["UNTOUCHED", "Samples", "not_finite"]

UNTOUCHED = SteeringMaps({})
"""Maps that steer no module."""


class Samples:
    """Two sides of prompts, encoded once, and the network passes that turn them into samples.

    Attributes:
        model: the frozen model.
        config: settings of the method, with `pooling` resolved (never `auto`).
        source: the encoded source prompts, n of them.
        target: the encoded target prompts, m of them.
        names: dotted names of the steered modules, in the order of execution.
        widths: number of coordinates d of each module.
        device: the device of the pooled activations.
        memory: how many prompts pass through the network together.
    """

    def __init__(
        self,
        model: SteerableModel,
        source: Sequence[str],
        target: Sequence[str],
        config: FitConfig,
        modules: Sequence[str] | str | None,
        compare: str = "activations",
    ) -> None:
        """Encode the prompts and run one of them to find the order and widths of the modules.

        Args:
            model: the frozen model.
            source: two or more prompts.
            target: two or more prompts.
            config: settings of the method.
            modules: see `lineas_core.learn`.
            compare: what `rows` holds: `activations`, pooled, of the steered modules, or the
                `output` of the network, every number of it.

        Raises:
            UserError: there are too few prompts, a module is missing or does not run, memory runs
                out, or the output of a language model is to be compared.
        """
        check_sides(source, target)
        if config.pooling == "auto":
            config = replace(config, pooling=model.default_pooling)
        if compare == "output" and model.kind != "text-to-image":
            what, remedy = "compare is 'output', which is for pictures", "Give 'activations'."
            raise UserError("E_SETTING", what, remedy=remedy)
        self.model, self.config, self.compare = model, config, compare
        self.memory = MemoryPlan(config.micro_batch_size)
        self.source, self.target = model.encode(source), model.encode(target)
        if isinstance(modules, str):
            modules = find_modules(model.network, modules)
        self.names = list(modules or model.default_modules)
        if not self.names:  # raises an error that lists the modules of this network
            find_modules(model.network, "post-layernorms")
        self.memory.run(1, self._find_widths)

    @cached_property
    def source_rows(self) -> Tensor:
        """Pooled activations x of the source prompts in the unsteered network, (n, D)."""
        return self.rows(self.source)

    @cached_property
    def target_rows(self) -> Tensor:
        """Pooled activations y of the target prompts in the unsteered network, (m, D)."""
        return self.rows(self.target)

    @cached_property
    def spread(self) -> Tensor:
        """Standard deviation of each coordinate over the target prompts, (D,), above 0.

        A coordinate that hardly varies would get a huge weight. Its spread is therefore at least
        a tenth of the median of its module's varying coordinates. It is 1 in a module in which
        no coordinate varies.
        """
        y = self.target_rows
        if self.compare == "output":  # one spread for a channel, whatever the position
            channels = y.unflatten(1, (self._channels, -1)).transpose(0, 1).flatten(1)
            return floored(channels.std(dim=1)).repeat_interleave(y.shape[1] // self._channels)
        return torch.cat([floored(s) for s in y.std(dim=0).split(self.widths)])

    def mean_and_spread(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the steered modules' activations, over all positions.

        Args:
            inputs: n encoded prompts; they run in the unsteered network.

        Returns:
            (D,) each; the spread is floored as in `spread`.
        """
        first, second = self._shared(self._moments, inputs).mean(dim=0)
        variance = (second - first.square()).clamp(min=0)
        return first, torch.cat([floored(s) for s in variance.sqrt().split(self.widths)])

    def plan_memory(self, one_pass: Callable[[Inputs], object]) -> None:
        """Choose how many prompts pass together, from the memory that one of them needs.

        Args:
            one_pass: the kind of pass to plan for, applied to a single encoded prompt.

        Raises:
            UserError: there is not enough memory for one prompt.
        """
        devices = {parameter.device for parameter in self.model.network.parameters()}
        self.memory.measure(devices, len(self.source), partial(one_pass, self._one_row()))

    def rows(
        self,
        inputs: Inputs,
        maps: SteeringMaps = UNTOUCHED,
        names: Sequence[str] | None = None,
    ) -> Tensor:
        """Pooled activations of prompts, without a gradient; processes share the prompts.

        Args:
            inputs: n encoded prompts.
            maps: the maps that steer the network during the pass.
            names: modules to record; None means all of `self.names`.

        Returns:
            (n, D), float32, the modules side by side. With the pooling `all` there is one row
            for every position.

        Raises:
            UserError: memory runs out, modules have different numbers of rows, or activations of
                the unsteered network are not finite.
        """
        rows = self._shared(lambda own: torch.cat(self.rows_in_chunks(own, maps, names)), inputs)
        if maps is UNTOUCHED and not rows.isfinite().all():
            parts = self.split_compared(rows) if names is None else self.split(rows)
            first = next(n for n, part in parts.items() if not part.isfinite().all())
            raise not_finite(first)
        return rows

    @torch.no_grad()
    def rows_in_chunks(
        self,
        inputs: Inputs,
        maps: SteeringMaps = UNTOUCHED,
        names: Sequence[str] | None = None,
    ) -> list[Tensor]:
        """The same as `rows`, in one tensor for every chunk of the current memory plan."""
        parts = []
        for chunk in self.memory.chunks(len(inputs)):
            with self.recording(inputs.rows(chunk), maps, names) as samples:
                parts.append(self.join(samples))
        return parts

    @contextmanager
    def recording(
        self,
        inputs: Inputs,
        maps: SteeringMaps = UNTOUCHED,
        names: Sequence[str] | None = None,
    ) -> Iterator[dict[str, Tensor]]:
        """Run one pass and yield module name -> pooled activations (n, d).

        The hooks stay in place until the block ends, so that a backward pass inside the block
        can recompute checkpointed activations. Arguments as in `rows`.
        """
        network, wanted = self.model.network, names or self.names
        again = checkpointed(network) if self.memory.checkpointing else nullcontext()
        if self.compare == "output" and names is None:
            with again, steer(network, maps):
                yield {"output": self.run(inputs).float().flatten(1)}
            return
        recorded = record(network, wanted, pool=self.pooling(inputs), stop=True)
        with again, steer(network, maps), recorded as samples:
            self.run(inputs)
            yield samples

    def run(self, inputs: Inputs) -> Any:
        """Run one pass in the configured precision, under the hooks that the caller has set.

        Returns:
            What `SteerableModel.forward` returns; None where a hook ended the pass early by
            raising `Complete`.
        """
        weight, wanted = next(self.model.network.parameters()), self.config.precision
        lower = native_bfloat16(weight.device) if wanted == "auto" else wanted == "bfloat16"
        # A network whose weights are bfloat16 computes as it does when it generates.
        lower = lower and weight.dtype == torch.float32
        mixed = torch.autocast(weight.device.type, torch.bfloat16, enabled=lower)
        packs = wanted == "auto" and not lower and torch.is_grad_enabled()
        kept = saved_in_bfloat16(self.model.network) if packs else nullcontext()
        with mixed, kept, ShortAttention(), suppress(Complete):
            return self.model.forward(inputs)
        return None

    def pooling(self, inputs: Inputs) -> Pool:
        """The function that turns an activation of these prompts into samples."""
        return weighted(partial(pool, how=self.config.pooling), inputs.weight_at)

    def split(self, coordinates: Tensor) -> dict[str, Tensor]:
        """Split (..., D) into module name -> (..., d)."""
        return dict(zip(self.names, coordinates.split(self.widths, dim=-1), strict=True))

    def split_compared(self, cost: Tensor) -> dict[str, Tensor]:
        """Split a cost of everything that is compared by module, or give it to the output."""
        return {"output": cost} if self.compare == "output" else self.split(cost)

    def join(self, samples: dict[str, Tensor]) -> Tensor:
        """Concatenate module name -> (n, d) into (n, D).

        Raises:
            UserError: the modules differ in their number of rows, as with the pooling `all` in
                an image network.
        """
        if len({len(rows) for rows in samples.values()}) > 1:
            raise UserError(
                "E_POOLING",
                f"pooling is {self.config.pooling!r}, but the modules differ in their positions",
                remedy="Choose 'mean'.",
            )
        return torch.cat([rows.to(self.device) for rows in samples.values()], dim=1)

    def affine(self, scale: Tensor, shift: Tensor) -> SteeringMaps:
        """Build the maps of all modules from scale ω (D,) and shift b (D,)."""
        scales, shifts = self.split(scale), self.split(shift)
        return SteeringMaps({name: AffineMap(scales[name], shifts[name]) for name in self.names})

    def _one_row(self) -> Inputs:
        return self.source.rows(torch.tensor([0]))

    @torch.no_grad()
    def _find_widths(self) -> None:
        """Run one prompt; the modules report in the order in which they run."""
        with self.recording(self._one_row(), names=self.names) as samples:
            check_ran(self.names, samples, self.model.default_modules)
            self.names = list(samples)
            self.widths = [rows.shape[1] for rows in samples.values()]
            self.device = next(iter(samples.values())).device
        if self.compare == "output":
            self._channels = self.run(self._one_row()).shape[1]

    def _shared(self, work: Callable[[Inputs], Tensor], inputs: Inputs) -> Tensor:
        """Let every process work on its share of the prompts; return what all have computed."""
        share = Share(len(inputs))
        own = inputs.rows(share.rows)
        return share.gather(self.memory.run(len(own), lambda: work(own)))

    @torch.no_grad()
    def _moments(self, inputs: Inputs) -> Tensor:
        """Mean and mean square over positions, (n, 2, D)."""
        parts = []
        for chunk in self.memory.chunks(len(inputs)):
            own = inputs.rows(chunk)
            pooling = weighted(moments, own.weight_at)
            with record(self.model.network, self.names, pool=pooling, stop=True) as found:
                self.run(own)
            parts.append(torch.cat([found[n].to(self.device) for n in self.names], dim=2))
        return torch.cat(parts)


def not_finite(module: str) -> UserError:
    """The error for activations that are NaN or infinite in the unsteered network."""
    return UserError(
        "E_VALUES",
        f"the activations of {module} are not finite before anything is steered",
        remedy="Load the model in float32 or bfloat16, or steer other modules.",
    )
