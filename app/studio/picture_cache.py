"""Pictures, painted in batches and kept a while: a slider that comes back is answered at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from threading import Lock

from PIL.Image import Image

from lineas_core.pictures import Recipe, png

__all__ = ["PictureCache", "Painted"]


_PIXELS = 64 << 20  # 200 MB: a thousand pictures of the embedded model


@dataclass(frozen=True, eq=False)
class Painted:
    """A picture, original or steered.

    Attributes:
        image: the picture; its recipe is among its texts, for whoever saves it as PNG.
        recipe: how it was made.
        truncated: whether the end of the prompt was ignored.
    """

    image: Image
    recipe: Recipe
    truncated: bool = False

    def __post_init__(self) -> None:
        """Write the recipe into the picture."""
        self.image.info.update(self.recipe.texts)

    def png(self) -> bytes:
        """The content of a PNG file, with the recipe inside."""
        return png(self.image, self.recipe)


class PictureCache:
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
