"""Stage 2: the one-step generator, from (caption, noise) to latents, by plain regression.

    python -m tools.emoji_world.generator [--minutes 120]

The picture is a function of caption and noise, so nothing has to be averaged and no teacher, no
adversary and no schedule are needed: one pass of the UNet is the whole generator. The noise is
four numbers that choose the layout; see `layout_noise` for the latents it starts from. Goes on
where an earlier sitting stopped, or from the shipped weights.
"""

from __future__ import annotations

import argparse
import time
from copy import deepcopy
from pathlib import Path
from random import Random

import torch
from diffusers import (
    AutoencoderDC,
    LCMScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTokenizer

from lineas_core.models.layout import layout_noise
from tools.emoji_world.autoencoder import shipped_autoencoder
from tools.emoji_world.captions import caption
from tools.emoji_world.dataset import Dataset
from tools.emoji_world.latents import CELL, CHANNELS, latent_space
from tools.emoji_world.renderer import SIZE
from tools.emoji_world.training import (
    Average,
    Clock,
    Run,
    lower_precision,
    muon_and_adamw,
    set_rate,
)
from tools.emoji_world.vocabulary import LOOKS, SCENES, SUBJECTS
from tools.emoji_world.words import WIDTH, learn_meanings, new_text_encoder, new_tokenizer

__all__ = ["TIMESTEP", "Generator", "ship", "shipped_generator", "train"]

TIMESTEP = 399  # DMD2's
_MEANINGS = 5.0  # minutes
_LATENT = SIZE // CELL
_SHIP_MINUTES = 15


def new_unet() -> UNet2DConditionModel:
    """SDXL's kinds of modules at a hundredth of its size."""
    return UNet2DConditionModel(
        sample_size=_LATENT,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=(128, 192, 256),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=(4, 6, 8),
        use_linear_projection=True,
        transformer_layers_per_block=1,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=WIDTH + 6 * 8,
    )


class Generator(nn.Module):
    """Text encoder and UNet, as the pipeline calls them."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        """Untrained."""
        super().__init__()
        self.tokenizer = tokenizer
        self.text_encoder_2 = new_text_encoder(tokenizer)
        self.unet = new_unet()

    def forward(self, captions: list[str], noise: Tensor) -> Tensor:
        """Latents (n, 128, 16, 16) from n captions and noise (n, 4)."""
        tokens = self.tokenizer(
            captions, padding="max_length", truncation=True, return_tensors="pt"
        )
        device = self.unet.device
        text = self.text_encoder_2(tokens["input_ids"].to(device), output_hidden_states=True)
        sizes = torch.tensor([SIZE, SIZE, 0, 0, SIZE, SIZE], dtype=torch.float32)
        return self.unet(
            layout_noise(noise, self.unet.config.in_channels, _LATENT).to(device),
            TIMESTEP,
            text.hidden_states[-2],
            added_cond_kwargs={
                "text_embeds": text.text_embeds,
                "time_ids": sizes.expand(len(captions), -1).to(device),
            },
        ).sample


def shipped_generator(folder: Path) -> Generator:
    """What `ship` wrote, in float32."""
    generator = Generator(CLIPTokenizer.from_pretrained(folder / "tokenizer_2"))
    generator.unet = UNet2DConditionModel.from_pretrained(folder / "unet").float()
    text = load_file(folder / "text_encoder_2" / "model.safetensors")
    generator.text_encoder_2.load_state_dict(text, strict=False)
    return generator


@torch.no_grad()
def widened(old: UNet2DConditionModel) -> UNet2DConditionModel:
    """The same function with as many channels as the latent space has now; new ones give 0."""
    weights, new = old.state_dict(), new_unet()
    fresh = new.state_dict()
    for name in ("conv_in.weight", "conv_out.weight", "conv_out.bias"):
        known, weights[name] = weights[name], torch.zeros_like(fresh[name])
        weights[name][tuple(slice(side) for side in known.shape)] = known
    new.load_state_dict(weights)
    return new


def ship(generator: Generator, vae: AutoencoderDC, folder: Path) -> None:
    """Write the whole model as a diffusers pipeline, in fp16."""
    scheduler = LCMScheduler(
        prediction_type="sample", clip_sample=False, original_inference_steps=50
    )
    scheduler.register_to_config(_one_step={"timestep": TIMESTEP, "noise": "layout"})
    pipeline = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=None,
        text_encoder_2=generator.text_encoder_2,
        tokenizer=None,
        tokenizer_2=generator.tokenizer,
        unet=generator.unet,
        scheduler=scheduler,
        add_watermarker=False,
    )
    pipeline.to(torch.float16)
    pipeline.save_pretrained(folder, safe_serialization=True)
    pipeline.to(torch.float32)
    (folder / "words.txt").write_text(_words(), encoding="utf-8")


def _words() -> str:
    """What the model understands, for the page to show."""
    looks = [tag for tags, _ in LOOKS.values() for tag in tags[:1]]
    places = [phrase for phrases, _ in SCENES.values() for phrase in phrases if phrase]
    also = [word for _, *more in SUBJECTS.values() for word in more]
    parts = {"subjects": list(SUBJECTS), "looks": looks, "places": places, "also": also}
    return (
        "\n".join(line for name, words in parts.items() for line in (f"# {name}", *words)) + "\n"
    )


def train(
    folder: Path,
    model: Path,
    *,
    minutes: float,
    rate: float = 3e-3,
    tail: float = 1.0,
    batch: int = 64,
    device: str = "cpu",
) -> None:
    """One sitting: load or begin, train for some minutes, write checkpoint and pipeline.

    Args:
        folder: with the data set, for the checkpoints.
        model: folder of the pipeline.
        minutes: of training.
        rate: at the start of the sitting.
        tail: share of the time over which the rate falls to zero.
        batch: pictures of a step.
        device: `cpu` or `cuda`.
    """
    torch.manual_seed(0)
    data = Dataset.load(folder / "latents")
    # Not `channels_last`: group norm of bfloat16 takes 16 times as long in it.
    generator = _started(folder, model).to(device)
    # Else the plain product of bfloat16 is done in float32, in four times the time.
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    optimizers = muon_and_adamw(generator, rate)
    run = Run(folder / "generator.pt", {"model": generator}, optimizers)
    average = Average(generator, folder / "generator-mean.safetensors")
    clock, rng, space = Clock(minutes), Random(run.step), latent_space().to(device)
    order, shipped = torch.Generator().manual_seed(run.step), time.monotonic()
    while not clock.over:
        rows = torch.randint(len(data.pictures), (batch,), generator=order)
        captions = [caption(data.pictures[i], rng) for i in rows.tolist()]
        wanted = data.latents[rows].to(device).float()
        set_rate(optimizers, min(1, (run.step + 1) / 100) * clock.decay(tail))
        # So few tokens that the plain product beats the tiled one, above all in the backward pass.
        with sdpa_kernel(SDPBackend.MATH):
            with lower_precision(device):
                made = generator(captions, data.noise[rows])
            made = made.float()
            l1 = F.l1_loss(made, wanted)
            # The first 8 components are 6% of the latents and half of what the eye sees.
            seen, shown = space.decode(made), space.decode(wanted)
            pixels = F.l1_loss(seen, shown) + F.mse_loss(seen, shown)
            (l1 + 0.5 * F.mse_loss(made, wanted) + pixels).backward()
        run.after_step(optimizers, l1=l1.item(), pixels=pixels.item())
        average.take(generator)
        if run.step % 100 == 0:
            average.save()
        if time.monotonic() - shipped > 60 * _SHIP_MINUTES:
            _ship_mean(generator, average, model)
            shipped = time.monotonic()
    run.save()
    average.save()
    _ship_mean(generator, average, model)


def _started(folder: Path, model: Path) -> Generator:
    """The shipped one, or a new one that has learnt what captions mean."""
    if (model / "unet").exists():
        generator = shipped_generator(model)
        if generator.unet.config.out_channels != CHANNELS:
            generator.unet = widened(generator.unet)
        return generator
    tokenizer = new_tokenizer(model / "tokenizer_2")
    generator = Generator(tokenizer)
    if not (folder / "generator.pt").exists():
        learn_meanings(generator.text_encoder_2, tokenizer, _MEANINGS)
    return generator


def _ship_mean(generator: Generator, average: Average, folder: Path) -> None:
    """Write the model with the mean weights, and the decoder that lies there."""
    mean = deepcopy(generator)
    mean.load_state_dict(average.weights)
    mean.to("cpu")
    ship(mean, shipped_autoencoder(folder), folder)


def main() -> None:
    """Train for some minutes, then write the pipeline."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--rate", type=float, default=3e-3, help="at the start of the sitting")
    parser.add_argument("--tail", type=float, default=1.0, help="share of the time that decays")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path("build/emoji-world"))
    parser.add_argument("--ship", type=Path, default=Path("assets/models/emoji-world"))
    options = vars(parser.parse_args())
    train(options.pop("out"), options.pop("ship"), **options)


if __name__ == "__main__":
    main()
