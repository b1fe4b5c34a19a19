"""ImgScore as in the paper: cosine of DINOv2-small's embeddings (LinEAS, section 4.4).

DINOv2: Oquab et al., 2024. The embedding is that of the class token after the last norm. Without
access to the hub, `image_similarity` uses a network from the package index.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from lineas_core.models.judges import load_judge

__all__ = ["DINOV2", "dinov2_scores"]

DINOV2 = "facebook/dinov2-small"
_ROWS = 32


def dinov2_scores(
    originals: Sequence[Image.Image], steered: Sequence[Image.Image], *, source: str = DINOV2
) -> list[float]:
    """Compute the cosine similarity of each pair, -1 to 1.

    Args:
        originals: one for each steered picture, or a single one for all of them.
        steered: n pictures.
        source: hub id or folder of a DINOv2.

    Raises:
        UserError: the network is not installed and could not be downloaded.
    """
    pairs = F.cosine_similarity(_embed(originals, source), _embed(steered, source))
    return pairs.tolist()


@torch.no_grad()
def _embed(images: Sequence[Image.Image], source: str) -> Tensor:
    network, processor = load_judge("dinov2", source)
    parts = []
    for start in range(0, len(images), _ROWS):
        rows = [image.convert("RGB") for image in images[start : start + _ROWS]]
        pixels = processor(rows, return_tensors="pt")["pixel_values"].to(network.device)
        parts.append(network(pixels).pooler_output)
    return torch.cat(parts)
