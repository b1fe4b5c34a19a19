"""Mixed precision where it pays: bfloat16 on devices that compute faster in it, else float32.

Measured on one core (convolution of 64 channels, matrix of 768): with bfloat16 instructions 2.1
and 2.0 times as fast as float32, without them 6.4 and 4.8 times as slow. What a processor says
about itself does not tell the two apart: the library that multiplies decides, so it is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from time import perf_counter, thread_time

import torch
from torch.nn import functional

__all__ = ["native_bfloat16", "seconds_of_products"]

# bfloat16 has to win by this factor: with native instructions it is twice as fast, and a process
# that resumes a job has to decide as the first one did.
_MARGIN = 1.25
_REPEATS = 12


def seconds_of_products(device: torch.device) -> tuple[float, float]:
    """Time a small convolution and a small matrix product on a device.

    On a CPU the time of this thread counts, not that on the clock, both precisions take turns and
    the fastest of several repeats counts, so that a busy machine does not decide.

    Returns:
        The seconds in float32 and those under bfloat16 autocast.
    """
    clock = thread_time if device.type == "cpu" else perf_counter
    size = 16 if device.type == "cuda" else 1  # a GPU answers small products with its overhead
    images = torch.ones(size, 64, 32, 32, device=device)
    kernel = torch.ones(64, 64, 3, 3, device=device)
    rows = torch.ones(128 * size**2, 768, device=device)
    matrix = torch.ones(768, 768, device=device)

    def seconds(lower: bool) -> float:
        start = clock()
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=lower):
            functional.conv2d(images, kernel, padding=1)
            rows @ matrix
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock() - start

    pairs = [(seconds(False), seconds(True)) for _ in range(_REPEATS)]
    return min(full for full, _ in pairs), min(lower for _, lower in pairs)


@cache
def native_bfloat16(
    device: torch.device,
    measure: Callable[[torch.device], tuple[float, float]] = seconds_of_products,
) -> bool:
    """Return whether a device computes clearly faster in bfloat16 than in float32.

    Args:
        device: where the network computes.
        measure: returns the seconds in float32 and in bfloat16; called once per process and
            device.
    """
    if device.type not in ("cpu", "cuda"):
        return False
    full, lower = measure(device)
    return lower * _MARGIN < full
