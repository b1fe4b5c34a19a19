"""An LRU cache of painted pictures, so that returning to a strength needs no model."""

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
        image: the picture, with the recipe among its PNG texts.
        recipe: the settings that it was painted with.
        truncated: whether the prompt was longer than the context length of the model.
    """

    image: Image
    recipe: Recipe
    truncated: bool = False

    def __post_init__(self) -> None:
        """Write the recipe into the picture."""
        self.image.info.update(self.recipe.texts)

    def png(self) -> bytes:
        """Return the bytes of a PNG file that contains the recipe."""
        return png(self.image, self.recipe)


class PictureCache:
    """Pictures by key; the least recently used ones are evicted first."""

    def __init__(self, pixels: int = _PIXELS) -> None:
        """Limit the cache to a total number of pixels."""
        self._limit, self._held = pixels, 0
        self._pictures: OrderedDict[Hashable, Painted] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> Painted | None:
        """Return the picture with this key, or None."""
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
            return self._pictures.get(key)

    def add(self, key: Hashable, picture: Painted) -> None:
        """Add a picture, or replace the one with this key."""
        with self._lock:
            self._held += _pixels(picture)
            if key in self._pictures:
                self._held -= _pixels(self._pictures.pop(key))
            self._pictures[key] = picture
            while self._held > self._limit and len(self._pictures) > 1:
                self._held -= _pixels(self._pictures.popitem(last=False)[1])


def _pixels(picture: Painted) -> int:
    return picture.image.width * picture.image.height
