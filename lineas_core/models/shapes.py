"""What networks for pictures are called with, as shapes that follow from their configuration.

s side of the latents; p positions of the picture where latents are packed; t positions of the
text. All is for one picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["SHAPES", "Shapes", "factor_of", "latent_shape"]

_CLIP, _TIME_IDS = 77, 6
_PROMPT = 100  # positions of a text of about 60 words, where there is no fixed number


class Shapes(NamedTuple):
    """How to find the arguments of a network.

    Attributes:
        text: positions of the text.
        arguments: (configuration of the network, s, t) -> arguments, on torch's default device.
    """

    text: int
    arguments: Callable[[Any, int, int], dict[str, Any]]


def factor_of(vae: Any) -> int:
    """Return how many pixels a latent stands for along a side, by the decoder's configuration."""
    names = ("block_out_channels", "encoder_block_out_channels", "dim_mult")
    levels = next(vae[name] for name in names if name in vae)
    return 2 ** (len(levels) - 1)


def latent_shape(vae: Any, s: int) -> tuple[int, ...]:
    """Return the shape of the latents that the decoder takes for one picture."""
    if "z_dim" in vae:  # one for videos
        return 1, vae["z_dim"], 1, s, s
    return 1, vae["latent_channels"], s, s


def _unet(config: Any, s: int, t: int) -> dict[str, Any]:
    given: dict[str, Any] = {
        "sample": torch.zeros(1, config.in_channels, s, s),
        "timestep": torch.zeros(()),
        "encoder_hidden_states": torch.zeros(1, t, config.cross_attention_dim),
    }
    if config.time_cond_proj_dim:
        given["timestep_cond"] = torch.zeros(1, config.time_cond_proj_dim)
    if config.addition_embed_type == "text_time":
        width = config.projection_class_embeddings_input_dim
        width -= _TIME_IDS * config.addition_time_embed_dim
        pooled, ids = torch.zeros(1, width), torch.zeros(1, _TIME_IDS)
        given["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": ids}
    return given


def _flux(config: Any, s: int, t: int) -> dict[str, Any]:
    p = (s // 2) ** 2
    given = _packed(config, p, t)
    given |= {"pooled_projections": torch.zeros(1, config.pooled_projection_dim)}
    given |= {"img_ids": torch.zeros(p, 3), "txt_ids": torch.zeros(t, 3)}
    return given | ({"guidance": torch.zeros(1)} if config.guidance_embeds else {})


def _flux2(config: Any, s: int, t: int) -> dict[str, Any]:
    p = (s // 2) ** 2
    ids = {"img_ids": torch.zeros(1, p, 4), "txt_ids": torch.zeros(1, t, 4)}
    return {**_packed(config, p, t), **ids, "guidance": None}


def _qwen(config: Any, s: int, t: int) -> dict[str, Any]:
    return {**_packed(config, (s // 2) ** 2, t), "img_shapes": [[(1, s // 2, s // 2)]]}


def _packed(config: Any, p: int, t: int) -> dict[str, Any]:
    return {
        "hidden_states": torch.zeros(1, p, config.in_channels),
        "encoder_hidden_states": torch.zeros(1, t, config.joint_attention_dim),
        "timestep": torch.zeros(1),
    }


def _sd3(config: Any, s: int, t: int) -> dict[str, Any]:
    return {
        "hidden_states": torch.zeros(1, config.in_channels, s, s),
        "encoder_hidden_states": torch.zeros(1, t, config.joint_attention_dim),
        "pooled_projections": torch.zeros(1, config.pooled_projection_dim),
        "timestep": torch.zeros(1),
    }


def _sana(config: Any, s: int, t: int) -> dict[str, Any]:
    return {
        "hidden_states": torch.zeros(1, config.in_channels, s, s),
        "encoder_hidden_states": torch.zeros(1, t, config.caption_channels),
        "encoder_attention_mask": torch.zeros(1, t, dtype=torch.long),
        "timestep": torch.zeros(1),
        "guidance": torch.zeros(1),
    }


def _z_image(config: Any, s: int, t: int) -> dict[str, Any]:
    picture: list[Tensor] = [torch.zeros(config.in_channels, 1, s, s)]
    return {"x": picture, "cap_feats": [torch.zeros(t, config.cap_feat_dim)], "t": torch.zeros(1)}


SHAPES = {
    "StableDiffusionPipeline": Shapes(_CLIP, _unet),
    "StableDiffusionXLPipeline": Shapes(_CLIP, _unet),
    "FluxPipeline": Shapes(512, _flux),
    "StableDiffusion3Pipeline": Shapes(_CLIP + 256, _sd3),
    "SanaSprintPipeline": Shapes(300, _sana),
    "ZImagePipeline": Shapes(_PROMPT, _z_image),
    "Flux2KleinPipeline": Shapes(512, _flux2),
    "QwenImagePipeline": Shapes(_PROMPT, _qwen),
}
"""Class of a pipeline -> how to find the arguments of its network."""
