"""The networks of pipelines that people use, at full size, to plan without the hub.

The values of each repository's configurations that differ from the defaults of diffusers and
transformers. Sums of parameters agree with the model cards, see
tests/core/learning/test_picture_plan.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["PUBLISHED", "Published"]

_Network = tuple[str, dict[str, Any]]  # class in diffusers or transformers, its configuration


class Published(NamedTuple):
    """A pipeline.

    Attributes:
        kind: its class in diffusers.
        networks: name of the component -> class and configuration.
    """

    kind: str
    networks: dict[str, _Network]


def _clip(hidden: int, layers: int, heads: int, projection: int) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "projection_dim": projection,
    }


def _vae(**settings: Any) -> _Network:
    return "AutoencoderKL", {
        "block_out_channels": [128, 256, 512, 512],
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "layers_per_block": 2,
        **settings,
    }


_LATENT_16 = _vae(latent_channels=16, use_quant_conv=False, use_post_quant_conv=False)
_DC_BLOCKS = ["ResBlock"] * 3 + ["EfficientViTBlock"] * 3
_CLIP_L = _clip(768, 12, 12, 768)
_CLIP_G = "CLIPTextModelWithProjection", _clip(1280, 32, 20, 1280)
_T5_XXL = (
    "T5EncoderModel",
    {
        "d_model": 4096,
        "d_ff": 10240,
        "d_kv": 64,
        "num_layers": 24,
        "num_heads": 64,
        "feed_forward_proj": "gated-gelu",
    },
)
_QWEN3_4B = {
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "tie_word_embeddings": True,
}
_QWEN25_VL_7B = {
    "text_config": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
    },
    "vision_config": {"hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": 3584},
}


def _sdxl(sample_size: int) -> Published:
    unet = {
        "sample_size": sample_size,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "attention_head_dim": [5, 10, 20],
        "block_out_channels": [320, 640, 1280],
        "cross_attention_dim": 2048,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "projection_class_embeddings_input_dim": 2816,
        "transformer_layers_per_block": [1, 2, 10],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "use_linear_projection": True,
    }
    networks = {
        "unet": ("UNet2DConditionModel", unet),
        "text_encoder": ("CLIPTextModel", _CLIP_L),
        "text_encoder_2": _CLIP_G,
        "vae": _vae(),
    }
    return Published("StableDiffusionXLPipeline", networks)


def _flux(*, guidance_embeds: bool) -> Published:
    networks = {
        "transformer": ("FluxTransformer2DModel", {"guidance_embeds": guidance_embeds}),
        "text_encoder": ("CLIPTextModel", _CLIP_L),
        "text_encoder_2": _T5_XXL,
        "vae": _LATENT_16,
    }
    return Published("FluxPipeline", networks)


PUBLISHED = {
    "stabilityai/sd-turbo": Published(
        "StableDiffusionPipeline",
        {
            "unet": (
                "UNet2DConditionModel",
                {
                    "sample_size": 64,
                    "attention_head_dim": [5, 10, 20, 20],
                    "cross_attention_dim": 1024,
                    "use_linear_projection": True,
                },
            ),
            "text_encoder": ("CLIPTextModel", _clip(1024, 23, 16, 512)),
            "vae": _vae(),
        },
    ),
    "stabilityai/stable-diffusion-xl-base-1.0": _sdxl(128),
    "stabilityai/sdxl-turbo": _sdxl(64),
    "black-forest-labs/FLUX.1-schnell": _flux(guidance_embeds=False),
    "black-forest-labs/FLUX.1-dev": _flux(guidance_embeds=True),
    "stabilityai/stable-diffusion-3.5-large-turbo": Published(
        "StableDiffusion3Pipeline",
        {
            "transformer": (
                "SD3Transformer2DModel",
                {
                    "num_layers": 38,
                    "num_attention_heads": 38,
                    "caption_projection_dim": 2432,
                    "pos_embed_max_size": 192,
                    "qk_norm": "rms_norm",
                },
            ),
            "text_encoder": ("CLIPTextModelWithProjection", _CLIP_L),
            "text_encoder_2": _CLIP_G,
            "text_encoder_3": _T5_XXL,
            "vae": _LATENT_16,
        },
    ),
    "Efficient-Large-Model/Sana_Sprint_1.6B_1024px_diffusers": Published(
        "SanaSprintPipeline",
        {
            "transformer": (
                "SanaTransformer2DModel",
                {"guidance_embeds": True, "qk_norm": "rms_norm_across_heads"},
            ),
            "text_encoder": ("Gemma2Model", {}),
            "vae": (
                "AutoencoderDC",
                {
                    "encoder_block_types": _DC_BLOCKS,
                    "decoder_block_types": _DC_BLOCKS,
                    "downsample_block_type": "Conv",
                    "upsample_block_type": "interpolate",
                },
            ),
        },
    ),
    "Tongyi-MAI/Z-Image-Turbo": Published(
        "ZImagePipeline",
        {
            "transformer": ("ZImageTransformer2DModel", {}),
            "text_encoder": ("Qwen3Model", _QWEN3_4B),
            "vae": _LATENT_16,
        },
    ),
    "black-forest-labs/FLUX.2-klein-4B": Published(
        "Flux2KleinPipeline",
        {
            "transformer": (
                "Flux2Transformer2DModel",
                {
                    "num_layers": 5,
                    "num_single_layers": 20,
                    "num_attention_heads": 24,
                    "joint_attention_dim": 7680,
                    "guidance_embeds": False,
                },
            ),
            "text_encoder": ("Qwen3ForCausalLM", _QWEN3_4B),
            "vae": ("AutoencoderKLFlux2", {}),
        },
    ),
    "Qwen/Qwen-Image": Published(
        "QwenImagePipeline",
        {
            "transformer": ("QwenImageTransformer2DModel", {}),
            "text_encoder": ("Qwen2_5_VLForConditionalGeneration", _QWEN25_VL_7B),
            "vae": ("AutoencoderKLQwenImage", {}),
        },
    ),
}
"""Repository on the hub -> its pipeline."""
