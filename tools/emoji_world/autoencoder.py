"""The autoencoder around the latent space: `AutoencoderDC`, which begins as the linear one.

diffusers' other decoders (`AutoencoderTiny`, `AutoencoderKL`) repeat a cell's values into four
pixels and filter them. A filter cannot tell which of the four it stands on, so those decoders have
to guess what the latents of a patch say about its inside. `AutoencoderDC` shuffles channels into
pixels instead: the linear way back is in it exactly, and what is trained is only what is better
than linear. Its encoder is the linear one, exactly, with nothing to train.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderDC
from torch import Tensor, nn

from tools.emoji_world.latents import CHANNELS, LatentSpace, latent_space

__all__ = ["new_autoencoder", "shipped_autoencoder"]

_WIDTHS = (48, 48, 96, 192, CHANNELS)  # from 256 px (skipped) to the latents' 16
_LAYERS = (0, 1, 2, 2, 2)
_ENCODER = (3, 12, 48, 192, 768)
_LOUD = 32.0  # of a constant channel: the last norm divides by it, so by nearly a constant


@torch.no_grad()
def new_autoencoder(space: LatentSpace) -> AutoencoderDC:
    """Encodes and decodes as the latent space does; its further channels are still silent."""
    model = AutoencoderDC(
        latent_channels=CHANNELS,
        encoder_block_types="ResBlock",
        decoder_block_types="ResBlock",
        encoder_block_out_channels=_ENCODER,
        decoder_block_out_channels=_WIDTHS,
        encoder_layers_per_block=(0, 1, 1, 1, 0),
        decoder_layers_per_block=_LAYERS,
        encoder_qkv_multiscales=((),) * 5,
        decoder_qkv_multiscales=((),) * 5,
        decoder_norm_types="batch_norm",  # never in training mode: a factor for each channel
        decoder_act_fns="silu",
        encoder_out_shortcut=False,
    )
    # What StableDiffusionXLPipeline asks every autoencoder for.
    model.register_to_config(block_out_channels=list(_WIDTHS), force_upcast=False)
    _set_encoder(model.encoder, space)
    _set_decoder(model.decoder, space)
    return model.eval()


def shipped_autoencoder(folder: Path) -> AutoencoderDC:
    """The one of a model folder, in float32, or an untrained one."""
    file = folder / "vae" / "config.json"
    if file.exists() and "AutoencoderDC" in file.read_text("utf-8"):
        return AutoencoderDC.from_pretrained(folder / "vae").float().eval()
    return new_autoencoder(latent_space())


def _set_encoder(encoder: nn.Module, space: LatentSpace) -> None:
    for parameter in encoder.parameters():
        parameter.zero_()  # the shortcuts of the steps down then sort pixels into channels
    for colour in range(3):
        encoder.conv_in.conv.weight[colour, colour, 1, 1] = 1
    order = _pixels_of_channels()
    encoder.conv_out.weight[:, :, 1, 1] = space.basis[order].T
    encoder.conv_out.bias.copy_(-space.mean @ space.basis)


def _pixels_of_channels() -> Tensor:
    """Which pixel of a patch (colour, row, column) each of the 768 shuffled channels is."""
    channels = torch.arange(768)
    row = column = torch.zeros(768, dtype=torch.long)
    for level in range(4):  # the last shuffle down gives the coarsest step
        place = channels // 4**level % 4
        row = row + (place // 2 << (3 - level))
        column = column + (place % 2 << (3 - level))
    return channels // 4**4 * 256 + row * 16 + column


def _set_decoder(decoder: nn.Module, space: LatentSpace) -> None:
    for block in decoder.modules():
        if hasattr(block, "conv2"):  # a block begins as the identity
            nn.init.kaiming_normal_(block.conv1.weight, nonlinearity="relu")
            nn.init.zeros_(block.conv1.bias)
            nn.init.zeros_(block.conv2.weight)
    nn.init.zeros_(decoder.conv_in.weight)
    nn.init.zeros_(decoder.conv_in.bias)
    order = _pixels_of_channels()
    coarse, middle, fine = (decoder.up_blocks[i][0] for i in (3, 2, 1))
    for step in (coarse, middle, fine):
        nn.init.normal_(step.conv.weight, std=0.1 / (9 * step.conv.in_channels) ** 0.5)
        nn.init.zeros_(step.conv.bias)
    _set_rows(coarse, 0, space.back[:, order].T, space.mean[order])
    _set_rows(middle, 0, torch.eye(192))
    values = torch.eye(48, 96)
    _set_rows(fine, 0, values)
    _set_rows(fine, 48, -values)  # the last layer takes no negative numbers
    _set_rows(fine, 96, torch.zeros(4, 96), torch.full((4,), _LOUD))
    loudness = _LOUD / decoder.norm_out.weight.numel() ** 0.5
    decoder.norm_out.weight.fill_(1)
    decoder.norm_out.bias.zero_()
    decoder.norm_out.weight[:24] = loudness
    decoder.norm_out.weight[24] = 0  # loud enough for the norm, and no louder than needed after it
    decoder.norm_out.bias[24] = 1
    out = decoder.conv_out.conv
    nn.init.zeros_(out.weight)
    nn.init.zeros_(out.bias)
    for channel in range(12):
        out.weight[channel, channel, 1, 1] = 1
        out.weight[channel, 12 + channel, 1, 1] = -1


def _set_rows(step: nn.Module, first: int, matrix: Tensor, bias: Tensor | None = None) -> None:
    """Make outputs of an upward step, from `first` on, this matrix of its inputs."""
    rows = torch.arange(first, first + len(matrix))
    step.conv.weight[rows] = 0
    step.conv.weight[rows, : matrix.shape[1], 1, 1] = matrix
    step.conv.weight[rows, rows // step.repeats, 1, 1] -= 1  # the shortcut adds it
    if bias is not None:
        step.conv.bias[rows] = bias
