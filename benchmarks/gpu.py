"""Speed on a GPU, before and after its fast paths, in one run of less than ten minutes.

    python -m benchmarks.gpu [--quick] [--only learning]

The networks have their full size and random weights in bfloat16, see `full_size`. A ratio is a
time of the first ÷ that of the second, taken in turn. "Two kernels" is how maps acted before: a
product in float32, and its rounding. "Now" is `lineas_core.steering.fused`. The graphs are a
prototype, see `replay`; they come last, because whatever could fail here is most likely to fail
there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.full_size import random_language, random_sdxl, sentence, width_of
from benchmarks.naive import own_step
from benchmarks.ratio import Ratio, apart, gate, side_by_side
from benchmarks.replay import Capture, Replay, cuda_graph
from benchmarks.report import report
from benchmarks.step import two_passes
from benchmarks.workloads import drawn
from lineas_core import LearnConfig, SteeringMaps, fold
from lineas_core.learning.problem import Problem
from lineas_core.models.continuation import Continuation
from lineas_core.steering import affine

__all__ = ["decoding_ratios", "learning_ratio", "picture_ratios"]

_NINE = [k / 4 for k in range(-4, 5)]
_TOKENS = 32  # that a text is continued by
_ROUNDING = 0.05  # relative difference of two ways in bfloat16, through all layers


def pictures(pairs: int) -> Iterator[Ratio]:
    """Measure a denoising pass of SDXL at 1024 pixels."""
    yield from picture_ratios(random_sdxl(1024, _gpu()), pairs)


def learning(pairs: int) -> Iterator[Ratio]:
    """Measure a learning step of SDXL with 8 prompts a side, and of Gemma 2 2B with 32."""
    yield learning_ratio(random_sdxl(1024, _gpu()), 8, pairs)
    yield learning_ratio(random_language("gemma-2-2b", _gpu()), 32, pairs)


def decoding(pairs: int) -> Iterator[Ratio]:
    """Measure a decoding step of Gemma 2 2B."""
    yield from decoding_ratios(random_language("gemma-2-2b", _gpu()), pairs, cuda_graph)


@torch.no_grad()
def picture_ratios(model: Any, pairs: int) -> Iterator[Ratio]:
    """Compare passes of nine strengths, and of one, with plain ones.

    Args:
        model: a text-to-image model; all of its default modules are steered.
        pairs: number of times each is timed.
    """
    maps, nine = _maps(model), model.encode([sentence(1, 0)] * len(_NINE))
    one = model.encode([sentence(1, 0)])
    steered = partial(_steered, model, maps, _NINE, partial(model.forward, nine))
    yield from _with_rows(model.name, steered, partial(model.forward, nine), 1.05, pairs)
    single = partial(_steered, model, maps, 0.5, partial(model.forward, one))
    title = f"one strength, folded ÷ plain, {model.name}"
    yield _timed(title, single, partial(model.forward, one), pairs)


def learning_ratio(model: Any, count: int, pairs: int) -> Ratio:
    """Compare a step of LinEAS with two plain passes, which is the least that it could take.

    Args:
        model: the model.
        count: prompts a side, two or more.
        pairs: number of times each is timed.
    """
    source, target = ([sentence(i, k) for i in range(count)] for k in (0, 7))
    problem = Problem(model, source, target, LearnConfig(batch_size=count), None)
    passes = partial(two_passes, model, problem.samples.names, problem.samples.source)
    title = f"our step ÷ two plain passes, {count} prompts a side, {model.name}"
    made = _timed(title, own_step(problem), passes, pairs)
    return replace(made, goal=1.15, least=1.25, smaller_is_better=True)


@torch.no_grad()
def decoding_ratios(model: Any, pairs: int, capture: Capture) -> Iterator[Ratio]:
    """Compare decoding steps: plain, at nine strengths, and recorded as graphs.

    Args:
        model: a language model.
        pairs: number of times each is timed.
        capture: records a step, see `replay`.
    """
    maps, ids = _maps(model), model.encode([sentence(1, 0)] * len(_NINE)).arguments["input_ids"]
    write = partial(_write, model.network, ids)
    steered = partial(_steered, model, maps, _NINE, write)
    made = _with_rows(f"{model.name} writes", steered, write, 1.03, pairs)
    yield from (_in_ms_a_step(each) for each in made)
    record = partial(Replay, model.network, ids, torch.ones_like(ids), _TOKENS, capture)
    recorded = record()
    yield _timed(
        f"recording a graph ÷ writing {_TOKENS} tokens, {model.name}", record, write, pairs
    )
    yield _graph_ratio(f"a step ÷ its graph, {model.name}", write, recorded, ids, pairs)
    with fold(model.network, maps, _NINE):
        bent = record()
        title = f"a step at nine strengths ÷ its graph, {model.name}"
        yield _graph_ratio(title, write, bent, ids, pairs)
        title = f"graph of nine strengths ÷ graph of a plain batch, {model.name}"
        works = (partial(_repeat, each, ids) for each in (bent, recorded))
        made = _in_ms_a_step(_timed(title, *works, pairs))
        yield replace(made, goal=1.03, least=1.1, smaller_is_better=True)


def _graph_ratio(
    title: str, write: Callable[[], Tensor], recorded: Replay, ids: Tensor, pairs: int
) -> Ratio:
    own = partial(_repeat, recorded, ids)
    difference = gate(title, apart(own().float(), write().float()), _ROUNDING)
    return _in_ms_a_step(replace(_timed(title, write, own, pairs), difference=difference))


def _with_rows(
    title: str,
    steered: Callable[[], Tensor],
    plain: Callable[[], Tensor],
    goal: float,
    pairs: int,
) -> Iterator[Ratio]:
    """Compare nine strengths with a plain batch, with two kernels for each map and now."""
    before = partial(_by_two_kernels, steered)
    wanted = before().float()
    difference = gate(title, apart(steered().float(), wanted), _ROUNDING)
    yield _timed(f"nine strengths, two kernels ÷ plain batch, {title}", before, plain, pairs)
    made = _timed(f"nine strengths, now ÷ plain batch, {title}", steered, plain, pairs)
    yield replace(made, goal=goal, least=1.1, difference=difference, smaller_is_better=True)


def _timed(
    title: str, other: Callable[[], object], own: Callable[[], object], pairs: int
) -> Ratio:
    return side_by_side(title, other, own, pairs=pairs, seconds=_seconds)


def _steered(model: Any, maps: SteeringMaps, strength: Any, work: Callable[[], Tensor]) -> Tensor:
    with fold(model.network, maps, strength):
        return work()


def _by_two_kernels(work: Callable[[], Tensor]) -> Tensor:
    with patch.object(affine, "multiply_add", _two_kernels):
        return work()


def _two_kernels(z: Tensor, scale: Tensor, shift: Tensor, axis: int) -> Tensor:
    shape = [1] * z.dim()
    shape[axis] = scale.shape[-1]
    if scale.dim() == 2:
        shape[0] = len(scale)
    return torch.addcmul(shift.view(shape), z, scale.view(shape)).to(z.dtype)


def _write(network: Any, ids: Tensor) -> Tensor:
    """Read prompts, then a token again and again; return the logits after the last, (n, v)."""
    continuation, mask, token = Continuation(network), torch.ones_like(ids), ids[:, :1]
    continuation.read(ids, mask)
    for _ in range(_TOKENS):
        mask = torch.cat([mask, mask[:, :1]], dim=1)
        logits = continuation.read(token, mask)
    return logits


def _repeat(replay: Replay, ids: Tensor) -> Tensor:
    """Do what `_write` does after the prompts, and a step more in place of those."""
    replay.rewind()
    replay.read(ids[:, :1])
    replay.rewind()
    for _ in range(_TOKENS):
        logits = replay.read(ids[:, :1])
    return logits


def _maps(model: Any) -> SteeringMaps:
    names = model.default_modules
    return drawn({n: width_of(model.network.get_submodule(n)) for n in names}, seed=0)


def _in_ms_a_step(made: Ratio) -> Ratio:
    """Return a ratio with times for one of the passes, that of the prompts included."""
    other, own = (1000 * (each or 0) / (_TOKENS + 1) for each in (made.other, made.own))
    return replace(made, other=other, own=own, unit="ms a step")


def _seconds(work: Callable[[], object]) -> float:
    _wait()
    start = time.perf_counter()
    work()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _gpu() -> str:
    if not torch.cuda.is_available():
        raise SystemExit("There is no GPU that torch can use.")
    return "cuda"


def _line(made: Ratio) -> str:
    times = f"{made.other:.3g} and {made.own:.3g} {made.unit}"
    goal = "" if made.goal is None else f"{made.goal:.4g}"
    spread = f"{made.low:.3f} to {made.high:.3f}"
    return (
        f"| {made.name} | {made.ratio:.3f} | {spread} | {goal} | {times} | {made.difference:.0e} |"
    )


if __name__ == "__main__":
    report(
        str(__doc__).split("\n")[0],
        {"pictures": pictures, "learning": learning, "decoding": decoding},
        ["ratio", "measured", "95%", "goal", "first and second", "difference"],
        _line,
        Ratio.row,
        file="results/gpu.json",
    )
