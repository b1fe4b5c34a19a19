"""Draw many pictures at once, on as many processor cores as this process may use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random

import numpy as np

from tools.emoji_world.captions import Picture, random_picture
from tools.emoji_world.renderer import NOISE, render, use_emoji

__all__ = ["cores", "draw", "random_pictures"]

_AT_ONCE = 25


def cores() -> int:
    """That this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def random_pictures(seed: int, count: int) -> tuple[list[Picture], np.ndarray]:
    """Pictures as training sees them, and their noise (count, 4) float32; the seed decides."""
    rng, noise = Random(seed), np.random.default_rng(seed)
    pictures = [random_picture(rng) for _ in range(count)]
    return pictures, noise.standard_normal((count, NOISE)).astype(np.float32)


def draw(pictures: Sequence[Picture], noise: np.ndarray, emoji: Path) -> np.ndarray:
    """(n, 256, 256, 3) uint8.

    Args:
        pictures: n of them.
        noise: (n, 4).
        emoji: folder `assets` of the npm package.
    """
    parts = [
        (pictures[i : i + _AT_ONCE], noise[i : i + _AT_ONCE])
        for i in range(0, len(pictures), _AT_ONCE)
    ]
    if cores() == 1 or len(parts) == 1:
        use_emoji(emoji)
        images = [_part(*part) for part in parts]
    else:
        with ProcessPoolExecutor(cores(), initializer=use_emoji, initargs=(emoji,)) as pool:
            images = list(pool.map(_part, *zip(*parts, strict=True)))
    return np.concatenate(images)


def _part(pictures: Sequence[Picture], noise: np.ndarray) -> np.ndarray:
    return np.stack([render(*row) for row in zip(pictures, noise, strict=True)])
