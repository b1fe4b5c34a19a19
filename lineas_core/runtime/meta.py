"""What work on torch's meta device, which knows shapes and computes nothing, would allocate."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["kept_on_meta", "peak_on_meta"]


def peak_on_meta(work: Callable[[], object]) -> int:
    """Return how many bytes work without gradients allocates at most at a time.

    What was there before does not count. Attention keeps what the fused kernels of a GPU keep.
    """
    with torch.no_grad(), _FusedAttention(), _Allocations() as allocations:
        work()
    return allocations.peak


def kept_on_meta(work: Callable[[], object]) -> int:
    """Return how many bytes the result of work keeps, with its graph for the backward pass.

    As in `peak_on_meta`, what was there before does not count.
    """
    with _FusedAttention(), _Allocations() as allocations:
        result = work()
    gc.collect()
    kept = allocations.now
    del result
    return kept


class _FusedAttention(TorchFunctionMode):
    """While active, attention is not computed, and no matrix of its weights is there."""

    def __torch_function__(
        self, func: Callable, types: Any, args: Any = (), kwargs: dict | None = None
    ) -> Any:
        """Replace attention; every other function is left alone."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            given = {**dict(zip(("query", "key", "value"), args, strict=False)), **kwargs}
            return _Attention.apply(given["query"], given["key"], given["value"])
        return func(*args, **kwargs)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        result = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, result)
        return result


class _Allocations(TorchDispatchMode):
    """Counts the bytes of tensors while they are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self.now = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Callable, types: Any, args: Any = (), kwargs: dict | None = None
    ) -> Any:
        before = {_key(each) for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        result = func(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, Tensor) and _key(each) not in self._known | before:
                self._add(each.untyped_storage())
        return result

    def _add(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
