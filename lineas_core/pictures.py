"""Pictures for people: a labelled strip, and PNG files that say how they were made.

A file carries two texts: `parameters` in the form of A1111's web UI, which other tools show,
and `lineas`, the same facts as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from lineas_core.errors import UserError
from lineas_core.models import TextToImageModel
from lineas_core.runtime.memory import MemoryPlan
from lineas_core.steering.affine import SteeringMaps, Strength, compose
from lineas_core.steering.hooks import steer
from lineas_core.storage.disk import saving, write_atomically
from lineas_core.storage.png_text import png_texts

__all__ = ["Recipe", "label_of", "paint", "png", "read_recipe", "recipe_of", "save_png", "strip"]

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
    """The same picture at many strengths, in one batch; in two where the memory is short.

    Args:
        model: what paints.
        maps: the concepts, in the order in which they act.
        strengths: for every picture, λ of each map.
        prompt: what to paint.
        seed: of the noise of all pictures.

    Raises:
        UserError: the prompt is empty, a map is of another model, or the memory does not suffice.
    """
    plan = MemoryPlan()

    def batches() -> list[Image.Image]:
        images = []
        for rows in plan.chunks(len(strengths)):
            lams = [strengths[row] for row in rows.tolist()]
            with steer(model.network, compose(maps, [*zip(*lams, strict=True)])):
                images += model.generate([prompt] * len(lams), seeds=[seed] * len(lams))
        return images

    return plan.run(len(strengths), batches)


@dataclass(frozen=True)
class Recipe:
    """How a picture, or every picture of a strip, was made.

    Attributes:
        prompt: the text.
        seed: of the noise.
        model: catalog name, hub id or folder.
        size: width and height of one picture in pixels.
        scheduler: class name of the scheduler.
        maps: title and strength of each map in their order; for a strip a strength per picture.
    """

    prompt: str
    seed: int
    model: str
    size: int
    scheduler: str
    maps: Sequence[tuple[str, Strength]] = ()

    @property
    def parameters(self) -> str:
        """The facts in A1111's form: the prompt, then a line of `key: value` pairs."""
        facts = {
            "Steps": 1,
            "Sampler": _SAMPLERS.get(self.scheduler, self.scheduler),
            "CFG scale": 0,
            "Seed": self.seed,
            "Size": f"{self.size}x{self.size}",
            "Model": _quoted(self.model),
        }
        if self.maps:
            applied = [f"{title}: {strength}" for title, strength in self.maps]
            facts["LinEAS"] = json.dumps("; ".join(applied), ensure_ascii=False)
        return f"{self.prompt}\n" + ", ".join(f"{key}: {value}" for key, value in facts.items())

    @property
    def texts(self) -> dict[str, str]:
        """The texts of a PNG file, by their keywords."""
        return {
            "parameters": _printable(self.parameters),
            "lineas": json.dumps(asdict(self)),
        }


def recipe_of(
    model: TextToImageModel, prompt: str, seed: int, maps: Sequence[tuple[str, Strength]] = ()
) -> Recipe:
    """The recipe of what a model is asked for; arguments as in `Recipe`."""
    scheduler = type(model.pipeline.scheduler).__name__
    return Recipe(prompt, seed, model.name, model.size, scheduler, maps)


def read_recipe(file: Path) -> Recipe:
    """The recipe inside a PNG file from anywhere; its values may be of any size.

    Args:
        file: a picture or a strip as `save_png` or the page's download button wrote it.

    Raises:
        UserError: it is no PNG file, carries no recipe, or one that is not in our form.
    """
    text = png_texts(file).get("lineas")
    if text is None:
        remedy = "Choose a PNG file as it was saved here; many programs drop the recipe."
        raise UserError("E_RECIPE", "this picture carries no recipe", remedy=remedy)
    try:
        facts = json.loads(text)
        maps = [(_text(title), strength) for title, strength in facts["maps"]]
        names = {name: _text(facts[name]) for name in ("prompt", "model", "scheduler")}
        return Recipe(**names, seed=facts["seed"], size=facts["size"], maps=maps)
    except (ValueError, TypeError, KeyError, RecursionError):  # whatever JSON can be
        what, remedy = "the recipe of this picture cannot be read", "Choose another picture."
        raise UserError("E_RECIPE", what, remedy=remedy) from None


def strip(images: Sequence[Image.Image], strengths: Sequence[float]) -> Image.Image:
    """Pictures side by side, each under its strength; the one at 0 is marked as the original.

    Args:
        images: n pictures of one size.
        strengths: their n strengths λ.
    """
    width, height = images[0].size
    gap, band = max(2, width // 64), max(16, width // 8)
    font = ImageFont.load_default(size=band * 0.6)
    sheet = Image.new("RGB", (len(images) * (width + gap) - gap, band + height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, (image, strength) in enumerate(zip(images, strengths, strict=True)):
        left = column * (width + gap)
        if strength == 0:
            draw.rectangle((left, 0, left + width - 1, band - 1), fill="black")
        draw.text(
            (left + width / 2, band / 2),
            label_of(strength),
            font=font,
            fill="black" if strength else "white",
            anchor="mm",
        )
        sheet.paste(image, (left, band))
    return sheet


def label_of(strength: float) -> str:
    """What to write over a picture: its strength with a sign, or that it is the original."""
    return f"{strength:+g}" if strength else "original"


def png(image: Image.Image, recipe: Recipe) -> bytes:
    """A picture with its recipe inside, as the content of a PNG file."""
    texts, data = PngInfo(), BytesIO()
    for keyword, text in recipe.texts.items():
        texts.add_text(keyword, text)
    image.save(data, "PNG", pnginfo=texts)
    return data.getvalue()


def save_png(image: Image.Image, path: Path, recipe: Recipe) -> Path:
    """Write a picture with its recipe inside.

    Returns:
        The path; with a number added where a file of this name was there already.

    Raises:
        UserError: the disk refuses.
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
    """In quotes where it would end its pair: A1111 parses them like this."""
    return json.dumps(text, ensure_ascii=False) if set(text) & set(',:\n"') else text


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair has no bytes
