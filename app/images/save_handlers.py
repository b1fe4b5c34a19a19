"""Event handlers that save what is shown, with its settings in the file and in its name."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from lineas_core.pictures import png, strip
from lineas_core.storage.places import slug

from ..events import user_errors
from ..studio.checks import prompt_text, seed_of
from ..studio.mix import Mix
from ..studio.settings import STRIP
from ..studio.steps import checked_steps
from ..studio.studio import Studio

__all__ = ["SaveHandlers", "SavedFile", "file_name"]


class SavedFile(NamedTuple):
    """The name of a PNG file, and its content as a data URL."""

    name: str
    content: str


class SaveHandlers:
    """The event handlers of the buttons that save; their arguments are the settings shown."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def picture(
        self,
        strength: float | None,
        map_id: str | None,
        further: list[tuple[str, float]],
        prompt: str,
        seed: int | None,
        steps: int | None = None,
        guidance: float | None = None,
        steer_steps: str | None = None,
    ) -> SavedFile:
        """Return the steered picture, named like `vaporwave+0.75_seed7.png`."""
        mix = self._studio.mix(map_id or "", further, checked_steps(steps, guidance, steer_steps))
        pictures, seed = self._studio.pictures.with_steps(mix.steps), seed_of(seed)
        strengths = mix.at(strength)
        (painted,) = pictures.paint(mix.entries, prompt_text(prompt), [strengths], seed=seed)
        return _file(file_name(mix, strengths, seed), painted.png())

    @user_errors
    def strip(
        self,
        map_id: str | None,
        further: list[tuple[str, float]],
        prompt: str,
        seed: int | None,
        steps: int | None = None,
        guidance: float | None = None,
        steer_steps: str | None = None,
    ) -> SavedFile:
        """Return the strip as one picture."""
        mix = self._studio.mix(map_id or "", further, checked_steps(steps, guidance, steer_steps))
        pictures, seed = self._studio.pictures.with_steps(mix.steps), seed_of(seed)
        rows = [mix.at(each) for each in STRIP]
        painted = pictures.paint(mix.entries, prompt_text(prompt), rows, seed=seed)
        sheet = strip([each.image for each in painted], [*map(mix.label, STRIP)])
        titles = [entry.title for entry in mix.entries]
        by_map = [[*strengths] for strengths in zip(*rows, strict=True)]
        recipe = replace(painted[0].recipe, maps=[*zip(titles, by_map, strict=True)])
        applied = ["_strip", *(f"{strength:+g}" for strength in mix.fixed)]
        return _file(_name(mix, applied, seed), png(sheet, recipe))


def file_name(mix: Mix, strengths: Sequence[float], seed: int) -> str:
    """Return the name of a picture, with λ of each map and the seed."""
    return _name(mix, [f"{strength:+g}" for strength in strengths], seed)


def _name(mix: Mix, applied: Sequence[str], seed: int) -> str:
    titles = [slug(entry.title) for entry in mix.entries]
    named = "_".join(title + each for title, each in zip(titles, applied, strict=True))
    return f"{named}_seed{seed}.png"


def _file(name: str, png: bytes) -> SavedFile:
    return SavedFile(name, f"data:image/png;base64,{base64.b64encode(png).decode()}")
