"""Stage 2: the one-step generator, from (caption, noise) to latents, by plain regression.

    python -m tools.emoji_world.generator [--minutes 120]

The picture is a function of caption and noise, so nothing has to be averaged and no teacher, no
adversary and no schedule are needed: one pass of the UNet is the whole generator. The noise is
four numbers that choose the layout; see `layout_noise` for the latents it starts from. Goes on
where an earlier sitting stopped, or from the shipped weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import torch
from diffusers import (
    AutoencoderTiny,
    LCMScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTokenizer

from lineas_core.models.layout import layout_noise
from tools.emoji_world.captions import caption
from tools.emoji_world.dataset import Dataset
from tools.emoji_world.latents import CELL, CHANNELS
from tools.emoji_world.renderer import SIZE
from tools.emoji_world.training import Clock, Run, muon_and_adamw, set_rate
from tools.emoji_world.vocabulary import LOOKS, SCENES, SUBJECTS
from tools.emoji_world.words import WIDTH, learn_meanings, new_text_encoder, new_tokenizer

__all__ = ["TIMESTEP", "Generator", "ship", "shipped_generator"]

TIMESTEP = 399  # DMD2's
_BATCH = 64
_EMA = 0.99
_MEANINGS = 5.0  # minutes
_LATENT = SIZE // CELL


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
        """Latents (n, 48, 16, 16) from n captions and noise (n, 4)."""
        tokens = self.tokenizer(
            captions, padding="max_length", truncation=True, return_tensors="pt"
        )
        text = self.text_encoder_2(tokens["input_ids"], output_hidden_states=True)
        sizes = torch.tensor([SIZE, SIZE, 0, 0, SIZE, SIZE], dtype=torch.float32)
        return self.unet(
            layout_noise(noise, CHANNELS, _LATENT),
            TIMESTEP,
            text.hidden_states[-2],
            added_cond_kwargs={
                "text_embeds": text.text_embeds,
                "time_ids": sizes.expand(len(captions), -1),
            },
        ).sample


def shipped_generator(folder: Path) -> Generator:
    """What `ship` wrote, in float32."""
    generator = Generator(CLIPTokenizer.from_pretrained(folder / "tokenizer_2"))
    weights = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    generator.unet.load_state_dict(weights)
    text = load_file(folder / "text_encoder_2" / "model.safetensors")
    generator.text_encoder_2.load_state_dict(text, strict=False)
    return generator


def ship(generator: Generator, vae: AutoencoderTiny, folder: Path) -> None:
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


class _Average:
    """Running mean of the weights: what is shipped."""

    def __init__(self, network: nn.Module, file: Path) -> None:
        self._file = file
        self.weights = {k: v.detach().clone() for k, v in network.state_dict().items()}
        if file.exists():
            self.weights |= load_file(file)

    @torch.no_grad()
    def take(self, network: nn.Module) -> None:
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, 1 - _EMA)

    def save(self) -> None:
        part = self._file.with_suffix(".part")
        save_file({k: v.contiguous() for k, v in self.weights.items()}, part)
        part.replace(self._file)


def main() -> None:
    """Train for some minutes, then write the pipeline."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--rate", type=float, default=3e-3, help="at the start of the sitting")
    parser.add_argument("--tail", type=float, default=1.0, help="share of the time that decays")
    parser.add_argument("--out", type=Path, default=Path("build/emoji-world"))
    parser.add_argument("--ship", type=Path, default=Path("assets/models/emoji-world"))
    options = parser.parse_args()
    torch.manual_seed(0)
    data = Dataset.load(options.out / "latents")
    if (options.ship / "unet").exists():
        generator = shipped_generator(options.ship)
    else:
        tokenizer = new_tokenizer(options.ship / "tokenizer_2")
        generator = Generator(tokenizer)
        if not (options.out / "generator.pt").exists():
            learn_meanings(generator.text_encoder_2, tokenizer, _MEANINGS)
    generator.to(memory_format=torch.channels_last)
    optimizers = muon_and_adamw(generator, options.rate)
    run = Run(options.out / "generator.pt", {"model": generator}, optimizers)
    average = _Average(generator, options.out / "generator-mean.safetensors")
    clock, rng = Clock(options.minutes), Random(run.step)
    order = torch.Generator().manual_seed(run.step)
    while not clock.over:
        rows = torch.randint(len(data.pictures), (_BATCH,), generator=order)
        captions = [caption(data.pictures[i], rng) for i in rows.tolist()]
        wanted = data.latents[rows].float()
        set_rate(optimizers, min(1, (run.step + 1) / 100) * clock.decay(options.tail))
        # So few tokens that the plain product beats the tiled one, above all in the backward pass.
        with sdpa_kernel(SDPBackend.MATH):
            with torch.autocast("cpu", torch.bfloat16):
                made = generator(captions, data.noise[rows])
            made = made.float()
            l1 = F.l1_loss(made, wanted)
            (l1 + 0.5 * F.mse_loss(made, wanted)).backward()
        run.after_step(optimizers, l1=l1.item())
        average.take(generator)
        if run.step % 100 == 0:
            average.save()
    run.save()
    average.save()
    generator.load_state_dict(average.weights)
    ship(generator, _decoder(options.ship / "vae"), options.ship)


def _decoder(folder: Path) -> AutoencoderTiny:
    """The trained one, or before its stage an untrained one: a pipeline has to have one."""
    from tools.emoji_world.decoder import new_autoencoder  # which learns from a generator

    return AutoencoderTiny.from_pretrained(folder) if folder.exists() else new_autoencoder()


if __name__ == "__main__":
    main()
