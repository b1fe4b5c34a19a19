"""Draw the strips at the top of the README: shipped maps at nine strengths.

python -m tools.strips [--file assets/strips.jpg]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from lineas_core import load_maps, load_model, steer
from lineas_core.paths import ASSETS

_STRENGTHS = [number / 4 for number in range(-4, 5)]
_ROWS = (  # map, prompt, seed
    ("vaporwave", "a castle in the mountains, vaporwave style", 2),
    ("car", "an owl under the night sky, with a car", 1),
    ("robot", "a castle in a meadow, with a robot", 3),
    ("car", "a mushroom in a meadow", 5),
    ("underwater", "a panda in a meadow", 4),
    ("fantasy", "a lion on a mountain", 3),
)


def main() -> None:
    """Draw one row for each map, with λ from -1 on the left to 1 on the right."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=144, help="pixels of one picture")
    parser.add_argument("--file", type=Path, default=ASSETS / "strips.jpg")
    options = parser.parse_args()
    model, side = load_model("emoji-world"), options.side
    drawn = Image.new("RGB", (side * len(_STRENGTHS), side * len(_ROWS)))
    for row, (name, prompt, seed) in enumerate(_ROWS):
        count = len(_STRENGTHS)
        with steer(model.network, load_maps(ASSETS / "maps" / f"{name}-emoji-world"), _STRENGTHS):
            images = model.generate([prompt] * count, seeds=[seed] * count)
        for column, image in enumerate(images):
            small = image.resize((side, side), Image.Resampling.LANCZOS)
            drawn.paste(small, (column * side, row * side))
    drawn.save(options.file, quality=88)


if __name__ == "__main__":
    main()
