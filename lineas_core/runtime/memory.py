"""Fit a pass of the network into memory: prompts in chunks, and activation checkpointing.

Neither changes the result. Chunks cost an additional forward pass, and so does checkpointing;
each is therefore used only where memory is short.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psutil
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lineas_core.errors import UserError
from lineas_core.runtime.attention import ShortAttention

__all__ = [
    "MemoryPlan",
    "USABLE",
    "checkpointed",
    "free_memory",
    "out_of_memory_as_user_error",
    "peak_memory",
    "release_memory",
    "total_memory",
]

_CONTAINER = Path("/sys/fs/cgroup/memory.max")
_NO_PRIMITIVE = "could not create a primitive"
_REMEDY = (
    "Close other programs; learn with fewer modules (another preset) or a smaller "
    "micro_batch_size, ask for fewer pictures at a time, or choose a smaller model."
)
USABLE = 0.8  # share of the free memory to plan with, because allocators leave gaps
_T = TypeVar("_T")


class MemoryPlan:
    """Decides how many prompts pass through the network together.

    Attributes:
        micro_batch: at most this many prompts at a time, 1 or more; None means all of them.
        checkpointing: whether blocks are recomputed in the backward pass.
    """

    def __init__(self, micro_batch: int | None = None) -> None:
        """Start a plan.

        Args:
            micro_batch: at most this many prompts at a time; None means all of them.
        """
        self.micro_batch, self.checkpointing = micro_batch, False
        self._may_halve = True

    def chunks(self, count: int) -> tuple[Tensor, ...]:
        """Split the row numbers of `count` prompts into tensors of at most `micro_batch` rows."""
        return torch.arange(count).split(self.micro_batch or count)

    def measure(
        self, devices: Collection[torch.device], count: int, one_row: Callable[[], object]
    ) -> None:
        """Plan for `count` prompts from the GPU memory that a single one needs.

        On a CPU, and where `micro_batch` is given, the plan stays as it is.

        Args:
            devices: where the parts of the network are.
            count: number of prompts to plan for.
            one_row: runs a single prompt, with its gradient where one is needed.

        Raises:
            UserError: there is not enough memory for one prompt.
        """
        gpus = [device for device in devices if device.type == "cuda"]
        if self.micro_batch or not gpus:
            return
        for checkpointing in (False, True):
            self.checkpointing = checkpointing
            try:
                rows = min(_rows_on(device, one_row) for device in gpus)
            except torch.OutOfMemoryError:
                continue
            if rows:
                self.micro_batch = min(rows, count)
                return
        raise _not_enough()

    def run(self, count: int, work: Callable[[], _T]) -> _T:
        """Run work; if memory runs out, run it once more with half as many prompts at a time.

        Args:
            count: number of prompts that the work handles.
            work: reads `chunks` and `checkpointing` when it begins.

        Returns:
            The result of the work.

        Raises:
            UserError: memory ran out for the second time with this plan.
        """
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
        # Outside the handler, because the traceback keeps the activations alive.
        release_memory()
        if not self._may_halve:
            raise _not_enough()
        self._may_halve = False
        rows = min(self.micro_batch or count, count)
        self.micro_batch, self.checkpointing = max(rows // 2, 1), self.checkpointing or rows == 1
        return self.run(count, work)


@contextmanager
def checkpointed(network: nn.Module) -> Iterator[None]:
    """Checkpoint activations: keep the inputs of each block and recompute it when going back.

    The backward pass must run inside the `with` block, under the hooks of the forward pass.
    Blocks are the innermost modules of the classes in `network._no_split_modules`, which both
    model libraries define: residual and transformer blocks.
    """
    kinds = getattr(network, "_no_split_modules", None) or ()
    blocks = [module for module in network.modules() if type(module).__name__ in kinds]
    outer = {id(b) for b in blocks if any(m is not b and m in set(blocks) for m in b.modules())}
    with ExitStack() as restore:
        for block in blocks:
            if id(block) not in outer:
                again = partial(
                    checkpoint,
                    block.forward,
                    use_reentrant=False,
                    preserve_rng_state=False,
                    # Torch leaves function modes before the backward pass; enter it again.
                    context_fn=lambda: (nullcontext(), ShortAttention()),
                )
                before = vars(block).get("forward")  # set by a library, such as accelerate
                restore.callback(_restore, block, before)
                block.forward = again  # type: ignore[method-assign]
        yield


def _restore(block: nn.Module, forward: Any) -> None:
    if forward is None:
        del block.forward
    else:
        block.forward = forward  # type: ignore[method-assign]


@contextmanager
def out_of_memory_as_user_error(remedy: str = _REMEDY) -> Iterator[None]:
    """Turn any out-of-memory error inside the block into a `UserError` with code `E_MEMORY`.

    Args:
        remedy: what to do, as a sentence.

    Raises:
        UserError: memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
        raise _not_enough(remedy) from error


def _out_of_memory(error: Exception) -> bool:
    # On a CPU torch raises a plain RuntimeError, and oneDNN one that does not even name memory.
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "allocate memory" in str(error) or str(error) == _NO_PRIMITIVE


def _rows_on(device: torch.device, one_row: Callable[[], object]) -> int:
    needed = peak_memory(device, one_row)
    return int(USABLE * free_memory(device) / max(needed, 1))


def peak_memory(device: torch.device, work: Callable[[], object]) -> int:
    """Bytes of GPU memory that the work needs in addition to what is allocated already."""
    release_memory()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    return torch.cuda.max_memory_allocated(device) - before


def free_memory(device: torch.device) -> int:
    """Bytes of GPU memory that can be allocated, including those that torch has reserved."""
    release_memory()
    return torch.cuda.mem_get_info(device)[0]


def total_memory() -> int:
    """Bytes of memory of the device that a model is loaded on: the first GPU, or this machine."""
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info(0)[1]
    limits = [psutil.virtual_memory().total]
    with suppress(OSError, ValueError):  # of a container; "max" stands for none
        limits.append(int(_CONTAINER.read_text(encoding="ascii")))
    return min(limits)


def release_memory() -> None:
    """Give memory back that nothing refers to, also that which torch has reserved on a GPU."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _not_enough(remedy: str = _REMEDY) -> UserError:
    what = "there is not enough memory for this with this model"
    return UserError("E_MEMORY", what, remedy=remedy)
