"""How much of a pass is in memory at a time: prompts in chunks, blocks computed again.

Neither changes the result. Chunks cost a third pass, blocks that are computed again cost
another one; so each is used only where the memory asks for it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lineas_core.errors import UserError
from lineas_core.runtime.attention import ShortAttention

__all__ = ["MemoryPlan", "checkpointed", "out_of_memory_as_user_error"]

_SHARE = 0.8  # of the free memory is planned with: allocators leave gaps
_T = TypeVar("_T")


class MemoryPlan:
    """Decides how many prompts pass through the network together.

    Attributes:
        micro_batch: at most this many prompts at a time; None is all of them.
        checkpointing: whether blocks are computed again in the backward pass.
    """

    def __init__(self, micro_batch: int | None = None) -> None:
        """Start with what the caller wants, or with everything at once."""
        self.micro_batch, self.checkpointing = micro_batch, False
        self._may_halve = True

    def chunks(self, count: int) -> tuple[Tensor, ...]:
        """Row numbers of `count` prompts, in as many pieces as needed."""
        return torch.arange(count).split(self.micro_batch or count)

    def fit(self, device: torch.device, count: int, one_row: Callable[[], object]) -> None:
        """Plan for `count` prompts by what the gradient of a single one takes on the GPU.

        On a CPU, and where the caller said how many, the plan stays as it is.
        """
        if self.micro_batch or device.type != "cuda":
            return
        for checkpointing in (False, True):
            self.checkpointing = checkpointing
            try:
                needed = _peak(device, one_row)
            except torch.OutOfMemoryError:
                continue
            rows = int(_SHARE * _free(device) / max(needed, 1))
            if rows:
                self.micro_batch = min(rows, count)
                return
        raise _too_little()

    def within(self, count: int, work: Callable[[], _T]) -> _T:
        """Do some work; where memory runs out, once more with half as many prompts at a time.

        Args:
            count: number of prompts that the work is about.
            work: asks for `chunks` and `checkpointing` when it begins.

        Raises:
            UserError: memory ran out again, or has done so before in this run.
        """
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
        # Out of the handler: the error's trace would keep the activations.
        _collect()
        if not self._may_halve:
            raise _too_little()
        self._may_halve = False
        rows = min(self.micro_batch or count, count)
        self.micro_batch, self.checkpointing = max(rows // 2, 1), self.checkpointing or rows == 1
        return self.within(count, work)


@contextmanager
def checkpointed(network: nn.Module) -> Iterator[None]:
    """Keep only what goes into a block; in the backward pass the block is computed again.

    The backward pass has to run inside the `with` block, under the hooks of the forward pass.
    Blocks are what both model libraries name as such, the innermost ones: residual and
    transformer blocks.
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
                    # Torch leaves a mode before it goes back.
                    context_fn=lambda: (nullcontext(), ShortAttention()),
                )
                before = vars(block).get("forward")  # a library's own, such as accelerate's hooks
                restore.callback(_put_back, block, before)
                block.forward = again  # type: ignore[method-assign]
        yield


def _put_back(block: nn.Module, forward: Any) -> None:
    if forward is None:
        del block.forward
    else:
        block.forward = forward  # type: ignore[method-assign]


@contextmanager
def out_of_memory_as_user_error() -> Iterator[None]:
    """Tell of memory that runs out in here, wherever that is, as `E_MEMORY`.

    Raises:
        UserError: it did.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
        raise _too_little() from error


def _out_of_memory(error: Exception) -> bool:
    # On a CPU it is a plain RuntimeError.
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "allocate memory" in str(error)


def _peak(device: torch.device, work: Callable[[], object]) -> int:
    """Bytes that the work needs on top of what is there already."""
    _collect()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    return torch.cuda.max_memory_allocated(device) - before


def _free(device: torch.device) -> int:
    """Bytes that can be had, those that torch keeps in reserve included."""
    _collect()
    return torch.cuda.mem_get_info(device)[0]


def _collect() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _too_little() -> UserError:
    return UserError(
        "E_MEMORY",
        "the memory does not suffice for this with this model",
        remedy="Close other programs; learn with fewer modules (another preset) or a smaller "
        "micro_batch_size, ask for fewer pictures at a time, or choose a smaller model.",
    )
