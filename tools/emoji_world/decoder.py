"""Stage 3: the decoder, latents to pictures of 256 px, sharper than the linear way back.

    python -m tools.emoji_world.decoder --emoji FOLDER [--minutes 60]

Begins as the linear way back (`autoencoder.py`) and learns on crops of freshly drawn pictures what
is better; goes on where an earlier sitting stopped. Beside the pixels it is told by the features
of an independent network and by a critic (`sharpness.py`). Latents get a little noise, because the
generator will not hit them exactly. Once there is a generator for these latents, some of the crops
come with the latents that it makes of their captions: what it misses in the same way every time,
the decoder learns to put right.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor

from tools.emoji_world.autoencoder import shipped_autoencoder
from tools.emoji_world.captions import caption, random_picture
from tools.emoji_world.generator import Generator, shipped_generator
from tools.emoji_world.latents import CELL, CHANNELS, LatentSpace, as_pixels, latent_space
from tools.emoji_world.quality import decoded, detail, held_out, psnr
from tools.emoji_world.renderer import NOISE, SIZE, render, use_emoji
from tools.emoji_world.sharpness import Critic, Features, picture_loss
from tools.emoji_world.training import Clock, Run, lower_precision, muon_and_adamw, set_rate

_CROP = 128
_CROPS = 8
_GENERATED = 1000
_NOISE = 0.03
_CRITIC_LEARNS, _CRITIC_SPEAKS = 100, 300  # steps
_FEATURES, _MATCHING, _SCORES = 0.3, 0.25, 0.05
_JUDGED_EVERY = 300  # steps

Pair = tuple[Tensor, Tensor]  # pixels (n, 3, h, w) and their latents (n, 128, h / 16, w / 16)


def drawn(rng: Random, noise: np.random.Generator, space: LatentSpace, count: int) -> Pair:
    """Fresh pictures and their latents."""
    images = [render(random_picture(rng), noise.standard_normal(NOISE)) for _ in range(count)]
    pixels = as_pixels(np.stack(images))
    return pixels, space.encode(pixels)


@torch.no_grad()
def generated(generator: Generator, count: int, seed: int) -> Pair:
    """Pictures (count, 256, 256, 3) uint8 and what the generator makes of their captions.

    Args:
        generator: trained.
        count: a multiple of 50.
        seed: of pictures, captions and noise.
    """
    rng, noise = Random(-seed), np.random.default_rng(seed)
    images, latents = [], []
    for _ in range(count // 50):
        pictures = [random_picture(rng) for _ in range(50)]
        numbers = noise.standard_normal((50, NOISE)).astype(np.float32)
        images += [render(*row) for row in zip(pictures, numbers, strict=True)]
        captions = [caption(picture, rng) for picture in pictures]
        with lower_precision():
            latents.append(generator(captions, torch.from_numpy(numbers)).half())
    return torch.from_numpy(np.stack(images)), torch.cat(latents)


def crops(rng: Random, pixels: Tensor, latents: Tensor, each: int) -> Pair:
    """Crops of every picture, on the grid of latent cells, with their latents."""
    cells, x, z = _CROP // CELL, [], []
    for _ in range(each):
        for image, code in zip(pixels, latents, strict=True):
            row, column = (rng.randint(0, SIZE // CELL - cells) for _ in range(2))
            top, left = CELL * row, CELL * column
            x.append(image[:, top : top + _CROP, left : left + _CROP])
            z.append(code[:, row : row + cells, column : column + cells])
    x, z = (torch.stack(part).contiguous(memory_format=torch.channels_last) for part in (x, z))
    return x, z


def usable_generator(folder: Path) -> Generator | None:
    """The one of a model folder, when it draws latents of this size."""
    if not (folder / "unet").exists():
        return None
    generator = shipped_generator(folder).eval()
    return generator if generator.unet.config.out_channels == CHANNELS else None


def main() -> None:
    """Train for some minutes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--emoji", type=Path, required=True, help="assets of the npm package")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=3e-4, help="at the start of the sitting")
    parser.add_argument("--tail", type=float, default=1.0, help="share of the time that decays")
    parser.add_argument("--generated", type=float, default=0.5, help="share of the crops")
    parser.add_argument("--out", type=Path, default=Path("build/emoji-world"))
    parser.add_argument("--ship", type=Path, default=Path("assets/models/emoji-world"))
    options = parser.parse_args()
    use_emoji(options.emoji)
    space = latent_space()
    model = shipped_autoencoder(options.ship).to(memory_format=torch.channels_last)
    decoder, features = model.decoder, Features()
    critic = Critic().to(memory_format=torch.channels_last)
    optimizers = muon_and_adamw(decoder, options.rate)
    own = torch.optim.Adam(critic.parameters(), lr=4e-4, betas=(0.5, 0.9))
    own.param_groups[0]["rate"] = 4e-4
    run = Run(
        options.out / "decoder.pt", {"decoder": decoder, "critic": critic}, [*optimizers, own]
    )
    generator = usable_generator(options.ship) if options.generated > 0 else None
    made = generated(generator, _GENERATED, run.step + 1) if generator else None
    from_made = round(options.generated * _CROPS) if made else 0
    scenes = held_out(2)
    clock = Clock(options.minutes)
    torch.manual_seed(run.step)
    rng, noise = Random(run.step + 1), np.random.default_rng(run.step + 1)
    while not clock.over:
        x, z = crops(rng, *drawn(rng, noise, space, (_CROPS - from_made) // 2), each=2)
        if made:
            rows = torch.tensor(rng.sample(range(_GENERATED), from_made))
            more = crops(rng, as_pixels(made[0][rows].numpy()), made[1][rows].float(), each=1)
            x, z = torch.cat([x, more[0]]), torch.cat([z, more[1]])
        set_rate([*optimizers, own], min(1, (run.step + 1) / 50) * clock.decay(options.tail))
        with lower_precision():
            y = decoder(z + _NOISE * torch.randn_like(z)).float()
            told = {"pixels": picture_loss(y, x), "features": features(y, x)}
            loss = told["pixels"] + _FEATURES * told["features"]
            if run.step >= _CRITIC_SPEAKS:
                told["scores"], told["matching"] = critic.judge(y, x)
                loss = loss + _SCORES * told["scores"] + _MATCHING * told["matching"]
        loss.backward()
        own.zero_grad(set_to_none=True)
        if run.step >= _CRITIC_LEARNS:
            with lower_precision():
                told["critic"] = critic.loss(y, x)
            told["critic"].backward()
        told["psnr"] = psnr(y.detach(), x).mean()
        told["detail"] = (detail(y.detach()) / detail(x)).mean()
        run.after_step([*optimizers, own], **{key: value.item() for key, value in told.items()})
        if run.step % _JUDGED_EVERY == 0:
            with lower_precision():
                whole = decoded(model, space.encode(scenes.pixels))
            share = (detail(whole).sum() / detail(scenes.pixels).sum()).item()
            print(f"held out: {psnr(whole, scenes.pixels).mean():.2f} dB, {share:.0%}", flush=True)
    run.save()
    model.half().save_pretrained(options.ship / "vae")


if __name__ == "__main__":
    main()
