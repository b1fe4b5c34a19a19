"""What every method learns from: pooled activations of prompts, and facts about the run.

x, y     pooled activations of source prompts (steered, Eq. 3.1) and target prompts (untouched,
         Eq. 3.2), concatenated over modules: (n, D) and (m, D)
spread   (D,), standard deviation of y: the unit in which distances are told
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from functools import cached_property, partial
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.learning.config import FitConfig
from lineas_core.learning.pooling import pool
from lineas_core.learning.wasserstein import wasserstein_1d
from lineas_core.models.base import Inputs, SteerableModel, fingerprint
from lineas_core.runtime.attention import ShortAttention
from lineas_core.runtime.memory import MemoryPlan, checkpointed
from lineas_core.runtime.precision import native_bfloat16
from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.steering.hooks import Complete, Pool, find_modules, record, steer

__all__ = ["UNTOUCHED", "Samples", "not_finite"]

UNTOUCHED = SteeringMaps({})
"""Maps that steer nothing."""


class Samples:
    """Two sides of prompts, encoded once, ready to run through the network.

    Attributes:
        model: the frozen model.
        config: pooling (never `auto`), precision and memory; whatever else a method needs is its
            own affair.
        source: the source prompts.
        names: the modules to steer, in the order of execution.
        widths: number of coordinates of each.
        device: where activations are.
        memory: how many prompts pass together.
    """

    def __init__(
        self,
        model: SteerableModel,
        source: Sequence[str],
        target: Sequence[str],
        config: FitConfig,
        modules: Sequence[str] | None,
    ) -> None:
        """Encode the prompts and run one of them, to see the modules.

        Raises:
            UserError: too few prompts, a module is missing, or the memory does not suffice.
        """
        for side, prompts in (("source", source), ("target", target)):
            if len(prompts) < 2:
                raise UserError(
                    "E_PROMPTS",
                    f"{side} has {len(prompts)} prompts",
                    remedy="Give at least 2, better 32.",
                )
        if config.pooling == "auto":
            config = replace(config, pooling=model.default_pooling)
        self.model, self.config = model, config
        self.memory = MemoryPlan(config.micro_batch_size)
        self.source, self._targets = model.encode(source), model.encode(target)
        one_row = self.source.rows(torch.tensor([0]))
        self.names = list(modules or model.default_modules)
        if not self.names:  # tell what there is
            find_modules(model.network, "post-layernorms")
        self.memory.within(1, partial(self._look, one_row))
        self._plan_memory(one_row)

    @torch.no_grad()
    def _look(self, one_row: Inputs) -> None:
        """See the modules run, in their order."""
        with self.recording(one_row) as samples:
            self.names = list(samples)
            self.widths = [rows.shape[1] for rows in samples.values()]
            self.device = self._join(samples).device

    @cached_property
    def target(self) -> Tensor:
        """Pooled activations of the target prompts in the untouched network, (m, D)."""
        return self.rows(self._targets)

    @cached_property
    def spread(self) -> Tensor:
        """Standard deviation of each coordinate over the target, (D,), never near zero."""
        return _spread(self.target, self.widths)

    def rows(
        self,
        inputs: Inputs,
        maps: SteeringMaps = UNTOUCHED,
        names: Sequence[str] | None = None,
    ) -> Tensor:
        """Pooled activations of all prompts, without a gradient.

        Args:
            inputs: n prompts.
            maps: what steers meanwhile.
            names: modules to record; None takes all.

        Returns:
            (n, D), the modules side by side.

        Raises:
            UserError: the memory does not suffice, the pooling gives ragged rows, or the untouched
                network's activations are not finite.
        """
        rows = self.memory.within(
            len(inputs), lambda: torch.cat(self.rows_in_chunks(inputs, maps, names))
        )
        if maps is UNTOUCHED and not rows.isfinite().all():
            first = next(n for n, part in self.split(rows).items() if not part.isfinite().all())
            raise not_finite(first)
        return rows

    @torch.no_grad()
    def rows_in_chunks(
        self, inputs: Inputs, maps: SteeringMaps, names: Sequence[str] | None = None
    ) -> list[Tensor]:
        """The same as `rows`, in the pieces that the memory allows at present."""
        parts = []
        for chunk in self.memory.chunks(len(inputs)):
            with self.recording(inputs.rows(chunk), maps, names) as samples:
                parts.append(self._join(samples))
        return parts

    @contextmanager
    def recording(
        self,
        inputs: Inputs,
        maps: SteeringMaps = UNTOUCHED,
        names: Sequence[str] | None = None,
    ) -> Iterator[dict[str, Tensor]]:
        """One pass: module name -> pooled activations. Hooked until the block ends."""
        network, wanted = self.model.network, names or self.names
        again = checkpointed(network) if self.memory.checkpointing else nullcontext()
        with (
            again,
            steer(network, maps),
            record(network, wanted, pool=self.pooling(inputs), stop=True) as samples,
        ):
            self.run(inputs)
            yield samples

    def run(self, inputs: Inputs) -> None:
        """One pass in the wanted precision, under whatever hooks the caller has set.

        It ends where a hook raises `Complete`.
        """
        weight, wanted = next(self.model.network.parameters()), self.config.precision
        lower = native_bfloat16(weight.device) if wanted == "auto" else wanted == "bfloat16"
        # A network in bfloat16 is left to compute as it does when it generates.
        lower = lower and weight.dtype == torch.float32
        mixed = torch.autocast(weight.device.type, torch.bfloat16, enabled=lower)
        with mixed, ShortAttention(), suppress(Complete):
            self.model.forward(inputs)

    def pooling(self, inputs: Inputs) -> Pool:
        """How activations of these prompts become samples."""
        return partial(pool, weight=inputs.weight, how=self.config.pooling)

    def split(self, coordinates: Tensor) -> dict[str, Tensor]:
        """(..., D) -> (..., d) for each module."""
        return dict(zip(self.names, coordinates.split(self.widths, dim=-1), strict=True))

    def affine(self, scale: Tensor, shift: Tensor) -> SteeringMaps:
        """Maps of all modules from scale and shift of all coordinates, (D,) each."""
        scales, shifts = self.split(scale), self.split(shift)
        return SteeringMaps({name: AffineMap(scales[name], shifts[name]) for name in self.names})

    def heldout_distance(
        self, heldout: tuple[Sequence[str], Sequence[str]] | None
    ) -> Callable[[SteeringMaps], float] | None:
        """A function that measures maps on prompts they were not learnt from.

        The distance is Eq. 3.4 in units of spread², as a mean over coordinates.
        """
        if not heldout or not all(heldout):
            return None
        source, target = (self.model.encode(side) for side in heldout)
        y = self.rows(target)

        def distance(maps: SteeringMaps) -> float:
            x = self.rows(source, maps)
            return (wasserstein_1d(x, y) / self.spread**2).mean().item()

        return distance

    def facts(
        self, method: str, strength: float = 1.0, names: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """For the map's file.

        Args:
            method: what made it, a key of `lineas_core.methods.METHODS`.
            strength: λ to start with; what the method's paper uses.
            names: the modules that the maps steer; None is all of them.
        """
        return {
            "method": method,
            "strength": strength,
            "kind": self.model.kind,
            "model": self.model.name,
            "fingerprint": fingerprint(self.model.network, names or self.names),
            "config": asdict(self.config),
            "source_size": len(self.source),
            "target_size": len(self._targets),
            "truncated": self.source.truncated + self._targets.truncated,
            "versions": {name: version(name) for name in ("torch", "transformers", "diffusers")},
        }

    def _plan_memory(self, one_row: Inputs) -> None:
        """Plan for passes without a gradient."""
        work = partial(self.rows_in_chunks, one_row, UNTOUCHED)
        self.memory.fit(self.device, len(self.source), work)

    def _join(self, samples: dict[str, Tensor]) -> Tensor:
        if len({len(rows) for rows in samples.values()}) > 1:
            raise UserError(
                "E_POOLING",
                f"pooling is {self.config.pooling!r}, but the modules differ in their positions",
                remedy="Choose 'mean'.",
            )
        return torch.cat(list(samples.values()), dim=1)


def not_finite(module: str) -> UserError:
    """What to say of activations that no map is to blame for."""
    return UserError(
        "E_VALUES",
        f"the activations of {module} are not finite before anything is steered",
        remedy="Load the model in float32 or bfloat16, or steer other modules.",
    )


def _spread(y: Tensor, widths: list[int]) -> Tensor:
    """Standard deviation of each coordinate over the target, (D,), never near zero.

    A coordinate that hardly varies would get a huge weight; it is given a tenth of what is
    typical for those of its module that vary at all, and a dead module the spread 1.
    """
    return torch.cat([_floored(s) for s in y.std(dim=0).split(widths)])


def _floored(spread: Tensor) -> Tensor:
    alive = spread[spread > 0]
    return spread.clamp(min=0.1 * alive.median()) if len(alive) else torch.ones_like(spread)
