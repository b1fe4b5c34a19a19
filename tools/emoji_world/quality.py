"""The judge of sharpness: pictures of the model against those that the renderer draws.

    python -m tools.emoji_world.quality --emoji FOLDER [--model FOLDER] [--sheet FILE.png]

The picture is a function of caption and noise, so the picture that should come out is known. Two
figures for each look, on captions and noise that no training ever sees: PSNR in dB, and the share
of the fine detail, mean |x - 3x3 mean|. Both are measured twice: for the decoder from the true
latents, and for generator and decoder together. A picture that is sharp in the wrong way can have
the right detail, so look at the sheet as well.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from tools.emoji_world.captions import Picture, caption, random_picture
from tools.emoji_world.generator import Generator, shipped_generator
from tools.emoji_world.latents import as_pixels, latent_space
from tools.emoji_world.renderer import NOISE, render, use_emoji
from tools.emoji_world.vocabulary import LOOKS

__all__ = ["Scenes", "detail", "figures", "held_out", "psnr", "report", "table"]

_HELD_OUT = 3_000_000  # far above every seed of training and of the probe


@dataclass(frozen=True, eq=False)
class Scenes:
    """Pictures that training never sees.

    Attributes:
        looks: n names of looks.
        captions: n texts.
        noise: (n, 4).
        pixels: (n, 3, 256, 256) in -1..1, what the renderer draws.
    """

    looks: list[str]
    captions: list[str]
    noise: Tensor
    pixels: Tensor


def held_out(count: int) -> Scenes:
    """As many pictures of every look as asked for, always the same."""
    rng, numbers = Random(_HELD_OUT), np.random.default_rng(_HELD_OUT)
    pictures: list[Picture] = [
        replace(random_picture(rng), look=look) for look in LOOKS for _ in range(count)
    ]
    noise = numbers.standard_normal((len(pictures), NOISE)).astype(np.float32)
    images = [render(picture, row) for picture, row in zip(pictures, noise, strict=True)]
    return Scenes(
        [picture.look for picture in pictures],
        [caption(picture, rng) for picture in pictures],
        torch.from_numpy(noise),
        as_pixels(np.stack(images)),
    )


def psnr(made: Tensor, wanted: Tensor) -> Tensor:
    """Of every picture, (n,) in dB; pixels in -1..1."""
    return -10 * ((made - wanted) / 2).square().mean((1, 2, 3)).log10()


def detail(pixels: Tensor) -> Tensor:
    """Mean |x - 3x3 mean| of every picture, (n,)."""
    smooth = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return (pixels - smooth).abs().mean((1, 2, 3))


def figures(made: Tensor, scenes: Scenes) -> dict[str, dict[str, float]]:
    """PSNR and share of detail for every look and, as `all`, the mean of the looks."""
    sharpness = psnr(made, scenes.pixels)
    fine, wanted = detail(made), detail(scenes.pixels)
    told = {}
    for look in LOOKS:
        rows = torch.tensor([name == look for name in scenes.looks])
        share = fine[rows].sum() / wanted[rows].sum()
        told[look] = {"psnr": sharpness[rows].mean().item(), "detail": share.item()}
    means = {key: float(np.mean([row[key] for row in told.values()])) for key in told["none"]}
    return {"all": means, **told}


@torch.no_grad()
def decoded(vae: nn.Module, latents: Tensor) -> Tensor:
    """Pictures (n, 3, 256, 256) in -1..1, eight at a time."""
    parts = [vae.decode(rows).sample.float() for rows in latents.split(8)]
    # Rounded as files are: the renderer's pictures are, and rounding is fine detail, too.
    return (torch.cat(parts).clamp(-1, 1) * 127.5).add(127.5).round() / 127.5 - 1


@torch.no_grad()
def drawn(generator: Generator, scenes: Scenes) -> Tensor:
    """Latents that the generator gives for the captions, eight at a time."""
    parts = range(0, len(scenes.captions), 8)
    return torch.cat(
        [generator(scenes.captions[i : i + 8], scenes.noise[i : i + 8]) for i in parts]
    )


def report(model: Path, scenes: Scenes) -> tuple[dict, list[Tensor]]:
    """All figures of a model folder, and its two versions of every picture."""
    pipeline = StableDiffusionXLPipeline.from_pretrained(model, local_files_only=True)
    vae = pipeline.vae.float().eval().to(memory_format=torch.channels_last)
    generator = shipped_generator(model).eval()
    channels = vae.config.latent_channels
    true = latent_space().encode(scenes.pixels)[:, :channels]
    made = drawn(generator, scenes)
    both = [decoded(vae, latents) for latents in (true, made)]
    start, runs = time.perf_counter(), 5
    for i in range(runs):
        one = Scenes([], scenes.captions[i : i + 1], scenes.noise[i : i + 1], scenes.pixels)
        decoded(vae, drawn(generator, one))
    seconds = (time.perf_counter() - start) / runs
    size = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
    told = {
        "decoder": figures(both[0], scenes),
        "generator": figures(both[1], scenes),
        "latents L1": F.l1_loss(made, true).item(),
        "seconds": seconds,
        "threads": torch.get_num_threads(),
        "megabytes": size / 1e6,
    }
    return told, both


def table(told: dict) -> str:
    """The figures of `report` for the eye."""
    rows = [f"{'':11} {'decoder':>15} {'generator':>15}"]
    for look in ("all", *LOOKS):
        pair = [told[part][look] for part in ("decoder", "generator")]
        cells = "   ".join(f"{row['psnr']:5.1f} dB {row['detail']:4.0%}" for row in pair)
        rows.append(f"{look:11}    {cells}")
    rows.append(
        f"L1 of latents {told['latents L1']:.4f}, {told['seconds']:.3f} s a picture on "
        f"{told['threads']} thread(s) in float32, {told['megabytes']:.1f} MB"
    )
    return "\n".join(rows)


def save_sheet(rows: list[Tensor], file: Path, side: int = 192) -> None:
    """Rows of pictures (n, 3, h, w) in -1..1, one below the other."""
    sheet = Image.new("RGB", (side * len(rows[0]), side * len(rows)))
    for y, row in enumerate(rows):
        for x, pixels in enumerate(row):
            image = ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
            part = Image.fromarray(image).resize((side, side), Image.LANCZOS)
            sheet.paste(part, (side * x, side * y))
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(file)


def main() -> None:
    """Print the table; write figures and a sheet when asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--emoji", type=Path, required=True, help="assets of the npm package")
    parser.add_argument("--model", type=Path, default=Path("assets/models/emoji-world"))
    parser.add_argument("--count", type=int, default=16, help="pictures of each look")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--sheet", type=Path, help="file for renderer, decoder, both: three rows")
    options = parser.parse_args()
    use_emoji(options.emoji)
    scenes = held_out(options.count)
    told, both = report(options.model, scenes)
    print(table(told))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    if options.sheet:
        shown = torch.arange(len(LOOKS)) * options.count + torch.arange(len(LOOKS)) % options.count
        save_sheet([part[shown] for part in (scenes.pixels, *both)], options.sheet)


if __name__ == "__main__":
    main()
