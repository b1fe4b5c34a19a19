"""Pictures, painted in batches and kept a while: a slider that comes back is answered at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from threading import Lock

from PIL.Image import Image

from app.library import MapEntry
from lineas_core import check_fits, load_maps, steer
from lineas_core.models import TextToImageModel
from lineas_core.pictures import Recipe, png, recipe_of

__all__ = ["Album", "Painted", "key_of", "paint"]

_PIXELS = 64 << 20  # 200 MB: a thousand pictures of the embedded model


@dataclass(frozen=True, eq=False)
class Painted:
    """A picture at one strength.

    Attributes:
        strength: λ; 0 is the original.
        image: the picture; its recipe is among its texts, for whoever saves it as PNG.
        recipe: how it was made.
        truncated: whether the end of the prompt was ignored.
    """

    strength: float
    image: Image
    recipe: Recipe
    truncated: bool = False

    def __post_init__(self) -> None:
        """Write the recipe into the picture."""
        self.image.info.update(self.recipe.texts)

    def png(self) -> bytes:
        """The content of a PNG file, with the recipe inside."""
        return png(self.image, self.recipe)


class Album:
    """Pictures by what they were made of; those not looked at for longest go first."""

    def __init__(self, pixels: int = _PIXELS) -> None:
        """Keep at most so many pixels, of all pictures together."""
        self._limit, self._held = pixels, 0
        self._pictures: OrderedDict[Hashable, Painted] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> Painted | None:
        """The picture with this key, if it is still there."""
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
            return self._pictures.get(key)

    def add(self, key: Hashable, picture: Painted) -> None:
        """Keep a picture."""
        with self._lock:
            self._held += _pixels(picture)
            if key in self._pictures:
                self._held -= _pixels(self._pictures.pop(key))
            self._pictures[key] = picture
            while self._held > self._limit and len(self._pictures) > 1:
                self._held -= _pixels(self._pictures.popitem(last=False)[1])


def _pixels(picture: Painted) -> int:
    return picture.image.width * picture.image.height


def key_of(entry: MapEntry, prompt: str, seed: int, strength: float) -> tuple[Hashable, ...]:
    """What a picture depends on; the originals of all maps of a model are the same."""
    return entry.model, entry.metadata.get("sha256") if strength else "", prompt, seed, strength


def paint(
    model: TextToImageModel, entry: MapEntry, prompt: str, strengths: Sequence[float], seed: int
) -> list[Painted]:
    """One batch of pictures, which differ by the strength of the map alone.

    Raises:
        UserError: the map does not fit the model.
    """
    maps, rows = load_maps(entry.folder), len(strengths)
    check_fits(maps, model)
    with steer(model.network, maps, strengths):
        images = model.generate([prompt] * rows, seeds=[seed] * rows)
    truncated = bool(model.truncated([prompt]))
    recipes = [
        recipe_of(model, prompt, seed, [(entry.title, lam)] if lam else []) for lam in strengths
    ]
    return [
        Painted(lam, image, recipe, truncated)
        for lam, image, recipe in zip(strengths, images, recipes, strict=True)
    ]
