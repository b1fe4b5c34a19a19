"""One prompt and seed painted with several maps, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gradio as gr
from PIL.Image import Image

from ..studio.maps import MapEntry
from ..studio.studio import Studio
from ..widgets.map_menu import map_menu

__all__ = ["side_by_side", "taken"]


_AT_ONCE = 5  # pictures, between two of which others may paint


def side_by_side(
    studio: Studio,
    wanted: Sequence[tuple[MapEntry | None, str]],
    prompt: str,
    strength: float,
    seed: int,
) -> Iterator[list[tuple[Image, str]]]:
    """Paint one prompt and seed with several maps, a few at a time.

    Args:
        studio: what paints.
        wanted: every map with its label, all of one model; None stands for the original.
        prompt: what to paint.
        strength: λ of all.
        seed: of the noise.

    Yields:
        The labelled pictures so far.
    """
    labelled: list[tuple[Image, str]] = []
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        entries = [entry for entry, _ in some if entry]
        rows = [[strength * (own is entry) for entry in entries] for own, _ in some]
        made = studio.pictures.paint(entries, prompt, rows, seed=seed)
        labelled += [
            (picture.image, label) for picture, (_, label) in zip(made, some, strict=True)
        ]
        yield labelled


def taken(studio: Studio, painted: Mapping[str, Any], place: int) -> tuple[Any, ...]:
    """One of the pictures that were painted side by side, with all that made it.

    Args:
        studio: what painted.
        painted: `maps` (ids, "" for the original), `prompt`, `seed` and `strength`.
        place: of the picture.

    Returns:
        Menu of maps, λ, prompt, seed, and (map, prompt) so that both stay.
    """
    map_id = painted["maps"][place]
    prompt, seed = painted["prompt"], painted["seed"]
    if not map_id:
        return gr.skip(), 0, prompt, seed, gr.skip()
    menu = map_menu(studio, "text-to-image", map_id)
    return menu, painted["strength"], prompt, seed, [map_id, prompt]
