"""Workloads to time steering: painting a picture, reading a text, writing a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from lineas_core import AffineMap, SteeringMaps, find_modules, load_model
from lineas_core.tables.workbench import lines_of

__all__ = ["PROMPT", "Workload", "drawn", "workloads"]

PROMPT = "a castle on a hill"
_READ, _WRITTEN = 96, 16  # tokens


@dataclass(frozen=True)
class Workload:
    """A generation by a model.

    Attributes:
        title: kind of workload and name of the model.
        model: the model that generates.
        widths: module name -> number of coordinates, for all norms of the network.
        run: function of model and batch size that is timed.
        output: function of model and batch size that returns the output of the network, with one
            row for each element of the batch.
    """

    title: str
    model: Any
    widths: dict[str, int]
    run: Callable[[Any, int], object]
    output: Callable[[Any, int], Tensor]

    def maps(self, count: int) -> list[SteeringMaps]:
        """Draw random maps for `count` concepts, each on all norms."""
        return [drawn(self.widths, seed) for seed in range(count)]


def drawn(widths: Mapping[str, int], seed: int) -> SteeringMaps:
    """Draw random maps near the identity; time does not depend on their values.

    Args:
        widths: module name -> number of coordinates.
        seed: seed of the random numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    return SteeringMaps(
        {
            name: AffineMap(
                1 + 0.1 * torch.randn(d, generator=generator),
                0.1 * torch.randn(d, generator=generator),
            )
            for name, d in widths.items()
        }
    )


def workloads(*kinds: str) -> Iterator[Workload]:
    """Yield the workloads of the given kinds: `picture`, `prefill` or `decode`."""
    for kind in kinds:
        name, preset, run, output = _KINDS[kind]
        model = _loaded(name)
        names = find_modules(model.network, preset)
        widths = {n: len(model.network.get_submodule(n).weight) for n in names}
        yield Workload(f"{kind}, {name}", model, widths, run, output)


@cache
def _loaded(name: str) -> Any:
    return load_model(name)


def _paint(model: Any, rows: int) -> object:
    return model.generate([PROMPT] * rows, seeds=[0] * rows)


@torch.no_grad()
def _denoise(model: Any, rows: int) -> Tensor:
    same_noise = torch.zeros(rows, dtype=torch.long)
    return model.forward(model.encode([PROMPT]).rows(same_noise))


@torch.no_grad()
def _prefill(model: Any, rows: int) -> Tensor:
    """Process a text in one pass."""
    return model.network(_tokens(model, rows), logits_to_keep=1).logits


@torch.no_grad()
def _decode(model: Any, rows: int) -> Tensor:
    """Process a text token by token; its tokens are given, so that its length is fixed."""
    past = DynamicCache(config=model.network.config)
    for token in _tokens(model, rows)[:, :_WRITTEN].split(1, dim=1):
        logits = model.network(token, past_key_values=past, logits_to_keep=1).logits
    return logits


def _tokens(model: Any, rows: int) -> Tensor:
    text = " ".join(lines_of("neutral-openings.txt"))
    return model.encode([text] * rows).arguments["input_ids"][:, :_READ]


_KINDS = {
    "picture": ("emoji-world", "all-norms", _paint, _denoise),
    "prefill": ("smollm2-135m", ".*norm", _prefill, _prefill),
    "decode": ("smollm2-135m", ".*norm", _decode, _decode),
}
