"""Draw the grid of the model card: subjects across, looks down, by the shipped model.

python -m tools.emoji_world.grid [--seed 1] [--file assets/emoji-world.jpg]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from lineas_core import load_model
from tools.emoji_world.vocabulary import LOOKS

_PICTURES = (
    "a robot by a lake",
    "a car on the beach",
    "an open book on a wooden table",
    "an hourglass",
    "an axolotl in the forest",
    "a castle in the mountains",
    "a lion in the desert",
    "an owl at night",
    "a sailboat at sunset",
    "a castle by a lake, with a robot",
    "a fox in the snow next to a cake",
    "a calm lake at sunset",
)


def main() -> None:
    """One row for each look."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--side", type=int, default=128, help="pixels of one picture")
    parser.add_argument("--file", type=Path, default=Path("assets/emoji-world.jpg"))
    options = parser.parse_args()
    model = load_model("emoji-world")
    side = options.side
    grid = Image.new("RGB", (side * len(_PICTURES), side * len(LOOKS)))
    for row, (tags, _) in enumerate(LOOKS.values()):
        prompts = [", ".join([text, *tags[:1]]) for text in _PICTURES]
        images = model.generate(prompts, seeds=[options.seed + i for i in range(len(prompts))])
        for column, image in enumerate(images):
            grid.paste(image.resize((side, side), Image.LANCZOS), (column * side, row * side))
    grid.save(options.file, quality=88)


if __name__ == "__main__":
    main()
