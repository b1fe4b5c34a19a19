"""Several processes that learn one map, each with a share of the prompts.

    torchrun --nproc-per-node 8 -m lineas_core learn ...

`joined` is for processes that torchrun starts, `together` for those that start each other.
What a rank of `torch.distributed` computes are the rows of its share and the gradient that flows
through them. Both are exchanged on the CPU by gloo: they are small beside a pass of the network,
and gloo raises an error in every process when one of them ends, where NCCL would abort them all.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor

from lineas_core.errors import UserError

__all__ = ["ENDED", "Share", "is_first", "is_launched", "joined", "meet", "together"]

ENDED = "E_PROCESSES"
"""Code of the error in the processes that are left when one has ended."""
_PATIENCE = timedelta(minutes=30)  # the slowest process may still load its model
_START = timedelta(minutes=5)  # until all processes have been started


@contextmanager
def joined() -> Iterator[None]:
    """Join the other processes if torchrun started this one; alone, nothing happens.

    Every process takes the GPU of its number. After the block, signals are ignored: torchrun
    sends them to all processes when one has ended, and the first one still has to save.

    Raises:
        UserError: torchrun ends the run.
    """
    if not is_launched():
        yield
        return
    _take_gpu(dist.get_node_local_rank())
    dist.init_process_group("gloo", timeout=_PATIENCE)
    signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        dist.destroy_process_group()


@contextmanager
def together(file: Path, rank: int, size: int) -> Iterator[None]:
    """Join the other processes that name the same file; one process alone joins nobody.

    Every process takes the GPU of its number.

    Args:
        file: where they find each other; it must not exist before the first one comes.
        rank: number of this process, from 0.
        size: number of processes.

    Raises:
        UserError: the others do not come.
    """
    if size == 1:
        yield
        return
    _take_gpu(rank)
    store = dist.FileStore(str(file), size)
    store.set(str(rank), "here")
    try:
        store.wait([str(each) for each in range(size)], _START)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    except RuntimeError as error:
        raise _ended() from error
    try:
        yield
    finally:
        dist.destroy_process_group()


def meet() -> None:
    """Wait until every process has come this far; alone, nothing happens.

    Raises:
        UserError: another process has ended.
    """
    if _place()[1] > 1:
        _sum(torch.zeros(1))


def is_launched() -> bool:
    """Return whether torchrun started this process."""
    return dist.is_available() and dist.is_torchelastic_launched()


def is_first() -> bool:
    """Return whether this process is the one that reports and saves; alone it is."""
    return _place()[0] == 0


class Share:
    """The prompts of a pass that this process takes.

    Attributes:
        rows: their row numbers, int64 (k,); all of them if there are fewer prompts than
            processes.
    """

    def __init__(self, count: int) -> None:
        """Share `count` prompts among the processes, in order and evenly."""
        rank, size = _place()
        self._rank, self._size = (rank, size) if count >= size else (0, 1)
        self._gathered: tuple[Tensor, list[int]] | None = None
        self.rows = torch.arange(count).tensor_split(self._size)[self._rank]

    def gather(self, values: Tensor) -> Tensor:
        """Join what all processes computed for their prompts, in the order of the prompts.

        Further calls return the result of the first one. Where a process runs out of memory, it
        does its work again while the others go on.

        Args:
            values: (r, ...), with any number of rows for each prompt.

        Raises:
            UserError: another process has ended.
        """
        if self._size == 1:
            return values
        if self._gathered is None:
            counts = torch.zeros(self._size, dtype=torch.int64)
            counts[self._rank] = len(values)
            numbers = _sum(counts).tolist()
            whole = torch.zeros(sum(numbers), *values.shape[1:], dtype=values.dtype)
            whole.split(numbers)[self._rank].copy_(values)
            self._gathered = _sum(whole), numbers
        return self._gathered[0].to(values.device)

    def own(self, values: Tensor) -> Tensor:
        """Return this process's part of values that have the rows of `gather`."""
        return values if self._gathered is None else values.split(self._gathered[1])[self._rank]

    def sum(self, values: Tensor) -> Tensor:
        """Add up what all processes computed, such as a gradient; any shape.

        Raises:
            UserError: another process has ended.
        """
        return values if self._size == 1 else _sum(values.cpu()).to(values.device)


def _take_gpu(number: int) -> None:
    if torch.cuda.is_available():
        torch.cuda.set_device(number % torch.cuda.device_count())


def _place() -> tuple[int, int]:
    """Return number of this process and number of processes."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def _sum(values: Tensor) -> Tensor:
    """Add up a tensor over all processes, in place."""
    try:
        dist.all_reduce(values)
    except RuntimeError as error:
        raise _ended() from error
    return values


def _stop(*_: Any) -> NoReturn:
    raise _ended()


def _ended() -> UserError:
    return UserError(
        ENDED,
        "another process of this run has ended, or torchrun was stopped",
        remedy="See its output above, and start the run again.",
    )
