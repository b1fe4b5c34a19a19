"""Stage 1: the latent space, in closed form: principal components of 16 x 16 px patches.

A cell of the 16 x 16 latent grid holds the first 128 principal components of its patch, so a
picture that is moved by a cell has the same latents a cell further, and stage 2 can begin at once.
Measured on held-out pictures, 16 of each look, by the linear way back alone: 48, 96, 128, 192, 256
components give 29.0, 32.0, 33.4, 35.8, 37.9 dB and 77, 88, 94, 102, 106% of the fine detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tools.emoji_world.captions import random_picture
from tools.emoji_world.renderer import NOISE, render

__all__ = ["CELL", "CHANNELS", "LatentSpace", "as_pixels", "latent_space"]

CELL = 16
CHANNELS = 128
# In git: fitted anew, a component may point the other way, and no shipped weights would fit.
_FILE = Path(__file__).with_name("latent-space.safetensors")
_EVEN = 8  # the first components get equal spread, the later ones fade like its square root


def as_pixels(images: np.ndarray) -> Tensor:
    """(n, h, w, 3) uint8 -> (n, 3, h, w) in -1..1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


@dataclass(frozen=True, eq=False)
class LatentSpace:
    """Encode and decode between pictures and latents, both linear.

    Attributes:
        mean: (768,) of all patches.
        basis: (768, 128), scaled: latents are (patch - mean) @ basis.
        back: (128, 768): patch = latents @ back + mean.
    """

    mean: Tensor
    basis: Tensor
    back: Tensor

    @classmethod
    def fit(cls) -> LatentSpace:
        """From freshly drawn pictures."""
        patches = _drawn_patches()
        mean = patches.mean(dim=0)
        spread, vectors = _components(patches - mean)
        return cls._scaled(mean, spread[:CHANNELS], vectors[:, :CHANNELS], even=spread[_EVEN])

    def widened(self, channels: int) -> LatentSpace:
        """The same space with further channels: the components of what the present ones leave.

        The present ones stay as they are, so that a generator for them need not begin anew.
        """
        patches = _drawn_patches() - self.mean
        known, _ = torch.linalg.qr(self.back.T)
        spread, vectors = _components(patches - patches @ known @ known.T)
        more = channels - len(self.back)
        even = 1 / self.basis.norm(dim=0)[_EVEN]
        space = self._scaled(self.mean, spread[:more], vectors[:, :more], even)
        return LatentSpace(
            self.mean,
            torch.cat([self.basis, space.basis], dim=1),
            torch.cat([self.back, space.back]),
        )

    @classmethod
    def _scaled(cls, mean: Tensor, spread: Tensor, vectors: Tensor, even: Tensor) -> LatentSpace:
        scale = (spread / even).sqrt().clamp(max=1) / spread
        return cls(mean, vectors * scale, (vectors / scale).T.contiguous())

    @classmethod
    def load(cls, file: Path) -> LatentSpace:
        """What `save` wrote."""
        return cls(**load_file(file))

    def save(self, file: Path) -> None:
        """As safetensors."""
        save_file({k: v.contiguous() for k, v in vars(self).items()}, file)

    def to(self, device: str) -> LatentSpace:
        """The same one there."""
        return LatentSpace(*(matrix.to(device) for matrix in vars(self).values()))

    def encode(self, pixels: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, 128, h / 16, w / 16)."""
        return ((_patches(pixels) - self.mean) @ self.basis).permute(0, 3, 1, 2)

    def decode(self, latents: Tensor) -> Tensor:
        """(n, 128, h, w) -> (n, 3, 16 h, 16 w); blocky, a preview."""
        n, _, h, w = latents.shape
        patches = latents.permute(0, 2, 3, 1) @ self.back + self.mean
        grid = patches.view(n, h, w, 3, CELL, CELL).permute(0, 3, 1, 4, 2, 5)
        return grid.reshape(n, 3, h * CELL, w * CELL)


def latent_space() -> LatentSpace:
    """The one that the shipped weights were trained in; fitted when its file was deleted."""
    if not _FILE.exists():
        LatentSpace.fit().save(_FILE)
    return LatentSpace.load(_FILE)


def _drawn_patches(pictures: int = 1200) -> Tensor:
    rng, noise = Random(0), np.random.default_rng(0)
    images = [render(random_picture(rng), noise.standard_normal(NOISE)) for _ in range(pictures)]
    return _patches(as_pixels(np.stack(images))).flatten(0, 2)


def _components(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Spread and directions (768, 768), the widest first, of patches (n, 768) around 0."""
    variance, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    return variance.flip(0).clamp(min=0).sqrt(), vectors.flip(1)


def _patches(pixels: Tensor) -> Tensor:
    """(n, 3, h, w) -> (n, h / 16, w / 16, 768)."""
    cells = pixels.unfold(2, CELL, CELL).unfold(3, CELL, CELL)
    return cells.permute(0, 2, 3, 1, 4, 5).flatten(3)
