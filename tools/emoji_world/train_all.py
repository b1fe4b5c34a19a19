"""All stages of the model in one command, as often as you like.

    python -m tools.emoji_world.train_all --emoji FOLDER [--minutes 600]

Goes on from what earlier sittings left: the data set, the checkpoints and the model folder. With a
GPU the processor cores draw and the GPU learns; nine minutes are a sitting. Without one let it run
overnight. The generator gets most of the time; the decoder learns a first time before it, where
there is none yet, and a second time on what the generator makes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from tools.emoji_world import dataset, decoder, generator
from tools.emoji_world.drawing import cores
from tools.emoji_world.quality import held_out, report, table
from tools.emoji_world.renderer import use_emoji
from tools.emoji_world.training import Clock

_FIRST_DECODER, _LAST_DECODER, _JUDGE = 0.2, 0.2, 0.03  # shares of the time


def main() -> None:
    """Draw, train, measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--emoji", type=Path, required=True, help="assets of the npm package")
    parser.add_argument("--minutes", type=float, default=600, help="of this sitting")
    parser.add_argument("--count", type=int, default=20_000, help="pictures of the data set")
    parser.add_argument("--out", type=Path, default=Path("build/emoji-world"))
    parser.add_argument("--ship", type=Path, default=Path("assets/models/emoji-world"))
    options = parser.parse_args()
    gpu = torch.cuda.is_available()
    device = "cuda" if gpu else "cpu"
    where = {"folder": options.out, "model": options.ship, "device": device}
    stock = 4000 if gpu else 1500
    use_emoji(options.emoji)
    clock = Clock(options.minutes)
    print(f"{cores()} cores draw, {device} learns", flush=True)
    dataset.fill(options.out / "latents", options.count, options.emoji)
    if not (options.out / "decoder.pt").exists():
        minutes = _FIRST_DECODER * options.minutes
        decoder.train(**where, emoji=options.emoji, minutes=minutes, generated=0, stock=stock)
    left = (1 - clock.spent - _LAST_DECODER - _JUDGE) * options.minutes
    generator.train(**where, minutes=max(left, 0), batch=256 if gpu else 64)
    left = (1 - clock.spent - _JUDGE) * options.minutes
    decoder.train(**where, emoji=options.emoji, minutes=max(left, 0), stock=stock)
    print(table(report(options.ship, held_out(4))[0]))


if __name__ == "__main__":
    main()
