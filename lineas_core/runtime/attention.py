"""A faster attention kernel for short sequences on a CPU.

For up to 100 positions the backward pass of torch's fused kernel in bfloat16 takes two to three
times as long as two plain matrix products. For longer sequences the memory of the products
outweighs the gain. Passes without a gradient use the same kernel, because source and target
activations are compared and the two kernels differ by rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

__all__ = ["ShortAttention"]

_MAX_POSITIONS = 100
_KERNEL_LOCK = Lock()


class ShortAttention(TorchFunctionMode):
    """While active, attention over at most 100 positions on a CPU uses plain matrix products."""

    def __torch_function__(
        self, func: Callable, types: Any, args: Any = (), kwargs: dict | None = None
    ) -> Any:
        """Select the kernel of an attention; every other function is left alone."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention and _is_short(*args[:2], **kwargs):
            # The kernel is a setting of the whole process: without a lock, two threads would
            # restore each other's.
            with _KERNEL_LOCK, sdpa_kernel(SDPBackend.MATH):
                return func(*args, **kwargs)
        return func(*args, **kwargs)


def _is_short(query: Any, key: Any, *_: Any, **__: Any) -> bool:
    positions = max(query.shape[-2], key.shape[-2])
    return query.device.type == "cpu" and positions <= _MAX_POSITIONS
