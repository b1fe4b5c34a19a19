"""Paint pictures at several strengths, and save them with the recipe that reproduces them.

A PNG file contains the recipe as two texts: `parameters` in the format of A1111's web UI, which
other tools show, and `lineas`, the same as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from lineas_core.errors import UserError
from lineas_core.models import TextToImageModel
from lineas_core.runtime.memory import MemoryPlan
from lineas_core.steering.affine import SteeringMaps, compose
from lineas_core.steering.hooks import steer
from lineas_core.steering.strength import Strength
from lineas_core.storage.disk import saving, write_atomically
from lineas_core.storage.png_text import png_texts

__all__ = ["Recipe", "label_of", "paint", "png", "read_recipe", "recipe_of", "save_png", "strip"]

_ORIGINAL = "original"
_SAMPLERS = {
    "LCMScheduler": "LCM",
    "EulerDiscreteScheduler": "Euler",
    "EulerAncestralDiscreteScheduler": "Euler a",
}


def paint(
    model: TextToImageModel,
    maps: Sequence[SteeringMaps],
    strengths: Sequence[Sequence[float]],
    prompt: str,
    seed: int,
) -> list[Image.Image]:
    """Paint one prompt at n combinations of strengths, in one batch or, to save memory, several.

    Args:
        model: the model.
        maps: k maps, in the order in which they act.
        strengths: for each of the n pictures, λ of each of the k maps.
        prompt: the text.
        seed: seed of the noise, the same for all pictures.

    Returns:
        n pictures.

    Raises:
        UserError: the prompt is empty, a map was learnt on another model, or memory runs out.
    """
    plan = MemoryPlan()

    def batches() -> list[Image.Image]:
        images = []
        for rows in plan.chunks(len(strengths)):
            batch = [strengths[row] for row in rows.tolist()]
            with steer(model.network, compose(maps, [*zip(*batch, strict=True)])):
                images += model.generate([prompt] * len(batch), seeds=[seed] * len(batch))
        return images

    return plan.run(len(strengths), batches)


@dataclass(frozen=True)
class Recipe:
    """The settings that reproduce a picture, or every picture of a strip.

    Attributes:
        prompt: the text.
        seed: seed of the noise.
        model: catalog name, hub id or folder.
        size: width and height of one picture in pixels.
        scheduler: class name of the scheduler.
        maps: title and strength of each map, in the order in which they act; for a strip the
            strength is a list with one per picture.
        num_inference_steps: number of denoising steps.
        guidance_scale: see `lineas_core.models.denoising`; None for a model without one.
        steer_at: the first and the last step at which maps act, from 0; None stands for all.
        identities: id and checksum of the values of each map, by which it is found again once it
            has another title; "" and None if unknown. Empty in recipes of earlier versions.
    """

    prompt: str
    seed: int
    model: str
    size: int
    scheduler: str
    maps: Sequence[tuple[str, Strength]] = ()
    num_inference_steps: int = 1
    guidance_scale: float | None = 0
    steer_at: Sequence[int] | None = None
    identities: Sequence[tuple[str, str | None]] = ()

    @property
    def parameters(self) -> str:
        """The recipe in A1111's format: the prompt, then a line of `key: value` pairs."""
        facts = {
            "Steps": self.num_inference_steps,
            "Sampler": _SAMPLERS.get(self.scheduler, self.scheduler),
            "CFG scale": f"{self.guidance_scale or 0:g}",
            "Seed": self.seed,
            "Size": f"{self.size}x{self.size}",
            "Model": _quoted(self.model),
        }
        if self.maps:
            applied = [f"{title}: {strength}" for title, strength in self.maps]
            facts["LinEAS"] = json.dumps("; ".join(applied), ensure_ascii=False)
        if self.steer_at:
            facts["LinEAS steps"] = "-".join(map(str, self.steer_at))
        return f"{self.prompt}\n" + ", ".join(f"{key}: {value}" for key, value in facts.items())

    @property
    def texts(self) -> dict[str, str]:
        """The texts of the PNG file, keyword -> text."""
        return {
            "parameters": _printable(self.parameters),
            "lineas": json.dumps(asdict(self)),
        }


def recipe_of(
    model: TextToImageModel,
    prompt: str,
    seed: int,
    maps: Sequence[tuple[str, Strength]] = (),
    identities: Sequence[tuple[str, str | None]] = (),
) -> Recipe:
    """Return the recipe of a picture by this model; arguments as in `Recipe`."""
    scheduler, denoising = type(model.pipeline.scheduler).__name__, model.denoising
    return Recipe(
        prompt,
        seed,
        model.name,
        model.size,
        scheduler,
        maps,
        denoising.num_inference_steps,
        denoising.guidance_scale,
        denoising.steer_at,
        identities,
    )


def read_recipe(file: Path) -> Recipe:
    """Read the recipe in an untrusted PNG file. Its values are not checked for their range.

    Args:
        file: a picture or strip saved by `save_png` or the page's download button.

    Raises:
        UserError: the file is not a PNG file, or has no recipe or an invalid one.
    """
    text = png_texts(file).get("lineas")
    if text is None:
        remedy = "Choose a PNG file exactly as it was saved here; many programs remove the recipe."
        raise UserError("E_RECIPE", "this picture contains no recipe", remedy=remedy)
    try:
        facts = json.loads(text)
        maps = [(_text(title), strength) for title, strength in facts["maps"]]
        names: Any = {name: _text(facts[name]) for name in ("prompt", "model", "scheduler")}
        numbers = ("seed", "size", "num_inference_steps", "guidance_scale", "steer_at")
        # Recipes of version 0.1 name neither steps nor guidance, which were 1 and 0.
        given: dict[str, Any] = {name: facts[name] for name in numbers if name in facts}
        pairs = facts.get("identities", ())
        known = [(_text(map_id), digest and _text(digest)) for map_id, digest in pairs]
        if known and len(known) != len(maps):
            raise ValueError
        return Recipe(**names, maps=maps, identities=known or (), **given)
    except (ValueError, TypeError, KeyError, RecursionError):  # any other JSON
        what, remedy = "the recipe of this picture cannot be read", "Choose another picture."
        raise UserError("E_RECIPE", what, remedy=remedy) from None


def strip(images: Sequence[Image.Image], labels: Sequence[str]) -> Image.Image:
    """Put pictures side by side, each with its label; that of the original is inverted.

    Args:
        images: n pictures of equal size.
        labels: their n labels, see `label_of`.

    Returns:
        One picture, higher by the labels.
    """
    width, height = images[0].size
    gap, band = max(2, width // 64), max(16, width // 8)
    font = ImageFont.load_default(size=band * 0.6)
    sheet = Image.new("RGB", (len(images) * (width + gap) - gap, band + height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, (image, label) in enumerate(zip(images, labels, strict=True)):
        left = column * (width + gap)
        if label == _ORIGINAL:
            draw.rectangle((left, 0, left + width - 1, band - 1), fill="black")
        draw.text(
            (left + width / 2, band / 2),
            label,
            font=font,
            fill="white" if label == _ORIGINAL else "black",
            anchor="mm",
        )
        sheet.paste(image, (left, band))
    return sheet


def label_of(*strengths: float) -> str:
    """Return the label of the strengths of all maps: signed numbers, or `original` at 0."""
    return ", ".join(f"{each:+g}" for each in strengths) if any(strengths) else _ORIGINAL


def png(image: Image.Image, recipe: Recipe) -> bytes:
    """Encode a picture and its recipe as a PNG file."""
    texts, data = PngInfo(), BytesIO()
    for keyword, text in recipe.texts.items():
        texts.add_text(keyword, text)
    image.save(data, "PNG", pnginfo=texts)
    return data.getvalue()


def save_png(image: Image.Image, path: Path, recipe: Recipe) -> Path:
    """Save a picture with its recipe. Existing files are not overwritten.

    Args:
        image: the picture.
        path: the PNG file; its folder is created if missing.
        recipe: how the picture was made.

    Returns:
        The path of the file; with a number added if `path` exists.

    Raises:
        UserError: the file cannot be written.
    """
    free, number = path, 2
    while free.exists():
        free, number = path.with_stem(f"{path.stem}-{number}"), number + 1
    with saving("the picture was", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(free, png(image, recipe))
    return free


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _quoted(text: str) -> str:
    """Quote a value that contains a separator, as A1111 parses it."""
    return json.dumps(text, ensure_ascii=False) if set(text) & set(',:\n"') else text


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate has no encoding
