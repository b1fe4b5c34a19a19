"""Initial noise of the kind `layout`, which the shipped image model was trained with."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["LAYOUT_NUMBERS", "layout_noise"]

LAYOUT_NUMBERS = 4
"""Random numbers per picture in the noise `layout`."""


def layout_noise(numbers: Tensor, channels: int, side: int) -> Tensor:
    """Build latents of the noise `layout`.

    The first four channels hold one number each. The others encode the position as sines and
    cosines, because a small convolutional network infers it only from the padding at the
    borders; with it, training took half as long.

    Args:
        numbers: standard normal, (n, 4).
        channels: number of channels of the latents, more than 4.
        side: height and width of the latents.

    Returns:
        (n, channels, side, side), of unit variance.
    """
    position = math.pi * (torch.arange(side) + 0.5) / side
    waves = []
    for i in range(channels - LAYOUT_NUMBERS):
        wave = (i // 4 + 1) * position - math.pi / 2 * (i // 2 % 2)  # a sine and a cosine per axis
        horizontal = i % 2 == 0
        waves.append((wave[None, :] if horizontal else wave[:, None]).sin().expand(side, side))
    positions = math.sqrt(2) * torch.stack(waves)
    constant = numbers[:, :, None, None].expand(-1, -1, side, side)
    return torch.cat([constant, positions.expand(len(numbers), -1, -1, -1)], dim=1)
