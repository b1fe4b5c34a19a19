"""One training step of SDXL's UNet at full size: 2.6 billion random weights in bfloat16.

    python -m benchmarks.sdxl_step --latent 32

Shows that all 256 norms of the real architecture learn in the memory of an ordinary machine:
one prompt per side, blocks computed again in the backward pass. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import torch
from diffusers import (
    AutoencoderTiny,
    LCMScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from lineas_core import LearnConfig, learn_iter
from lineas_core.memory import checkpointed
from lineas_core.models import TextToImageModel

# What differs from the defaults of diffusers in the config.json of SDXL's UNet.
UNET = {
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


def random_sdxl(latent: int) -> TextToImageModel:
    """SDXL's UNet with a text encoder and a decoder that are only stand-ins."""
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config({**UNET, "sample_size": latent})
    nn.Module.to(unet, torch.bfloat16).to_empty(device="cpu").requires_grad_(False)
    for module in unet.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.weight.normal_(std=module.weight[0].numel() ** -0.5)
        elif isinstance(module, nn.LayerNorm | nn.GroupNorm):
            module.weight.fill_(1)
        if getattr(module, "bias", None) is not None:
            module.bias.zero_()
    tokens = ["<|startoftext|>", "<|endoftext|>", *"abcd", *(f"{a}</w>" for a in "abcd")]
    text_encoder = CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(tokens),
            hidden_size=2048,
            intermediate_size=64,
            projection_dim=1280,
            num_hidden_layers=1,
            num_attention_heads=32,
            bos_token_id=0,
            eos_token_id=1,
            initializer_factor=10.0,
        )
    )
    pipeline = StableDiffusionXLPipeline(
        vae=AutoencoderTiny(),
        text_encoder=None,
        text_encoder_2=text_encoder.to(torch.bfloat16),
        tokenizer=None,
        tokenizer_2=CLIPTokenizer(vocab={t: i for i, t in enumerate(tokens)}, merges=[]),
        unet=unet,
        scheduler=LCMScheduler.from_config({"_one_step": {"timestep": 399}}),
        add_watermarker=False,
    )
    return TextToImageModel(pipeline, name="random SDXL")


def main() -> None:
    """Build the model, take one step, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--latent", type=int, default=32, help="height and width of the latents")
    latent = parser.parse_args().latent
    model = random_sdxl(latent)
    built = _peak_gb()
    config = LearnConfig(iterations=1, batch_size=1, sparsity=0)
    clock = [(time.perf_counter(), time.process_time())]
    with checkpointed(model.network):
        for iterate in learn_iter(model, ["a b", "b c"], ["c d", "d a"], config=config):
            clock.append((time.perf_counter(), time.process_time()))
            last = iterate
    start, first, end = clock
    row = {
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "modules": len(last.maps),
        "coordinates": sum(m.width for m in last.maps.values()),
        "latent": latent,
        "threads": torch.get_num_threads(),
        "seconds_before": round(first[0] - start[0], 1),
        "seconds_per_step": round(end[0] - first[0], 1),
        "cpu_seconds_per_step": round(end[1] - first[1], 1),  # what counts on a shared machine
        "peak_gb_built": round(built, 2),
        "peak_gb": round(_peak_gb(), 2),
        "support_after": last.support,
    }
    print(json.dumps(row))


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


if __name__ == "__main__":
    main()
