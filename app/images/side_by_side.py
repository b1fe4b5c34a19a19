"""One prompt and seed painted with several maps, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import gradio as gr
from PIL.Image import Image

from ..html import basics
from ..studio.maps import MapEntry
from ..studio.pictures import Pictures
from ..studio.studio import Studio
from ..widgets.map_menu import map_menu

__all__ = ["GalleryView", "Labelled", "Restored", "restore_from", "side_by_side"]

_AT_ONCE = 5  # pictures per batch; other requests get the model between two batches

Labelled = tuple[MapEntry | None, str]
"""A map, or None for the original, with the label of its picture."""


class GalleryView(NamedTuple):
    """Updates of a gallery: labelled pictures so far, a sentence, and the recipe of them all."""

    pictures: list[tuple[Image, str]]
    description: str
    painted: dict[str, Any]


class Restored(NamedTuple):
    """Updates of the controls that restore a clicked picture, in the order of `Controls`."""

    concept: Any
    strength: float
    prompt: str
    seed: int
    kept: Any


def side_by_side(
    paints: Pictures,
    wanted: Sequence[Labelled],
    prompt: str,
    strength: float,
    seed: int,
    done: str,
) -> Iterator[GalleryView]:
    """Paint one prompt and seed with several maps, a few at a time.

    Args:
        paints: the pictures of the page, in the wanted steps.
        wanted: the maps, all of one model.
        prompt: description of the picture.
        strength: λ of every map, -1 to 1.
        seed: seed of the starting noise.
        done: sentence to show once all are painted.

    Yields:
        The pictures so far.
    """
    ids = [entry.id if entry else "" for entry, _ in wanted]
    painted = {"maps": ids, "prompt": prompt, "seed": seed, "strength": strength}
    labelled: list[tuple[Image, str]] = []
    for start in range(0, len(wanted), _AT_ONCE):
        batch = wanted[start : start + _AT_ONCE]
        entries = [entry for entry, _ in batch if entry]
        rows = [[strength * (own is entry) for entry in entries] for own, _ in batch]
        pictures = paints.paint(entries, prompt, rows, seed=seed)
        labelled += [
            (picture.image, label) for picture, (_, label) in zip(pictures, batch, strict=True)
        ]
        left = len(wanted) - len(labelled)
        progress = f"{left} more to paint …" if left else done
        description = f"“{prompt}”, seed {seed}, λ = {strength:+g}: {progress}"
        yield GalleryView(labelled, basics.hint(description), painted)


def restore_from(studio: Studio, painted: Mapping[str, Any], place: int) -> Restored:
    """Return the settings of one picture of a gallery.

    Args:
        studio: lists the maps.
        painted: recipe of the gallery: `maps` (ids, "" for the original), `prompt`, `seed` and
            `strength`.
        place: index of the picture.
    """
    map_id, prompt, seed = painted["maps"][place], painted["prompt"], painted["seed"]
    if not map_id:
        return Restored(gr.skip(), 0, prompt, seed, gr.skip())
    menu = map_menu(studio, "text-to-image", map_id)
    return Restored(menu, painted["strength"], prompt, seed, [map_id, prompt])
