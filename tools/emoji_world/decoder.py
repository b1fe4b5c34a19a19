"""Stage 3: the decoder, latents to pictures of 256 px, sharper than the linear way back.

    python -m tools.emoji_world.decoder --emoji FOLDER [--minutes 60]

Learns on crops of freshly drawn pictures; goes on where an earlier sitting stopped. Latents get a
little noise, because the generator will not hit them exactly. The encoder beside it learns to
give the same latents, so that the two make a complete autoencoder.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import numpy as np
import torch
from diffusers import AutoencoderTiny
from diffusers.models.autoencoders.vae import AutoencoderTinyBlock
from torch import Tensor, nn
from torch.nn import functional as F

from tools.emoji_world.captions import random_picture
from tools.emoji_world.latents import CELL, CHANNELS, as_pixels, latent_space
from tools.emoji_world.renderer import NOISE, SIZE, render, use_emoji
from tools.emoji_world.training import Clock, Run, muon_and_adamw, set_rate

__all__ = ["new_autoencoder"]

_CROPS = 64, 128  # the second, dearer one ends the sitting: fewer false borders
_BATCH = 16
_NOISE = 0.05
_RATE = 2e-3


def new_autoencoder() -> AutoencoderTiny:
    """Untrained, but with every layer at the scale of its input.

    With the default initial weights, signals die out over the depth of the plain network: after
    160 steps 11.8 dB against 17.7 dB.
    """
    model = AutoencoderTiny(
        encoder_block_out_channels=(48,) * 5,
        decoder_block_out_channels=(64,) * 5,
        num_encoder_blocks=(0, 0, 0, 1, 1),
        num_decoder_blocks=(3, 3, 2, 1, 0),
        latent_channels=CHANNELS,
        scaling_factor=1.0,
    )
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, AutoencoderTinyBlock):
            nn.init.zeros_(module.conv[-1].weight)  # a block begins as the identity
    with torch.no_grad():
        model.decoder.layers[-1].weight.mul_(0.1)
        model.decoder.layers[-1].bias.fill_(0.5)
        model.encoder.layers[-1].weight.mul_(0.5)
    return model


def picture_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """L1 + MSE + L1 of the differences between neighbours: edges count more than areas."""
    loss = F.l1_loss(made, wanted) + F.mse_loss(made, wanted)
    for axis in (-1, -2):
        loss = loss + F.l1_loss(made.diff(dim=axis), wanted.diff(dim=axis))
    return loss


def crops(rng: Random, noise: np.random.Generator, size: int) -> Tensor:
    """(16, 3, size, size) in -1..1, four from every picture, on the grid of latent cells."""
    parts = []
    for _ in range(_BATCH // 4):
        image = render(random_picture(rng), noise.standard_normal(NOISE))
        for _ in range(4):
            y, x = (CELL * rng.randint(0, (SIZE - size) // CELL) for _ in range(2))
            parts.append(image[y : y + size, x : x + size])
    return as_pixels(np.stack(parts)).contiguous(memory_format=torch.channels_last)


def main() -> None:
    """Train for some minutes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--emoji", type=Path, required=True, help="assets of the npm package")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--out", type=Path, default=Path("build/emoji-world"))
    parser.add_argument("--ship", type=Path, default=Path("assets/models/emoji-world/vae"))
    options = parser.parse_args()
    use_emoji(options.emoji)
    torch.manual_seed(0)
    space = latent_space()
    shipped = options.ship.exists()
    model = AutoencoderTiny.from_pretrained(options.ship) if shipped else new_autoencoder()
    model.to(memory_format=torch.channels_last)
    optimizers = muon_and_adamw(model, _RATE)
    run = Run(options.out / "decoder.pt", {"model": model}, optimizers)
    clock = Clock(options.minutes)
    rng, noise = Random(run.step + 1), np.random.default_rng(run.step + 1)
    while not clock.over:
        x = crops(rng, noise, _CROPS[clock.spent > 0.7])
        z = space.encode(x).contiguous(memory_format=torch.channels_last)
        set_rate(optimizers, min(1, (run.step + 1) / 50) * clock.decay(0.5))
        with torch.autocast("cpu", torch.bfloat16):
            y = model.decoder(z + _NOISE * torch.randn_like(z)).float()
            code = model.encoder(x).float()
        coded = F.mse_loss(code, z)
        (picture_loss(y, x) + 0.2 * coded).backward()
        psnr = -10 * (F.mse_loss(y, x) / 4).log10()
        run.after_step(optimizers, psnr=psnr.item(), encoder=coded.item())
    run.save()
    model.half().save_pretrained(options.ship)


if __name__ == "__main__":
    main()
