"""Draw pictures and encode them, once, for the generator to learn from.

    python -m tools.emoji_world.dataset --emoji FOLDER [--count 40000]

Adds to what is there. Captions are not stored: every epoch puts a picture into other words.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tools.emoji_world.captions import Picture
from tools.emoji_world.drawing import draw, random_pictures
from tools.emoji_world.latents import LatentSpace, as_pixels, latent_space

__all__ = ["Dataset", "fill"]

_SHARD = 1000


@dataclass
class Dataset:
    """Pictures with their noise and latents.

    Attributes:
        pictures: n of them.
        noise: (n, 4) float32.
        latents: (n, 128, 16, 16) float16.
    """

    pictures: list[Picture]
    noise: torch.Tensor
    latents: torch.Tensor

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """All shards of a folder."""
        files = sorted(folder.glob("[0-9]*.npz"))
        shards = [np.load(file) for file in files]
        names = np.concatenate([shard["pictures"] for shard in shards])
        return cls(
            [Picture(*(name or None for name in row)) for row in names.tolist()],
            torch.from_numpy(np.concatenate([shard["noise"] for shard in shards])),
            torch.from_numpy(np.concatenate([shard["latents"] for shard in shards])),
        )


def fill(folder: Path, count: int, emoji: Path) -> None:
    """Draw what is missing of `count` pictures."""
    space = latent_space()
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count // _SHARD):
        file = folder / f"{number:04}.npz"
        if not file.exists():
            part = file.with_name(f".{number}.part.npz")
            np.savez(part, **_shard(space, number, emoji))
            part.replace(file)
            print(file, flush=True)


def _shard(space: LatentSpace, number: int, emoji: Path) -> dict[str, np.ndarray]:
    pictures, noise = random_pictures(number, _SHARD)
    images = draw(pictures, noise, emoji)
    latents = [
        space.encode(as_pixels(images[i : i + 8])).half().numpy() for i in range(0, _SHARD, 8)
    ]
    names = [[p.scene, p.subject or "", p.second or "", p.look] for p in pictures]
    return {"pictures": np.array(names), "noise": noise, "latents": np.concatenate(latents)}


def main() -> None:
    """Write shards until there are enough."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--emoji", type=Path, required=True, help="assets of the npm package")
    parser.add_argument("--count", type=int, default=40_000)
    parser.add_argument("--out", type=Path, default=Path("build/emoji-world"))
    options = parser.parse_args()
    fill(options.out / "latents", options.count, options.emoji)


if __name__ == "__main__":
    main()
