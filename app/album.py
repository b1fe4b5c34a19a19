"""Pictures, painted in batches and kept a while: a slider that comes back is answered at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from threading import Lock

from PIL.Image import Image

from app.library import MapEntry
from lineas_core import check_fits, load_maps, pictures
from lineas_core.models import TextToImageModel
from lineas_core.pictures import Recipe, png, recipe_of

__all__ = ["Album", "Painted", "key_of", "paint"]

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


def key_of(
    entries: Sequence[MapEntry], prompt: str, seed: int, strengths: Sequence[float]
) -> tuple[Hashable, ...]:
    """What a picture depends on; the originals of all maps of a model are the same.

    Titles stand in the recipe within the picture, and a map can get another one.
    """
    applied = [
        (entry.metadata.get("sha256"), entry.title, lam)
        for entry, lam in zip(entries, strengths, strict=True)
        if lam
    ]
    return entries[0].model, *applied, prompt, seed


def paint(
    model: TextToImageModel,
    entries: Sequence[MapEntry],
    prompt: str,
    strengths: Sequence[Sequence[float]],
    seed: int,
) -> list[Painted]:
    """Pictures that differ by the strengths of the maps alone.

    Args:
        model: what paints.
        entries: the maps, in the order in which they act.
        prompt: what to paint.
        strengths: for every picture, λ of each map.
        seed: of the noise of all pictures.

    Raises:
        UserError: a map does not fit the model, or the memory does not suffice.
    """
    maps = [load_maps(entry.folder) for entry in entries]
    for each in maps:
        check_fits(each, model)
    images = pictures.paint(model, maps, strengths, prompt, seed)
    truncated = bool(model.truncated([prompt]))
    titles = [entry.title for entry in entries]
    return [
        Painted(image, recipe_of(model, prompt, seed, _applied(titles, lams)), truncated)
        for image, lams in zip(images, strengths, strict=True)
    ]


def _applied(titles: Sequence[str], strengths: Sequence[float]) -> list[tuple[str, float]]:
    return [(title, lam) for title, lam in zip(titles, strengths, strict=True) if lam]


def _pixels(picture: Painted) -> int:
    return picture.image.width * picture.image.height
