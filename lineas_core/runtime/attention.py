"""Short attention on a processor: torch's fused kernel goes back slowly there.

For up to a hundred positions its backward pass in bfloat16 takes two to three times as long as
two plain matrix products; beyond, the products' memory outweighs that. Passes without a gradient
choose alike: source and target are compared, and the kernels differ by rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

__all__ = ["ShortAttention"]

_SHORT = 100
_CHOOSING = Lock()


class ShortAttention(TorchFunctionMode):
    """While active, attention over few positions on a processor is computed step by step."""

    def __torch_function__(
        self, func: Callable, types: Any, args: Any = (), kwargs: dict | None = None
    ) -> Any:
        """Choose the kernel of an attention; leave every other function alone."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention and _short(*args[:2], **kwargs):
            # The choice is the whole process's: two threads would restore each other's.
            with _CHOOSING, sdpa_kernel(SDPBackend.MATH):
                return func(*args, **kwargs)
        return func(*args, **kwargs)


def _short(query: Any, key: Any, *_: Any, **__: Any) -> bool:
    return query.device.type == "cpu" and max(query.shape[-2], key.shape[-2]) <= _SHORT
