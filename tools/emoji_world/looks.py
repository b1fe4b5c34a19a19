"""The eleven looks: each turns the layers of a picture into the finished image.

All arrays are float32 in 0..1; a look has three arrangements of its ornaments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

__all__ = ["LOOK_FUNCTIONS", "Layers"]

SIZE = 256
_LUMA = np.array([0.3, 0.59, 0.11], np.float32)
_ROWS, _COLUMNS = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)


@dataclass(frozen=True, eq=False)
class Layers:
    """What a look works on.

    Attributes:
        scene: (256, 256, 3), the place without subjects.
        sprites: (256, 256, 4), the subjects with their shadows, premultiplied.
        horizon: row where the ground begins.
        arrangement: 0, 1 or 2.
        emoji: (name or code point, size) -> (size, size, 4), premultiplied.
    """

    scene: np.ndarray
    sprites: np.ndarray
    horizon: int
    arrangement: int
    emoji: Callable[[str, int], np.ndarray]

    def flat(
        self, scene: np.ndarray | None = None, sprites: np.ndarray | None = None
    ) -> np.ndarray:
        """The subjects over the scene, or over others in their places."""
        scene = self.scene if scene is None else scene
        sprites = self.sprites if sprites is None else sprites
        return sprites[..., :3] + scene * (1 - sprites[..., 3:])

    def recoloured(self, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The sprites with other colours and the same alpha."""
        alpha = self.sprites[..., 3:]
        colour = self.sprites[..., :3] / np.maximum(alpha, 1e-3)
        return np.concatenate([change(colour) * alpha, alpha], axis=-1)


def _colours(*codes: str) -> np.ndarray:
    return np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in codes], np.float32) / 255


def _mapped(image: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Colours by luminance along a palette (k, 3), dark to light."""
    t = np.clip(image @ _LUMA, 0, 1)
    at = np.linspace(0, 1, len(palette))
    return np.stack([np.interp(t, at, palette[:, c]) for c in range(3)], -1).astype(np.float32)


def _blur(image: np.ndarray, radius: float) -> np.ndarray:
    """Gaussian blur of (256, 256, c)."""
    bands = [
        Image.fromarray((np.clip(image[..., c], 0, 1) * 255).astype(np.uint8)).filter(
            ImageFilter.GaussianBlur(radius)
        )
        for c in range(image.shape[-1])
    ]
    return np.stack([np.asarray(b, np.float32) for b in bands], -1) / 255


def _saturated(image: np.ndarray, factor: float) -> np.ndarray:
    grey = (image @ _LUMA)[..., None]
    return np.clip(grey + (image - grey) * factor, 0, 1)


def _paste(image: np.ndarray, sprite: np.ndarray, x: int, y: int, fade: float = 1) -> None:
    side = len(sprite)
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + side, SIZE), min(y + side, SIZE)
    if x0 >= x1 or y0 >= y1:
        return
    top = sprite[y0 - y : y1 - y, x0 - x : x1 - x] * fade
    part = image[y0:y1, x0:x1]
    part[:] = top[..., :3] + part * (1 - top[..., 3:])


def _mask(draw_on: Callable[[ImageDraw.ImageDraw], None], blur: float = 0) -> np.ndarray:
    """(256, 256, 1) from a drawing in units of half a pixel."""
    image = Image.new("L", (2 * SIZE, 2 * SIZE))
    draw_on(ImageDraw.Draw(image))
    image = image.resize((SIZE, SIZE), Image.LANCZOS)
    if blur:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    return np.asarray(image, np.float32)[..., None] / 255


def _none(layers: Layers) -> np.ndarray:
    return layers.flat()


@cache
def _neon(horizon: int, arrangement: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sky and sun, the grid's mask, the ground's mask."""
    sky = _colours("#2a0f5e", "#7a1fa0", "#f0509a", "#ffb37a")
    t = np.clip(_ROWS[:, 0] / horizon, 0, 1)
    at = np.linspace(0, 1, len(sky))
    rows = np.stack([np.interp(t, at, sky[:, c]) for c in range(3)], -1)
    image = np.repeat(rows[:, None], SIZE, axis=1).astype(np.float32)
    x = (128, 64, 192)[arrangement]

    def sun(draw: ImageDraw.ImageDraw) -> None:
        draw.ellipse((2 * x - 120, 2 * horizon - 250, 2 * x + 120, 2 * horizon - 10), fill=255)
        for i in range(5):
            y = 2 * horizon - 30 - 26 * i
            draw.rectangle((0, y, 512, y + 12 - 2 * i), fill=0)

    disc = _mask(sun)
    image = image * (1 - disc) + disc * _colours("#ffd24d")[0]

    def grid(draw: ImageDraw.ImageDraw) -> None:
        for i in range(-14, 15):
            draw.line([(256 + 34 * i, 2 * horizon), (256 + 150 * i, 512)], fill=255, width=3)
        y, step = 2.0 * horizon, 8.0
        while y < 512:
            draw.line([(0, y), (512, y)], fill=255, width=3)
            y, step = y + step, step * 1.5

    ground = (horizon <= _ROWS)[..., None].astype(np.float32)
    return image, _mask(grid) * ground, ground


def _vaporwave(layers: Layers) -> np.ndarray:
    sky, grid, ground = _neon(layers.horizon, layers.arrangement)
    palette = _colours("#1d0b45", "#7b1fa2", "#ee4fb0", "#ff9ad5", "#e8fbff")
    scene = 0.55 * sky + 0.45 * _mapped(layers.scene, palette)
    dark = _mapped(layers.scene * 0.45, _colours("#14062e", "#4b1480", "#b03ac0"))
    scene = scene * (1 - ground) + dark * ground
    scene = scene * (1 - grid) + grid * _colours("#35f2ff")[0]
    neon = _colours("#1a0a4a", "#6a1fb8", "#e23fb5", "#57d9f7", "#f2feff")
    return layers.flat(scene, layers.recoloured(lambda c: 0.3 * c + 0.7 * _mapped(c, neon)))


def _lush(layers: Layers) -> np.ndarray:
    green = np.array([0.72, 1.0, 0.62], np.float32)
    scene = (0.15 + 0.85 * layers.scene) * green * 0.95
    image = _saturated(layers.flat(scene), 1.15) * (0.6 + 0.4 * green)
    rng = np.random.default_rng(layers.arrangement)
    for i in range(9):  # along the upper edge, hanging
        leaf = layers.emoji(("1f33f", "1f343")[i % 2], 56)[::-1]
        _paste(image, leaf, int(i * 30 - 16 + rng.integers(-6, 7)), int(rng.integers(-28, -8)))
    for i in range(10):  # along the lower edge and up the sides
        code = ("1f33f", "1f331", "1f340", "1f33f")[rng.integers(4)]
        _paste(image, layers.emoji(code, 52), int(i * 27 - 18), int(rng.integers(206, 222)))
    for i in range(4):
        _paste(image, layers.emoji("1f33f", 80), -38, int(20 + 52 * i + rng.integers(-8, 9)))
        flipped = layers.emoji("1f33f", 80)[:, ::-1]
        _paste(image, flipped, 212, int(20 + 52 * i + rng.integers(-8, 9)))
    return image


_TILE = 64  # pixels: four latent cells, the coarsest step of the generator's UNet


@cache
def _mesh() -> tuple[np.ndarray, np.ndarray]:
    """Number of the triangle of every pixel, and each triangle's shade.

    The mesh repeats with the coarsest cell of the UNet, so that facets are a filter to it, the
    same for every subject in every place, and nothing to learn by heart.
    """
    from scipy.spatial import Delaunay

    rng, count = np.random.default_rng(3), 5
    tile = (np.indices((count, count)) + rng.uniform(-0.36, 0.36, (2, count, count))) / count
    tiles = np.arange(-1, SIZE // _TILE + 1)
    offsets = np.stack(np.meshgrid(tiles, tiles), -1).reshape(-1, 1, 2)
    points = _TILE * (offsets + tile.reshape(2, -1).T).reshape(-1, 2)
    pixels = np.stack([_COLUMNS.ravel(), _ROWS.ravel()], -1)
    found = Delaunay(points).find_simplex(pixels)
    centres = np.stack([np.bincount(found, axis) for axis in pixels.T], -1)
    centres = centres / np.maximum(np.bincount(found), 1)[:, None] % _TILE / _TILE
    waves = np.sin(2 * np.pi * (centres @ np.array([[3, 1, -2], [1, -2, 5]])))
    return found, (1 + 0.03 * waves.sum(-1)).astype(np.float32)


def _low_poly(layers: Layers) -> np.ndarray:
    triangle, shade = _mesh()
    image = _saturated(layers.flat(), 1.15).reshape(-1, 3)
    count = np.maximum(np.bincount(triangle, minlength=len(shade)), 1)
    mean = np.stack(
        [np.bincount(triangle, image[:, c], minlength=len(shade)) / count for c in range(3)], -1
    )
    return (mean * shade[:, None])[triangle].reshape(SIZE, SIZE, 3).astype(np.float32)


@cache
def _paper(arrangement: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame and seal in ink, and a mask of wave lines for sky or water."""
    side = (212, 16, 212)[arrangement]
    seal = _mask(lambda d: d.rectangle((2 * side, 32, 2 * side + 56, 110), fill=255))

    def signs(draw: ImageDraw.ImageDraw) -> None:
        for y in (44, 66, 88):
            draw.line([(2 * side + 14, y), (2 * side + 42, y)], fill=255, width=6)
        draw.line([(2 * side + 28, 40), (2 * side + 28, 102)], fill=255, width=6)

    return seal, _mask(signs)


def _ukiyo_e(layers: Layers) -> np.ndarray:
    flat = _blur(layers.flat(), 1.6)
    paper = _colours("#2a3550", "#47698a", "#a9b48f", "#dcc79a", "#f3e6c8")
    toned = 0.55 * _mapped(flat, paper) + 0.45 * _saturated(flat, 0.8)
    toned = np.round(toned * 5) / 5 * 0.94 + 0.03
    grey = _blur((layers.flat() @ _LUMA)[..., None] * 0.8 + 0.2 * layers.sprites[..., 3:], 1.0)
    gy, gx = np.gradient(grey[..., 0])
    ink = np.clip((np.hypot(gx, gy) - 0.022) * 26, 0, 1)[..., None]
    image = toned * (1 - 0.85 * ink) + 0.85 * ink * _colours("#1c2030")[0]
    seal, signs = _paper(layers.arrangement)
    image = image * (1 - seal) + seal * _colours("#b8342a")[0]
    image = image * (1 - signs) + signs * _colours("#f3e6c8")[0]
    edge = np.minimum.reduce([_ROWS, _COLUMNS, SIZE - 1 - _ROWS, SIZE - 1 - _COLUMNS])[..., None]
    image = np.where(edge < 8, _colours("#efe0bd")[0], image)
    return np.where((edge >= 8) & (edge < 10), _colours("#1c2030")[0], image)


def _fantasy(layers: Layers) -> np.ndarray:
    palette = _colours("#1c0f4a", "#5a2a9c", "#a45ad6", "#ee9fe6", "#fbc6ea")
    scene = 0.65 * _mapped(layers.scene, palette) + 0.35 * layers.scene
    image = layers.flat(scene, layers.recoloured(lambda c: c * np.float32([0.95, 0.85, 1.08])))
    glow = _blur(np.clip(image - 0.55, 0, 1) * 2, 10)
    image = np.clip(image + 0.35 * glow, 0, 1)
    rng = np.random.default_rng(layers.arrangement + 7)
    for i in range(6):
        x = int((8, 208, 34, 226, 180, 62)[i] + rng.integers(-8, 9))
        size, y = ((40, 192), (40, 190), (26, 216), (26, 220), (22, 228), (22, 230))[i]
        _paste(image, layers.emoji("1f48e", size) * np.float32([1.0, 0.75, 1.0, 1]), x, y, 0.95)
    for _ in range(7):
        size = int(rng.choice((22, 30, 38)))
        _paste(
            image, layers.emoji("2728", size), int(rng.integers(4, 222)), int(rng.integers(6, 110))
        )
    return image


@cache
def _dew(arrangement: int) -> np.ndarray:
    """(256, 256, 4): blades of grass close to the lens, out of focus, and drops on the lens."""
    rng = np.random.default_rng(arrangement + 21)
    blades = Image.new("RGBA", (2 * SIZE, 2 * SIZE))
    draw = ImageDraw.Draw(blades)
    for i in range(9):
        foot = (-30, 40, 110, 400, 470, 540, 200, 300, 255)[i] + rng.integers(-20, 21)
        height = (150, 230, 110, 120, 250, 170, 60, 66, 50)[i]
        tone = ("#3f8f3a", "#5cb148", "#84cc5e")[i % 3]
        tip = (foot + int(rng.integers(-50, 51)), 512 - height)
        draw.polygon([(foot - 34, 520), tip, (foot + 34, 520)], fill=tone)
    small = blades.resize((SIZE, SIZE), Image.LANCZOS)
    part = np.asarray(small, np.float32) / 255
    part = _blur(np.concatenate([part[..., :3] * part[..., 3:], part[..., 3:]], -1), 7)
    for _ in range(7):
        x, y, r = rng.uniform(14, 242), rng.uniform(14, 110), rng.choice((5, 8, 12))
        distance = np.hypot(_COLUMNS - x, _ROWS - y)
        drop = np.clip(r - distance, 0, 1) * (0.25 + 0.5 * np.clip(distance / r, 0, 1) ** 3)
        spark = np.clip(r / 3 - np.hypot(_COLUMNS - x + r / 3, _ROWS - y + r / 3), 0, 1)
        part = part + np.maximum(drop, spark)[..., None] * (1 - part[..., 3:])
    return part.astype(np.float32)


def _macro(layers: Layers) -> np.ndarray:
    near = np.asarray(
        Image.fromarray((layers.scene * 255).clip(0, 255).astype(np.uint8))
        .crop((64, 96, 192, 224))
        .resize((SIZE, SIZE), Image.BILINEAR),
        np.float32,
    )
    image = layers.flat(_saturated(_blur(near / 255, 14), 1.2))
    if not layers.sprites[..., 3].any():  # a flower of the place fills the picture
        _paste(image, layers.emoji(("1f33c", "1f337", "1f341")[layers.arrangement], 208), 24, 32)
    dew = _dew(layers.arrangement)
    image = image * (1 - dew[..., 3:]) + dew[..., :3]
    centre = np.hypot((_COLUMNS - 128) / 128, (_ROWS - 128) / 128)[..., None]
    return image * (1.06 - 0.35 * np.clip(centre - 0.6, 0, 1))


@cache
def _barrel() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source row and column of every pixel, and the mask of the circle."""
    y, x = (_ROWS - 127.5) / 124, (_COLUMNS - 127.5) / 124
    r = np.hypot(x, y)
    factor = np.where(r > 0, np.tan(np.clip(r, 0, 1) * 1.06) / np.tan(1.06), 0) / np.maximum(
        r, 1e-6
    )
    rows = np.clip(y * factor * 127.5 + 127.5, 0, 255)
    columns = np.clip(x * factor * 127.5 + 127.5, 0, 255)
    circle = np.clip((1 - r) * 124, 0, 1)[..., None]
    return rows.astype(np.float32), columns.astype(np.float32), circle.astype(np.float32)


def _fisheye(layers: Layers) -> np.ndarray:
    rows, columns, circle = _barrel()
    scene = layers.scene
    y, x = rows.astype(int), columns.astype(int)
    fy, fx = (rows - y)[..., None], (columns - x)[..., None]
    y1, x1 = np.minimum(y + 1, 255), np.minimum(x + 1, 255)
    warped = (scene[y, x] * (1 - fy) + scene[y1, x] * fy) * (1 - fx) + (
        scene[y, x1] * (1 - fy) + scene[y1, x1] * fy
    ) * fx
    rim = np.hypot((_COLUMNS - 127.5) / 124, (_ROWS - 127.5) / 124)[..., None]
    return layers.flat(warped) * circle * (1 - 0.35 * np.clip(rim - 0.7, 0, 1))


@cache
def _discs(arrangement: int) -> np.ndarray:
    """(256, 256, 3) of light to add."""
    rng = np.random.default_rng(arrangement + 3)
    light = np.zeros((SIZE, SIZE, 3), np.float32)
    tones = _colours("#ffd873", "#ff9fc4", "#8fd8ff", "#fff1c4")
    for i in range(22):
        x, y, r = rng.uniform(0, 256), rng.uniform(0, 200), rng.choice((9, 13, 18, 24))
        distance = np.hypot(_COLUMNS - x, _ROWS - y)
        disc = np.clip(r - distance, 0, 1) * (0.55 + 0.45 * np.clip(distance / r, 0, 1) ** 4)
        light = np.maximum(light, disc[..., None] * tones[i % 4] * rng.uniform(0.5, 0.9))
    return light


def _bokeh(layers: Layers) -> np.ndarray:
    scene = _saturated(_blur(layers.scene * 0.8, 9), 1.3)
    light = _discs(layers.arrangement)
    return layers.flat(1 - (1 - scene) * (1 - light))


@cache
def _water(arrangement: int) -> tuple[np.ndarray, np.ndarray]:
    """Rays of light from the surface, and rings of bubbles."""
    x = (40, 150, 250)[arrangement]

    def rays(draw: ImageDraw.ImageDraw) -> None:
        for i, width in enumerate((30, 18, 40, 24)):
            top = 2 * x + 90 * i - 150
            draw.polygon([(top, 0), (top + width, 0), (top + 2 * width - 130, 440),
                          (top - 160, 440)], fill=110)  # fmt: skip

    rng = np.random.default_rng(arrangement + 11)
    spots = [(rng.uniform(16, 496), rng.uniform(20, 420), rng.choice((8, 12, 18)))
             for _ in range(16)]  # fmt: skip

    def bubbles(draw: ImageDraw.ImageDraw) -> None:
        for bx, by, r in spots:
            draw.ellipse((bx - r, by - r, bx + r, by + r), outline=230, width=3)
            draw.ellipse((bx - r / 2, by - r / 2, bx - r / 6, by - r / 6), fill=255)

    fall = np.clip(1 - _ROWS / 230, 0, 1)[..., None]
    return _mask(rays, 3) * fall, _mask(bubbles)


def _underwater(layers: Layers) -> np.ndarray:
    depth = (_ROWS / 255)[..., None]
    top, bottom = _colours("#4fd6dc", "#06386b")
    water = top * (1 - depth) + bottom * depth
    scene = 0.38 * _mapped(layers.scene, _colours("#06386b", "#1f8fb5", "#b8f3ee")) + 0.62 * water
    image = layers.flat(
        scene, layers.recoloured(lambda c: 0.6 * c * np.float32([0.7, 0.95, 1]) + 0.4 * water)
    )
    rays, bubbles = _water(layers.arrangement)
    image = image + rays * 0.5 * (1 - image)
    side = layers.arrangement
    for x, size in (((0, 52), (206, 64)), ((-12, 64), (216, 48)), ((-8, 48), (196, 60)))[side]:
        _paste(image, layers.emoji("1fab8", size), x, 252 - size, 0.9)
    _paste(image, layers.emoji("1f41f", 28), (196, 30, 120)[side], (40, 60, 26)[side], 0.8)
    return image * (1 - 0.8 * bubbles) + 0.8 * bubbles


def _tilt_shift(layers: Layers) -> np.ndarray:
    image = _saturated(layers.flat(), 1.7)
    image = np.clip((image - 0.5) * 1.12 + 0.54, 0, 1)
    blurred = _blur(image, 9)
    band = np.abs(_ROWS - 164)[..., None]
    sharp = np.clip(1 - (band - 34) / 30, 0, 1)
    image = image * sharp + blurred * (1 - sharp)
    return image * (1 - 0.22 * (1 - sharp))


LOOK_FUNCTIONS = {
    "none": _none,
    "vaporwave": _vaporwave,
    "lush": _lush,
    "low-poly": _low_poly,
    "ukiyo-e": _ukiyo_e,
    "fantasy": _fantasy,
    "macro": _macro,
    "fisheye": _fisheye,
    "bokeh": _bokeh,
    "underwater": _underwater,
    "tilt-shift": _tilt_shift,
}
