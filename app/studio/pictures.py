"""Paint pictures with maps."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from lineas_core import check_fits, load_maps, pictures
from lineas_core.models import TextToImageModel
from lineas_core.pictures import recipe_of

from .maps import MapEntry
from .picture_cache import Painted

__all__ = ["key_of", "paint"]


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
