"""Stage 3: the decoder, latents to pictures of 256 px, sharper than the linear way back.

    python -m tools.emoji_world.decoder --emoji FOLDER [--minutes 60]

Begins as the linear way back (`autoencoder.py`) and learns on crops of drawn pictures what is
better; goes on where an earlier sitting stopped, with other pictures. Beside the pixels it is told
by the features of an independent network and by a critic (`sharpness.py`). Latents get a little
noise, because the generator will not hit them exactly. Once there is a generator for these
latents, some of the crops come with the latents that it makes of their captions: what it misses in
the same way every time, the decoder learns to put right.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from tools.emoji_world.autoencoder import shipped_autoencoder
from tools.emoji_world.captions import caption
from tools.emoji_world.drawing import draw, random_pictures
from tools.emoji_world.generator import Generator, shipped_generator
from tools.emoji_world.latents import CELL, CHANNELS, as_pixels, latent_space
from tools.emoji_world.quality import decoded, detail, held_out, psnr
from tools.emoji_world.renderer import SIZE, use_emoji
from tools.emoji_world.sharpness import Critic, Features, picture_loss
from tools.emoji_world.training import Clock, Run, lower_precision, muon_and_adamw, set_rate

__all__ = ["train"]

_CROP = 128
_CROPS = 8
_NOISE = 0.03
_CRITIC_LEARNS, _CRITIC_SPEAKS = 100, 300  # steps
_FEATURES, _MATCHING, _SCORES = 0.3, 0.25, 0.05
_JUDGED_EVERY = 300  # steps
_AT_ONCE = 50


@dataclass(frozen=True, eq=False)
class Stock:
    """Pictures to take crops of.

    Attributes:
        images: (n, 256, 256, 3) uint8.
        latents: (n, 128, 16, 16) float16, the true ones or those that the generator makes.
    """

    images: Tensor
    latents: Tensor

    @classmethod
    @torch.no_grad()
    def drawn(cls, seed: int, count: int, emoji: Path, generator: Generator | None) -> Stock:
        """Freshly drawn; with a generator, the latents are what it makes of their captions."""
        pictures, noise = random_pictures(seed, count)
        images, rng, space = draw(pictures, noise, emoji), Random(seed), latent_space()
        latents = []
        for start in range(0, count, _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            if generator is None:
                latents.append(space.encode(as_pixels(images[rows])).half())
                continue
            captions = [caption(picture, rng) for picture in pictures[rows]]
            with lower_precision(generator.unet.device.type):
                made = generator(captions, torch.from_numpy(noise[rows]))
            latents.append(made.half().cpu())
        return cls(torch.from_numpy(images), torch.cat(latents))

    def crops(self, rng: Random, count: int) -> tuple[Tensor, Tensor]:
        """Pixels and latents of random crops, on the grid of latent cells, of other pictures."""
        cells, x, z = _CROP // CELL, [], []
        for number in rng.sample(range(len(self.images)), count):
            row, column = (rng.randint(0, SIZE // CELL - cells) for _ in range(2))
            top, left = CELL * row, CELL * column
            x.append(self.images[number, top : top + _CROP, left : left + _CROP])
            z.append(self.latents[number, :, row : row + cells, column : column + cells])
        return as_pixels(torch.stack(x).numpy()), torch.stack(z).float()


def train(
    folder: Path,
    model: Path,
    *,
    emoji: Path,
    minutes: float,
    rate: float = 3e-4,
    generated: float = 0.5,
    stock: int = 1500,
    device: str = "cpu",
) -> None:
    """One sitting: load or begin, train for some minutes, write checkpoint and decoder.

    Args:
        folder: for the checkpoint.
        model: folder of the pipeline.
        emoji: assets of the npm package.
        minutes: of training.
        rate: at the start; falls to zero.
        generated: share of the crops with the generator's latents, when there is a generator.
        stock: pictures of either kind to draw for this sitting.
        device: `cpu` or `cuda`.
    """
    use_emoji(emoji)
    autoencoder = shipped_autoencoder(model).to(device, memory_format=torch.channels_last)
    decoder, features = autoencoder.decoder, Features().to(device)
    critic = Critic().to(device, memory_format=torch.channels_last)
    own = torch.optim.Adam(critic.parameters(), lr=4e-4, betas=(0.5, 0.9))
    own.param_groups[0]["rate"] = 4e-4
    optimizers = [*muon_and_adamw(decoder, rate), own]
    run = Run(folder / "decoder.pt", {"decoder": decoder, "critic": critic}, optimizers)
    clock, rng, seed = Clock(minutes), Random(run.step), 10_000 + run.step
    torch.manual_seed(run.step)
    generator = _usable_generator(model) if generated > 0 else None
    stocks = [(Stock.drawn(seed, stock, emoji, None), _CROPS)]
    if generator:
        count = round(generated * _CROPS)
        more = Stock.drawn(seed + 1, stock, emoji, generator.to(device))
        stocks = [(stocks[0][0], _CROPS - count), (more, count)]
    scenes = held_out(1)
    true = latent_space().encode(scenes.pixels)
    while not clock.over:
        x, z = (
            torch.cat(parts).to(device, memory_format=torch.channels_last)
            for parts in zip(*(s.crops(rng, count) for s, count in stocks if count), strict=True)
        )
        set_rate(optimizers, min(1, (run.step + 1) / 50) * clock.decay(1))
        with lower_precision(device):
            y = decoder(z + _NOISE * torch.randn_like(z)).float()
            told = {"pixels": picture_loss(y, x), "features": features(y, x)}
            loss = told["pixels"] + _FEATURES * told["features"]
            if run.step >= _CRITIC_SPEAKS:
                told["scores"], told["matching"] = critic.judge(y, x)
                loss = loss + _SCORES * told["scores"] + _MATCHING * told["matching"]
        loss.backward()
        own.zero_grad(set_to_none=True)
        if run.step >= _CRITIC_LEARNS:
            with lower_precision(device):
                told["critic"] = critic.loss(y, x)
            told["critic"].backward()
        told["psnr"] = psnr(y.detach(), x).mean()
        told["detail"] = detail(y.detach()).sum() / detail(x).sum()
        run.after_step(optimizers, **{key: value.item() for key, value in told.items()})
        if run.step % _JUDGED_EVERY == 0:
            with lower_precision(device):
                whole = decoded(autoencoder, true.to(device)).cpu()
            share = (detail(whole).sum() / detail(scenes.pixels).sum()).item()
            print(f"held out: {psnr(whole, scenes.pixels).mean():.2f} dB, {share:.0%}", flush=True)
    run.save()
    autoencoder.to("cpu", torch.float16).save_pretrained(model / "vae")


def _usable_generator(folder: Path) -> Generator | None:
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
    parser.add_argument("--generated", type=float, default=0.5, help="share of the crops")
    parser.add_argument("--stock", type=int, default=1500, help="pictures of either kind")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path("build/emoji-world"))
    parser.add_argument("--ship", type=Path, default=Path("assets/models/emoji-world"))
    options = vars(parser.parse_args())
    train(options.pop("out"), options.pop("ship"), **options)


if __name__ == "__main__":
    main()
