"""What learning on a language model needs, before its weights are loaded: memory and time.

One prompt passes through the network on torch's meta device, which knows shapes and computes
nothing. Multiplications are counted on the way, and the tensors that the backward pass needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lineas_core.runtime.memory import USABLE, checkpointed
from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.steering.hooks import Complete, record, steer

__all__ = ["Pass", "describe_learning", "measure_pass"]

_GB, _GPU_GB, _GPUS = 1e9, 80, (1, 2, 4, 8)
_FLOPS = 4e14  # per second: 40 % of the 989 TFLOP/s that an H100 has for dense bfloat16
_BASIS = (
    f"Calculated, not measured, for GPUs of {_GPU_GB} GB that compute {_FLOPS / 1e12:g} TFLOP/s, "
    "40 % of an H100 in bfloat16. Spread by --device auto, one GPU computes at a time; by "
    "torchrun, every process has the whole model and its share of the prompts."
)


@dataclass(frozen=True)
class Pass:
    """What one prompt needs in one iteration.

    Attributes:
        coordinates: D, of all steered modules.
        flops: of the forward pass up to the last steered module.
        kept: bytes for the backward pass, without weights.
        kept_checkpointed: the same when blocks are computed again.
    """

    coordinates: int
    flops: int
    kept: int
    kept_checkpointed: int


def measure_pass(network: nn.Module, modules: Sequence[str], tokens: int) -> Pass:
    """Let one prompt pass on the meta device.

    Args:
        network: a frozen language model on the meta device.
        modules: names of the steered modules.
        tokens: of the prompt.
    """
    ids = torch.zeros(1, tokens, dtype=torch.long, device="meta")
    # With a mask of its own transformers does not look at values, which there are none of.
    dtype = next(network.parameters()).dtype
    mask = torch.zeros(1, 1, tokens, tokens, dtype=dtype, device="meta")

    def mean(activation: Tensor, _: int) -> Tensor:  # autocast does not know the meta device
        return activation.float().mean(dim=1)

    def run(maps: SteeringMaps) -> dict[str, Tensor]:
        with steer(network, maps), record(network, modules, pool=mean, stop=True) as rows:
            with suppress(Complete):
                network(input_ids=ids, attention_mask=mask, use_cache=False)
            return rows

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        widths = {name: rows.shape[1] for name, rows in run(SteeringMaps({})).items()}
    kept = []
    for again in (nullcontext(), checkpointed(network)):
        with _kept(network) as sizes, again:
            run(_identity(widths))
        kept.append(sum(sizes.values()))
    return Pass(sum(widths.values()), counter.get_total_flops(), *kept)


def describe_learning(
    network: nn.Module, one: Pass, sides: tuple[int, int], batch: int | None
) -> str:
    """Describe memory and time, for one to eight GPUs.

    Args:
        network: as in `measure_pass`.
        one: what one prompt needs.
        sides: number of source and of target prompts.
        batch: prompts per iteration; None means all of the source.
    """
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    count = sum(p.numel() for p in network.parameters()) / 1e9
    rows = min(batch or sides[0], sides[0])
    lines = [
        f"{count:.1f} billion parameters, {weights / _GB:.1f} GB; {one.coordinates} coordinates",
        f"{sides[0]} + {sides[1]} prompts; for one: {one.kept / _GB:.2f} GB, with checkpointing "
        f"{one.kept_checkpointed / _GB:.2f} GB, {one.flops / 1e12:.2f} TFLOP for the way forward",
        "",
        *(_spread(number, weights, one, rows) for number in _GPUS),
    ]
    if weights < _GPU_GB * _GB:
        lines += [_copies(number, weights, one, rows) for number in _GPUS[1:]]
    return "\n".join([*lines, "", _BASIS])


def _spread(gpus: int, weights: int, one: Pass, rows: int) -> str:
    fits = _fits(_GPU_GB * _GB - weights / gpus, gpus, one)
    label = f"{gpus} GPU: " if gpus == 1 else f"{gpus} GPUs, --device auto: "
    label += f"{weights / gpus / _GB:.1f} GB of weights each, "
    return label + _ending(fits, rows, one)


def _copies(gpus: int, weights: int, one: Pass, rows: int) -> str:
    share = -(-rows // gpus)
    fits = _fits(_GPU_GB * _GB - weights, 1, one)
    return f"{gpus} GPUs, torchrun: {weights / _GB:.1f} GB of weights each, " + _ending(
        fits, share, one
    )


def _fits(free: float, gpus: int, one: Pass) -> tuple[int, bool]:
    """Return how many prompts pass together, and whether with checkpointing."""
    for kept, again in ((one.kept, False), (one.kept_checkpointed, True)):
        if prompts := int(max(USABLE * free, 0) * gpus / kept):
            return prompts, again
    return 0, True


def _ending(fits: tuple[int, bool], rows: int, one: Pass) -> str:
    together, again = fits
    if not together:
        return "too large"
    # Forward, backward with frozen weights, and again for chunks and for checkpointing.
    passes = 2 + again + (together < rows)
    seconds = rows * one.flops * passes / _FLOPS
    how = " with checkpointing" if again else ""
    return f"{min(together, rows)} prompts at a time{how}, {seconds:.2g} s for an iteration"


def _identity(widths: dict[str, int]) -> SteeringMaps:
    def learnt(width: int, value: float) -> Tensor:
        return torch.full((width,), value, device="meta", requires_grad=True)

    return SteeringMaps({n: AffineMap(learnt(w, 1.0), learnt(w, 0.0)) for n, w in widths.items()})


@contextmanager
def _kept(network: nn.Module) -> Iterator[dict[int, int]]:
    """Collect storage -> bytes of what a pass keeps for the backward pass, without weights."""
    weights = {p.untyped_storage()._cdata for p in network.parameters()}
    sizes: dict[int, int] = {}
    alive = []  # else a freed storage could give its place to another one

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            sizes[storage._cdata] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield sizes
