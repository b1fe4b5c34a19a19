"""What learning needs before weights are loaded: memory and time. Pictures: also to paint.

One prompt passes through the network on torch's meta device, which knows shapes and computes
nothing. Multiplications are counted on the way, and the bytes that are kept for the backward
pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import FlopCounterMode

from lineas_core.models.families import FAMILIES, USUAL_SIZE, checked_side
from lineas_core.models.shapes import SHAPES, factor_of, latent_shape
from lineas_core.runtime.memory import USABLE, checkpointed
from lineas_core.runtime.meta import kept_on_meta, peak_on_meta
from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.steering.hooks import Complete, record, steer
from lineas_core.steering.presets import find_modules

__all__ = [
    "Painter",
    "Pass",
    "describe_learning",
    "describe_painting",
    "measure_painter",
    "measure_pass",
]

_GB, _GPU_GB, _GPUS = 1e9, 80, (1, 2, 4, 8)
_FLOPS = 4e14  # per second: 40% of the 989 TFLOP/s that an H100 has for dense bfloat16
_BASIS = (
    f"Calculated, not measured, for GPUs of {_GPU_GB} GB that compute {_FLOPS / 1e12:g} TFLOP/s, "
    "40% of an H100 in bfloat16. Spread by --device auto, one GPU computes at a time; by "
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

    return _measure(
        network, modules, lambda: network(input_ids=ids, attention_mask=mask, use_cache=False)
    )


def _measure(network: nn.Module, modules: Sequence[str], call: Callable[[], Any]) -> Pass:
    def mean(activation: Tensor, axis: int) -> Tensor:  # autocast does not know the meta device
        return activation.float().movedim(axis, -1).flatten(1, -2).mean(dim=1)

    def run(maps: SteeringMaps) -> dict[str, Tensor]:
        with steer(network, maps), record(network, modules, pool=mean, stop=True) as rows:
            with suppress(Complete):
                call()
            return rows

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        widths = {name: rows.shape[1] for name, rows in run(SteeringMaps({})).items()}
    kept = []
    for again in (nullcontext(), checkpointed(network)):
        with again:
            kept.append(kept_on_meta(lambda: run(_identity(widths))))
    return Pass(sum(widths.values()), counter.get_total_flops(), *kept)


@dataclass(frozen=True)
class Painter:
    """What a model for pictures needs, for one picture.

    Attributes:
        parameters: number of parameters by component.
        pixels: width and height of a picture.
        learning: what one prompt needs while learning.
        step: floating-point operations of a denoising step without guidance.
        network: bytes that the network allocates beside the weights in a step.
        decoder: bytes that the decoder allocates beside the weights.
        weights: bytes of all weights.
        resident: bytes of those that stay on the GPU while learning: not of text encoders.
    """

    parameters: dict[str, int]
    pixels: int
    learning: Pass
    step: int
    network: int
    decoder: int
    weights: int
    resident: int


def measure_painter(networks: dict[str, Any], kind: str, modules: str | None = None) -> Painter:
    """Let one prompt pass through the networks of a pipeline on the meta device.

    Args:
        networks: of the components, see `outline_pictures`.
        kind: class of the pipeline.
        modules: layer preset or pattern of the steered modules; None takes that of the family.

    Raises:
        UserError: nothing matches the pattern, or pictures are not square.
    """
    family, shapes, vae = FAMILIES[kind], SHAPES[kind], networks["vae"]
    network, sizes = networks[family.denoiser], [_bytes(each) for each in networks.values()]
    factor = factor_of(vae.config)
    side = checked_side(network.config.get("sample_size") or USUAL_SIZE // factor, kind)
    with torch.device("meta"):
        given = shapes.arguments(network.config, side, shapes.text)
        latents = torch.zeros(latent_shape(vae.config, side))
    # As `calls.Denoiser` calls it.
    given = tree_map(lambda z: z.to(network.dtype) if _is_wide(z) else z, given)

    def call() -> Any:
        return network(**given)

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    return Painter(
        parameters={n: sum(p.numel() for p in each.parameters()) for n, each in networks.items()},
        pixels=side * factor,
        learning=_measure(network, find_modules(network, modules or family.preset), call),
        step=counter.get_total_flops(),
        network=peak_on_meta(call),
        decoder=peak_on_meta(lambda: vae.decode(latents)),
        weights=sum(sizes),
        resident=_bytes(network) + _bytes(vae),
    )


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
    weights = _bytes(network)
    count = sum(p.numel() for p in network.parameters()) / 1e9
    rows = min(batch or sides[0], sides[0])
    lines = [
        f"{count:.1f} billion parameters, {weights / _GB:.1f} GB; {one.coordinates} coordinates",
        f"{sides[0]} + {sides[1]} prompts; for one: {one.kept / _GB:.2f} GB, with checkpointing "
        f"{one.kept_checkpointed / _GB:.2f} GB, {one.flops / 1e12:.2f} TFLOP for the forward pass",
        "",
        *(_spread(number, weights, one, rows) for number in _GPUS),
    ]
    if weights < _GPU_GB * _GB:
        lines += [_copies(number, weights, one, rows) for number in _GPUS[1:]]
    return "\n".join([*lines, "", _BASIS])


def describe_painting(one: Painter, sides: tuple[int, int], batch: int | None) -> str:
    """Describe memory and multiply-adds of pictures, and memory and time of learning on a GPU.

    Args:
        one: what one picture needs.
        sides: as in `describe_learning`.
        batch: as in `describe_learning`.
    """
    parts = ", ".join(f"{name} {count / 1e9:.2f}" for name, count in one.parameters.items())
    rows = min(batch or sides[0], sides[0])
    beside = max(one.network, one.decoder)
    fits = _fits(_GPU_GB * _GB - one.resident, 1, one.learning)
    return "\n".join(
        [
            f"{one.pixels} pixels; {sum(one.parameters.values()) / 1e9:.1f} billion parameters "
            f"({parts}), {one.weights / _GB:.1f} GB; {one.learning.coordinates} coordinates",
            f"a picture: {one.step / 2e12:.2f} tera multiply-adds a denoising step, twice that "
            "where guidance needs a second pass; "
            f"{(one.weights + beside) / _GB:.1f} GB, {beside / _GB:.1f} of them beside weights",
            f"learning: {one.resident / _GB:.1f} GB of weights without the text encoders; for one "
            f"prompt {one.learning.kept / _GB:.2f} GB, with checkpointing "
            f"{one.learning.kept_checkpointed / _GB:.2f} GB",
            "",
            "1 GPU: " + _ending(fits, rows, one.learning),
            "",
            _BASIS.partition(". ")[0] + ".",
        ]
    )


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


def _bytes(network: nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in network.parameters())


def _is_wide(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 1
