"""R8: memory of a training step: naively, in chunks of prompts, and with rounded activations."""

from __future__ import annotations

import ctypes
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import sleep

import torch
from torch import Tensor, nn

from benchmarks.naive import PLAIN, NaiveStep, agreement, own_step
from benchmarks.ratio import Ratio, apart, side_by_side
from lineas_core import PromptSet, load_model
from lineas_core.learning.problem import Problem
from lineas_core.tables.workbench import PROMPTS

__all__ = ["peak_allocated", "peak_saved", "ratios"]

_CASES = (  # model, prompts, prompts at a time, goal
    ("emoji-world", "images/vaporwave", 2, 16),
    ("emoji-world", "images/vaporwave", 4, 16),
    ("gemma-3-270m", "football", 8, 4.5),
)


def ratios(pairs: int) -> Iterator[Ratio]:
    """Measure R8: saved bytes of a naive step ÷ ours in chunks, and the time ours takes for it."""
    for name, prompts, rows, goal in _CASES:
        model, data = load_model(name), PromptSet.load(PROMPTS / f"{prompts}.json")
        config = replace(PLAIN, micro_batch_size=rows)
        whole, chunked = (
            Problem(model, data.source, data.target, settings, None)
            for settings in (PLAIN, config)
        )
        own = own_step(chunked)
        naive = NaiveStep(model, whole.names, whole.source, model.encode(data.target))
        title = f"R8 saved bytes, naive ÷ ours by {rows} of {len(whole.source)}, {name}"
        difference = agreement(title, naive, own)
        other_peak = peak_saved(naive.step, model.network)
        own_peak = peak_saved(own, model.network)
        ratio = other_peak / own_peak
        yield Ratio(
            title,
            ratio,
            ratio,  # bytes are counted, so that the ratio has no spread
            ratio,
            other_peak / 1e6,
            own_peak / 1e6,
            unit="MB",
            goal=goal,
            least=4,
            difference=difference,
        )
        yield side_by_side(
            f"R8 time, ours by {rows} ÷ naive, {name}",
            own,
            naive.step,
            goal=1.6,
            least=1.6,
            difference=difference,
            pairs=pairs,
            smaller_is_better=True,
        )
        yield side_by_side(
            f"R8 time, ours by {rows} ÷ ours at once, {name}",
            own,
            own_step(whole),
            difference=difference,
            pairs=pairs,
        )

    yield from _rounded(pairs)


def _rounded(pairs: int) -> Iterator[Ratio]:
    """Measure what rounding the saved activations gains where float32 computes."""
    model, data = load_model("smollm2-135m"), PromptSet.load(PROMPTS / "football.json")
    full, auto = (
        own_step(Problem(model, data.source, data.target, replace(PLAIN, precision=name), None))
        for name in ("float32", "auto")
    )
    difference = apart(full()[1], auto()[1])
    of = "smollm2-135m, 32 prompts at once"
    most, least = peak_allocated(full) / 1e6, peak_allocated(auto) / 1e6
    ratio = most / least
    yield Ratio(
        f"R8 allocated, float32 ÷ auto, {of}",
        *(ratio, ratio, ratio),
        most,
        least,
        unit="MB",
        goal=1.8,
        least=1.5,
        difference=difference,
    )
    yield side_by_side(
        f"R8 time, auto ÷ float32, {of}",
        auto,
        full,
        goal=1.1,
        least=1.2,
        difference=difference,
        pairs=pairs,
        smaller_is_better=True,
    )


class _Held:
    """A holder of a saved tensor, which autograd releases when it no longer needs the tensor."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def peak_saved(work: Callable[[], object], network: nn.Module) -> int:
    """Measure the peak number of bytes saved for the backward pass, without the weights.

    Args:
        work: runs forward and backward passes.
        network: its parameters do not count.
    """
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    holders: Counter[int] = Counter()  # address of a storage -> number of holders
    now = peak = 0

    def pack(tensor: Tensor) -> _Held:
        nonlocal now, peak
        held, storage = _Held(tensor), tensor.untyped_storage()
        address, size = storage.data_ptr(), storage.nbytes()
        if address not in weights:
            now += 0 if holders[address] else size
            holders[address] += 1
            peak = max(peak, now)
            weakref.finalize(held, release, address, size)
        return held

    def release(address: int, size: int) -> None:
        nonlocal now
        holders[address] -= 1
        now -= 0 if holders[address] else size

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda held: held.tensor):
        work()
    return peak


class _Heap(ctypes.Structure):
    """What glibc's `mallinfo2` tells, in bytes."""

    _fields_ = [  # noqa: RUF012 - as ctypes wants it
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def peak_allocated(work: Callable[[], object]) -> int:
    """Measure the bytes that a CPU has allocated at the most, beyond those before (glibc only).

    Unlike the resident memory it has no gaps, in which the allocator keeps what was freed.
    """
    heap = ctypes.CDLL("libc.so.6").mallinfo2
    heap.restype = _Heap

    def now() -> int:
        told = heap()
        return told.uordblks + told.hblkhd

    before = peak = now()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        while not running.done():
            peak = max(peak, now())
            sleep(0.002)
        running.result()
    return peak - before
