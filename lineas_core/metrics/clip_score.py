"""CLIPScore: similarity of pictures and a description (Hessel et al., 2021).

Cosine of CLIP's embeddings of picture and description, as in LinEAS, section 4.4. Differs from
Hessel et al., who prepend "A photo depicts" to the description, clip at 0 and multiply by 2.5.
The LinEAS paper does not say which CLIP; this is OpenAI's ViT-B/16.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from lineas_core.models.judges import load_judge

__all__ = ["CLIP", "clip_scores"]

CLIP = "openai/clip-vit-base-patch16"
_ROWS = 32


@torch.no_grad()
def clip_scores(
    images: Sequence[Image.Image], description: str, *, source: str = CLIP
) -> list[float]:
    """Compute the cosine similarity of each picture and the description, -1 to 1.

    Usual values are 0.15 to 0.35.

    Args:
        images: n pictures of any size.
        description: the concept in words, such as `a pink elephant`; truncated to 77 tokens.
        source: hub id or folder of a CLIP.

    Raises:
        UserError: the network is not installed and could not be downloaded.
    """
    network, processor = load_judge("clip", source)
    text = processor.tokenizer(
        description,
        truncation=True,
        max_length=network.config.text_config.max_position_embeddings,
        return_tensors="pt",
    )
    scores: list[float] = []
    for start in range(0, len(images), _ROWS):
        rows = [image.convert("RGB") for image in images[start : start + _ROWS]]
        pixels = processor.image_processor(rows, return_tensors="pt")["pixel_values"]
        arguments = {**text, "pixel_values": pixels}
        output = network(**{k: v.to(network.device) for k, v in arguments.items()})
        scores += (output.image_embeds @ output.text_embeds[0]).tolist()  # both of length 1
    return scores
