"""ImgScore: similarity of a steered picture to its original (LinEAS, section 4.4).

Cosine of the embeddings of original and steered picture, 1 for the same picture.

Differs from the paper, which embeds with DINOv2-small from the hub, as `dinov2` does:
EfficientNet-Lite0 comes from the package index and runs offline. The two scores agree in the
order of pictures, not in value.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from lineas_core.metrics.efficientnet import EfficientNetLite0

__all__ = ["features_of", "image_scores", "pixels_of"]

_SIDE = 224
_ROWS = 32
_MOST_KEPT = 512  # embeddings, 5 KB each


def image_scores(originals: Sequence[Image.Image], steered: Sequence[Image.Image]) -> list[float]:
    """Compute the cosine similarity of each pair, -1 to 1.

    Args:
        originals: one for each steered picture, or a single one for all of them.
        steered: n pictures.

    Raises:
        UserError: the package with the embedding network's weights is not installed.
    """
    pairs = F.cosine_similarity(features_of(originals), features_of(steered))
    return pairs.tolist()


def pixels_of(images: Sequence[Image.Image]) -> Tensor:
    """Convert pictures to the input of the network: (n, 3, 224, 224), about -1 to 1."""
    pixels = np.stack([np.asarray(i.convert("RGB").resize((_SIDE, _SIDE))) for i in images])
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128


def features_of(images: Sequence[Image.Image]) -> Tensor:
    """Embed pictures with the network: (n, 1280), 0 or more.

    The embeddings of the last pictures are kept, because a sweep compares the same originals
    with those of every strength, and by several measures.

    Raises:
        UserError: the package with the network's weights is not installed.
    """
    pixels = pixels_of(images)
    keys = [sha256(row.numpy().tobytes()).digest() for row in pixels]
    found = {key: _kept[key] for key in keys if key in _kept}
    new = {key: row for key, row in zip(keys, pixels, strict=True) if key not in found}
    found |= zip(new, _embed(torch.stack([*new.values()])) if new else (), strict=True)
    _kept.update(found)
    for key in [*_kept][:-_MOST_KEPT]:
        _kept.pop(key, None)
    return torch.stack([found[key] for key in keys])


@torch.no_grad()
def _embed(pixels: Tensor) -> Tensor:
    network = _network()
    return torch.cat([network.embed(rows) for rows in pixels.split(_ROWS)])


_network = cache(EfficientNetLite0.pretrained)
_kept: dict[bytes, Tensor] = {}  # digest of a picture -> its embedding, the oldest first
