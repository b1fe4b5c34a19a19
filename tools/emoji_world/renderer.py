"""Draw the world: a picture is a deterministic function of (Picture, noise).

The noise is four numbers, standard normal at generation: where the subjects stand, which of two
views of the scene, the warmth of the light, which of three arrangements of a look. The main
subject stands in one of three places, a multiple of two latent cells (32 px) apart, so that it is
the same patch of latents wherever it stands, for the lower level of a small UNet, too. A generator
learns a subject in a place after about a thousand pictures; few places are pictures saved.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tools.emoji_world.captions import Picture
from tools.emoji_world.looks import LOOK_FUNCTIONS, Layers
from tools.emoji_world.vocabulary import FLYING, SUBJECTS

__all__ = ["NOISE", "SIZE", "VIEWS", "choices", "render", "use_emoji"]

SIZE = 256
CELL = 16
NOISE = 4
VIEWS = 2
_GROUND = 208  # where feet stand
_FRONT = 224  # where a second subject's feet stand
_BIG, _SMALL = 144, 96

_folder: Path | None = None


def use_emoji(folder: Path) -> None:
    """Tell where the emoji lie: the folder `assets` of the npm package."""
    global _folder  # noqa: PLW0603 - one set of pictures per process
    _folder = folder


def choices(noise: np.ndarray) -> tuple[int, int, float, int, bool]:
    """What the numbers mean: (place -1..1, view 0..1, warmth, arrangement 0..2, second left?)."""
    place = int(np.digitize(noise[0], (-0.67, 0.67))) - 1
    view = int(noise[1] > 0)
    arrangement = int(np.digitize(noise[3], (-0.43, 0.43)))
    return place, view, float(np.clip(noise[2], -2, 2)), arrangement, bool(noise[0] > 0)


def render(picture: Picture, noise: np.ndarray) -> np.ndarray:
    """(256, 256, 3) uint8 for a picture and its (4,) noise."""
    place, view, warmth, arrangement, left = choices(noise)
    scene = _scene(picture.scene, view)
    light = np.array([1 + 0.06 * warmth, 1.0, 1 - 0.06 * warmth], np.float32)
    sprites = np.zeros((SIZE, SIZE, 4), np.float32)
    if picture.subject:
        x = (96 if left else 32) if picture.second else 64 + 2 * CELL * place
        if picture.look == "fisheye" and not picture.second:
            x = 64  # the circle would cut it elsewhere
        feet = _GROUND - 2 * CELL * (picture.subject in FLYING)
        _over(sprites, _sprite(picture.subject, _BIG), x, feet)
    if picture.second:
        x = CELL if left else SIZE - CELL - _SMALL
        feet = _FRONT - 2 * CELL * (picture.second in FLYING)
        _over(sprites, _sprite(picture.second, _SMALL), x, feet)
    layers = Layers(scene * light, sprites, _horizon(picture.scene), arrangement, emoji)
    image = LOOK_FUNCTIONS[picture.look](layers)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


@cache
def emoji(name: str, size: int) -> np.ndarray:
    """(size, size, 4) float in 0..1, trimmed, standing on the lower edge; alpha premultiplied."""
    code = SUBJECTS[name][0] if name in SUBJECTS else name
    image = _axolotl() if code == "axolotl" else _load(code)
    image = image.crop(image.getchannel("A").point(lambda a: 255 * (a > 24)).getbbox())
    scale = size / max(image.size)
    image = image.resize([max(round(side * scale), 1) for side in image.size], Image.LANCZOS)
    square = Image.new("RGBA", (size, size))
    square.paste(image, ((size - image.width) // 2, size - image.height))
    pixels = np.asarray(square, np.float32) / 255
    return np.concatenate([pixels[..., :3] * pixels[..., 3:], pixels[..., 3:]], axis=-1)


def _load(code: str) -> Image.Image:
    assert _folder, "call use_emoji first"
    paths = [_folder / f"{code}{suffix}.webp" for suffix in ("", "-fe0f")]
    path = next(path for path in paths if path.exists())
    return Image.open(path).convert("RGBA")


@cache
def _sprite(name: str, size: int) -> np.ndarray:
    """The emoji with its shadow on a square that is wider by a cell on each side."""
    wide = size + 2 * CELL
    square = Image.new("L", (wide, wide))
    if name not in FLYING:
        feet = emoji(name, size)[-max(size // 8, 1) :, :, 3].max(axis=0).nonzero()[0]
        left, right = CELL + feet.min() - size // 16, CELL + feet.max() + size // 16
        depth = size // 14
        box = (left, wide - CELL - depth - 2, right, wide - CELL + depth - 2)
        ImageDraw.Draw(square).ellipse(box, fill=105)
        square = square.filter(ImageFilter.GaussianBlur(size / 28))
    sprite = np.zeros((wide, wide, 4), np.float32)
    sprite[..., 3] = np.asarray(square, np.float32) / 255
    inner = sprite[CELL : CELL + size, CELL : CELL + size]
    top = emoji(name, size)
    inner[:] = top + inner * (1 - top[..., 3:])
    return sprite


def _over(canvas: np.ndarray, sprite: np.ndarray, x: int, feet: int) -> None:
    """Put a sprite (with its margin) so that its square starts at x and stands at `feet`."""
    side = len(sprite)
    x, y = x - CELL, feet + CELL - side
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + side, SIZE), min(y + side, SIZE)
    top = sprite[y0 - y : y1 - y, x0 - x : x1 - x]
    under = canvas[y0:y1, x0:x1]
    under[:] = top + under * (1 - top[..., 3:])


def _horizon(scene: str) -> int:
    return {"table": 144, "beach": 160, "lake": 144, "city": 176, "plain": 176}.get(scene, 160)


# Scenes. Drawn at twice the size for smooth edges; two views each, kept for good.

_SKIES = {
    "plain": ("#dfe6f2", "#f7f4ee"),
    "meadow": ("#59b4f0", "#d8f1fb"),
    "forest": ("#8fc7c2", "#e4f2d8"),
    "snow": ("#9cc3ea", "#eef6fd"),
    "desert": ("#4aa3e6", "#fbe6bf"),
    "beach": ("#3fa9ee", "#c9f0fa"),
    "night": ("#0b1030", "#33406f"),
    "city": ("#7fb6e8", "#f3e6d8"),
    "mountains": ("#5aa6ea", "#e6f0f8"),
    "lake": ("#74b6e6", "#fdeedd"),
    "sunset": ("#5b3f8f", "#ffb05e"),
    "table": ("#cfae8a", "#ecd9bd"),
}
_GROUNDS = {
    "plain": ("#e9e3da", "#cfc8bf"),
    "meadow": ("#7cc455", "#4a9c3c"),
    "forest": ("#5d9b4a", "#356b35"),
    "snow": ("#f4f8fd", "#c6d7ec"),
    "desert": ("#efc679", "#d29a4f"),
    "beach": ("#f8e1a6", "#e6bf77"),
    "night": ("#2d3a55", "#161d33"),
    "city": ("#8d929c", "#62666f"),
    "mountains": ("#86b560", "#4f8447"),
    "lake": ("#8fb765", "#5c8c49"),
    "sunset": ("#7a4b58", "#3f2a42"),
    "table": ("#b77a46", "#8a5630"),
}


@cache
def _scene(name: str, view: int) -> np.ndarray:
    """(256, 256, 3) float in 0..1."""
    rng = Random(f"{name}{view}")
    horizon = _horizon(name)
    rows = np.concatenate(
        [_gradient(*_SKIES[name], horizon), _gradient(*_GROUNDS[name], SIZE - horizon)]
    )
    image = Image.fromarray(
        (np.repeat(rows[:, None], SIZE, axis=1) * 255).astype(np.uint8)
    ).resize((2 * SIZE, 2 * SIZE), Image.BILINEAR)
    _DETAILS[name](image, 2 * horizon, rng, view)
    return np.asarray(image.resize((SIZE, SIZE), Image.LANCZOS), np.float32) / 255


def _gradient(top: str, bottom: str, rows: int) -> np.ndarray:
    a, b = (
        np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)], np.float32) for c in (top, bottom)
    )
    t = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    return (a + (b - a) * t) / 255


def _put(image: Image.Image, code: str, size: int, x: float, feet: float, fade: float = 1) -> None:
    """A decor emoji, centred at x, standing at `feet`, in 256 px units, with some of its alpha."""
    pixels = emoji(code, 2 * size)
    alpha = pixels[..., 3:]
    colour = np.where(alpha > 0, pixels[..., :3] / np.maximum(alpha, 1e-6), 0)
    stacked = np.concatenate([colour, alpha * fade], axis=-1).clip(0, 1)
    sprite = Image.fromarray((stacked * 255).astype(np.uint8), "RGBA")
    image.paste(sprite, (round(2 * x) - size, round(2 * feet) - 2 * size), sprite)


def _ridge(
    image: Image.Image, rng: Random, base: float, height: float, colour: str, waves: int = 3
) -> None:
    """A line of hills from `base` upward, filled down to the lower edge of the picture."""
    phases = [(rng.uniform(0.4, 1) / k, rng.uniform(0, 6.3), k) for k in range(1, waves + 1)]
    side = image.width
    points = []
    for x in range(0, side + 8, 8):
        u = x / side * math.pi
        y = sum(a * math.sin(k * 1.7 * u + p) for a, p, k in phases)
        points.append((x, base - height * (0.5 + 0.3 * y)))
    ImageDraw.Draw(image).polygon([*points, (side, side), (0, side)], fill=colour)


def _reground(image: Image.Image, name: str, horizon: int) -> None:
    """Draw the ground over whatever reached below the horizon."""
    rows = _gradient(*_GROUNDS[name], image.height - horizon)
    ground = np.repeat((rows * 255).astype(np.uint8)[:, None], image.width, axis=1)
    image.paste(Image.fromarray(ground), (0, horizon))


def _clouds(image: Image.Image, rng: Random, count: int = 2) -> None:
    for _ in range(count):
        _put(
            image, "2601", rng.choice((40, 56, 64)), rng.uniform(20, 236), rng.uniform(48, 84), 0.9
        )


def _plain(image: Image.Image, horizon: int, rng: Random, view: int) -> None:
    colours = ("#f3dfd9", "#d9e8f3")
    tint = Image.new("RGB", image.size, colours[view])
    image.paste(Image.blend(image, tint, 0.6))
    blurred = image.filter(ImageFilter.GaussianBlur(24))
    image.paste(blurred)


def _meadow(image: Image.Image, horizon: int, rng: Random, view: int) -> None:
    _clouds(image, rng)
    if view:
        _put(image, "2600", 40, 36, 60)
    _ridge(image, rng, horizon + 8, 90, "#8fd06a")
    _ridge(image, rng, horizon + 16, 60, "#79c257")
    _reground(image, "meadow", horizon)
    _put(image, "1f333", 56, (226, 28)[view], 172)
    for _ in range(7):
        code = rng.choice(("1f33c", "1f337", "1f33c"))
        _put(image, code, 18, rng.uniform(8, 248), rng.choice((186, 236, 250)))


def _forest(image: Image.Image, horizon: int, rng: Random, view: int) -> None:
    _ridge(image, rng, horizon + 10, 110, "#a9d0a8")
    for row, (size, fade) in enumerate(((64, 0.55), (88, 0.85))):
        for i in range(6 - row):
            x = (i + 0.5) * 256 / (6 - row) + rng.uniform(-14, 14)
            _put(image, rng.choice(("1f332", "1f333")), size, x, 168 + 8 * row, fade)
    ImageDraw.Draw(image).polygon([(0, 376), (512, 376), (512, 340), (0, 340)], fill="#5d9b4a")
    _reground(image, "forest", horizon + 16)
    for _ in range(4):
        _put(image, rng.choice(("1f344", "1f33f", "1f33f")), 20, rng.uniform(8, 248), 244)
    _put(image, "1f332", 128, (244, 10)[view], 214)


def _snow(image: Image.Image, horizon: int, rng: Random, view: int) -> None:
    _ridge(image, rng, horizon + 8, 110, "#cfe0f2")
    _ridge(image, rng, horizon + 12, 70, "#e2edf8")
    _reground(image, "snow", horizon)
    for i in range(4):
        _put(image, "1f332", rng.choice((40, 56)), 20 + 72 * i + rng.uniform(-14, 14), 168, 0.9)
    for _ in range(9):
        _put(image, "2744", rng.choice((12, 16)), rng.uniform(8, 248), rng.uniform(20, 140), 0.8)


def _desert(image: Image.Image, horizon: int, rng: Random, view: int) -> None:
    _put(image, "2600", 44, (48, 208)[view], 66)
    _ridge(image, rng, horizon + 10, 90, "#f3d08a", 2)
    _ridge(image, rng, horizon + 16, 50, "#eabf70", 2)
    _reground(image, "desert", horizon)
    _put(image, "1f335", 56, (230, 26)[view], 184)
    _put(image, "1f335", 32, (34, 196)[view], 170)
    _put(image, "1faa8", 28, (70, 240)[view], 240)


def _beach(image: Image.Image, horizon: int, rng: Random, view: int) -> None:
    _clouds(image, rng, 1)
    draw = ImageDraw.Draw(image)
    sea = _gradient("#2f9fd6", "#7fdbe0", 64)
    image.paste(Image.fromarray(np.repeat((sea * 255).astype(np.uint8)[:, None], 512, 1)),
                (0, horizon - 48))  # fmt: skip
    draw.line([(0, horizon + 16), (512, horizon + 16)], fill="#f5fbff", width=6)
    _put(image, "1f334", 112, (22, 234)[view], 186)
    _put(image, "26f1", 40, (216, 40)[view], 200)
    _put(image, "1f41a", 20, (70, 190)[view], 246)


def _night(image: Image.Image, horizon: int, rng: Random, view: int) -> None:
    draw = ImageDraw.Draw(image)
    for _ in range(46):
        x, y, r = rng.uniform(0, 512), rng.uniform(0, horizon - 20), rng.choice((1.5, 2, 3))
        draw.ellipse((x - r, y - r, x + r, y + r), fill="#f3f0d0")
    _put(image, ("1f319", "1f315")[view], 44, (212, 44)[view], 70)
    _ridge(image, rng, horizon + 10, 80, "#27325a")
    _reground(image, "night", horizon)


def _city(image: Image.Image, horizon: int, rng: Random, view: int) -> None:
    draw = ImageDraw.Draw(image)
    for tone, low, high in (("#a9bcd2", 120, 230), ("#7f93ad", 70, 170)):
        x = 0
        while x < 512:
            width, top = rng.choice((44, 56, 68)), horizon - rng.randint(low, high)
            draw.rectangle((x, top, x + width - 6, horizon), fill=tone)
            for wy in range(top + 12, horizon - 14, 24):
                for wx in range(x + 8, x + width - 16, 16):
                    lit = "#fdf0b8" if rng.random() < 0.4 else "#c9d6e6"
                    draw.rectangle((wx, wy, wx + 7, wy + 11), fill=lit)
            x += width
    _put(image, "1f3e2", 80, (30, 226)[view], 182)
    _reground(image, "city", horizon)
    for x in range(-40, 512, 110):
        draw.polygon([(x, 470), (x + 60, 470), (x + 50, 484), (x - 14, 484)], fill="#eceff2")


def _mountains(image: Image.Image, horizon: int, rng: Random, view: int) -> None:
    draw = ImageDraw.Draw(image)
    for i in range(4):
        x, top = i * 150 + rng.uniform(-40, 40), rng.uniform(60, 150)
        half = (horizon - top) * rng.uniform(0.75, 0.95)
        draw.polygon([(x, top), (x - half, horizon), (x + half, horizon)], fill="#7d8fae")
        draw.polygon([(x, top), (x + half * 0.1, horizon), (x + half, horizon)], fill="#65779a")
        cap = (horizon - top) * 0.3
        draw.polygon([(x, top), (x - half * 0.3, top + cap), (x - half * 0.08, top + cap * 0.7),
                      (x + half * 0.08, top + cap), (x + half * 0.3, top + cap)],
                     fill="#f7fafd")  # fmt: skip
    _ridge(image, rng, horizon + 10, 40, "#7aa95a")
    _reground(image, "mountains", horizon)
    for i in range(3):
        _put(image, "1f332", 44, (24, 232, 196)[i] + rng.uniform(-12, 12), 172)


def _lake(image: Image.Image, horizon: int, rng: Random, view: int) -> None:
    _ridge(image, rng, horizon + 6, 100, "#86b3a4")
    _ridge(image, rng, horizon + 10, 60, "#6fa477")
    water = _gradient("#bfe3ee", "#4d9fc9", 64)
    image.paste(Image.fromarray(np.repeat((water * 255).astype(np.uint8)[:, None], 512, 1)),
                (0, horizon))  # fmt: skip
    draw = ImageDraw.Draw(image)
    for _ in range(10):
        x, y = rng.uniform(0, 440), rng.uniform(horizon + 8, horizon + 56)
        draw.line([(x, y), (x + rng.uniform(30, 70), y)], fill="#e6f6fb", width=3)
    _reground(image, "lake", horizon + 64)
    _put(image, "1f333", 72, (16, 240)[view], 182)
    _put(image, "1f33e", 32, (228, 28)[view], 190)


def _sunset(image: Image.Image, horizon: int, rng: Random, view: int) -> None:
    x = (256, 150)[view]
    glow = Image.new("L", image.size)
    ImageDraw.Draw(glow).ellipse((x - 150, horizon - 210, x + 150, horizon + 90), fill=150)
    image.paste("#ff7d4d", mask=glow.filter(ImageFilter.GaussianBlur(60)))
    ImageDraw.Draw(image).ellipse((x - 62, horizon - 110, x + 62, horizon + 14), fill="#ffe08a")
    _ridge(image, rng, horizon + 14, 60, "#8d4f6b")
    _reground(image, "sunset", horizon)


def _table(image: Image.Image, horizon: int, rng: Random, view: int) -> None:
    draw = ImageDraw.Draw(image)
    x = (40, 330)[view]
    draw.rectangle((x, 40, x + 140, 190), fill="#f6f0e4")
    draw.rectangle((x + 10, 50, x + 130, 180), fill=("#a9d8f2", "#f6c99a")[view])
    draw.line([(x + 70, 50), (x + 70, 180)], fill="#f6f0e4", width=8)
    draw.line([(x + 10, 115), (x + 130, 115)], fill="#f6f0e4", width=8)
    for i in range(1, 4):
        y = horizon + i * i * 16
        draw.line([(0, y), (512, y)], fill="#7d4d2a", width=4)
    draw.rectangle((0, horizon, 512, horizon + 8), fill="#cf9259")
    _put(image, "1fab4", 56, (222, 34)[view], 156)


_DETAILS = {
    "plain": _plain,
    "meadow": _meadow,
    "forest": _forest,
    "snow": _snow,
    "desert": _desert,
    "beach": _beach,
    "night": _night,
    "city": _city,
    "mountains": _mountains,
    "lake": _lake,
    "sunset": _sunset,
    "table": _table,
}


def _axolotl() -> Image.Image:
    """Our own: a pink axolotl's face with six gills, in the manner of the emoji."""
    side = 1024
    image = Image.new("RGBA", (side, side))
    for sign in (-1, 1):
        for turn, length in ((-38, 420), (-8, 460), (22, 400)):
            angle = math.radians(turn)
            gill = Image.new("RGBA", (side, side))
            draw = ImageDraw.Draw(gill)
            for step in range(40):
                t = step / 39
                x = 512 + sign * (210 + t * length * math.cos(angle) * 0.62)
                y = 540 + t * length * math.sin(angle) - 40 * math.sin(t * 3)
                r = 52 * (1 - 0.62 * t)
                shade = (232 - int(40 * t), 74 - int(20 * t), 130 + int(10 * t), 255)
                draw.ellipse((x - r, y - r, x + r, y + r), fill=shade)
                if step % 5 == 2:
                    for side_of in (-1, 1):
                        fx = x - side_of * 46 * math.sin(angle) * sign
                        fy = y + side_of * 58 * math.cos(angle)
                        draw.line([(x, y), (fx + sign * 26, fy)], fill=(214, 50, 110, 255),
                                  width=24)  # fmt: skip
            image.alpha_composite(gill)
    face = Image.new("L", (side, side))
    ImageDraw.Draw(face).ellipse((190, 250, 834, 850), fill=255)
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32) / side
    light = np.clip(1.12 - 0.75 * np.hypot(xs - 0.42, ys - 0.36), 0, 1)[..., None]
    pink = np.array([255, 190, 205], np.float32) * light + np.array([225, 110, 150]) * (1 - light)
    skin = Image.fromarray(np.clip(pink, 0, 255).astype(np.uint8)).convert("RGBA")
    image.paste(skin, mask=face)
    draw = ImageDraw.Draw(image)
    for x in (330, 694):
        draw.ellipse((x - 48, 470, x + 48, 566), fill=(40, 24, 44, 255))
        draw.ellipse((x - 30, 484, x - 2, 512), fill=(255, 255, 255, 255))
        draw.ellipse((x - 80 + (x > 512) * 60, 590, x + 20 + (x > 512) * 60, 650),
                     fill=(250, 140, 170, 255))  # fmt: skip
    draw.arc((402, 520, 622, 690), 20, 160, fill=(150, 50, 90, 255), width=18)
    return image.resize((256, 256), Image.LANCZOS)
