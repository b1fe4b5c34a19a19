"""Draw pictures and encode them, once, for the generator to learn from.

    python -m tools.emoji_world.dataset --emoji FOLDER [--count 40000]

Adds to what is there. Captions are not stored: every epoch puts a picture into other words.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch

from tools.emoji_world.captions import Picture, random_picture
from tools.emoji_world.latents import LatentSpace, as_pixels, latent_space
from tools.emoji_world.renderer import NOISE, render, use_emoji

__all__ = ["Dataset"]

_SHARD = 1000


@dataclass
class Dataset:
    """Pictures with their noise and latents.

    Attributes:
        pictures: n of them.
        noise: (n, 4) float32.
        latents: (n, 48, 16, 16) float16.
    """

    pictures: list[Picture]
    noise: torch.Tensor
    latents: torch.Tensor

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """All shards of a folder."""
        files = sorted(folder.glob("*.npz"))
        shards = [np.load(file) for file in files]
        names = np.concatenate([shard["pictures"] for shard in shards])
        return cls(
            [Picture(*(name or None for name in row)) for row in names.tolist()],
            torch.from_numpy(np.concatenate([shard["noise"] for shard in shards])),
            torch.from_numpy(np.concatenate([shard["latents"] for shard in shards])),
        )


def _shard(space: LatentSpace, number: int) -> dict[str, np.ndarray]:
    rng, noise = Random(number), np.random.default_rng(number)
    pictures = [random_picture(rng) for _ in range(_SHARD)]
    numbers = noise.standard_normal((_SHARD, NOISE)).astype(np.float32)
    latents = []
    for start in range(0, _SHARD, 8):
        images = [render(pictures[i], numbers[i]) for i in range(start, start + 8)]
        latents.append(space.encode(as_pixels(np.stack(images))).half().numpy())
    names = [[p.scene, p.subject or "", p.second or "", p.look] for p in pictures]
    return {
        "pictures": np.array(names),
        "noise": numbers,
        "latents": np.concatenate(latents),
    }


def main() -> None:
    """Write shards until there are enough."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--emoji", type=Path, required=True, help="assets of the npm package")
    parser.add_argument("--count", type=int, default=40_000)
    parser.add_argument("--out", type=Path, default=Path("build/emoji-world"))
    options = parser.parse_args()
    use_emoji(options.emoji)
    space = latent_space()
    folder = options.out / "latents"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.count // _SHARD):
        file = folder / f"{number:04}.npz"
        if not file.exists():
            part = file.with_name(f".{number}.part.npz")
            np.savez(part, **_shard(space, number))
            part.replace(file)
            print(file, flush=True)


if __name__ == "__main__":
    main()
