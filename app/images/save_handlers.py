"""Event handlers that save what is shown, with its settings in the file and in its name."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from lineas_core import UserError
from lineas_core.pictures import png, strip
from lineas_core.storage.places import slug

from ..events import user_errors
from ..studio.mix import Mix
from ..studio.settings import STRIP, Settings
from ..studio.studio import Studio

__all__ = ["SaveHandlers", "SavedFile", "file_name"]


class SavedFile(NamedTuple):
    """The name of a PNG file, and its content as a data URL."""

    name: str
    content: str


class SaveHandlers:
    """The event handlers of the buttons that save; `result` is the link of the pair shown."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def picture(self, result: str, strength: float | None) -> SavedFile:
        """Return the steered picture, named like `vaporwave+0.75_seed7.png`.

        Args:
            result: query of the link of the pair that is shown; empty at first.
            strength: λ of the slider, which the picture follows before its pair arrives; None
                while the user types.
        """
        mix, settings = self._shown(result)
        pictures, seed = self._studio.pictures.with_steps(mix.steps), settings.seed
        strengths = mix.at(settings.strengths[0] if strength is None else strength)
        (painted,) = pictures.paint(mix.entries, settings.prompt, [strengths], seed=seed)
        return _file(file_name(mix, strengths, seed), painted.png())

    @user_errors
    def strip(self, result: str) -> SavedFile:
        """Return the strip as one picture; `result` as in `picture`."""
        mix, settings = self._shown(result)
        pictures, seed = self._studio.pictures.with_steps(mix.steps), settings.seed
        rows = [mix.at(each) for each in STRIP]
        painted = pictures.paint(mix.entries, settings.prompt, rows, seed=seed)
        sheet = strip([each.image for each in painted], [*map(mix.label, STRIP)])
        titles = [entry.title for entry in mix.entries]
        by_map = [[*strengths] for strengths in zip(*rows, strict=True)]
        applied = [*zip(titles, by_map, strict=True)]
        identities = [entry.identity for entry in mix.entries]
        recipe = replace(painted[0].recipe, maps=applied, identities=identities)
        named = ["_strip", *(f"{strength:+g}" for strength in mix.fixed)]
        return _file(_name(mix, named, seed), png(sheet, recipe))

    def _shown(self, result: str) -> tuple[Mix, Settings]:
        """Return the maps and the settings of what is shown.

        Raises:
            UserError: nothing is shown yet, or a map has been deleted.
        """
        settings = Settings.from_link(result[1:])
        if not settings:
            raise UserError("E_LINK", "there is no picture yet", remedy="Press Paint.")
        further = [*zip(settings.maps, settings.strengths, strict=True)][1:]
        return self._studio.mix(settings.maps[0], further, settings.denoising), settings


def file_name(mix: Mix, strengths: Sequence[float], seed: int) -> str:
    """Return the name of a picture, with λ of each map and the seed."""
    return _name(mix, [f"{strength:+g}" for strength in strengths], seed)


def _name(mix: Mix, applied: Sequence[str], seed: int) -> str:
    titles = [slug(entry.title) for entry in mix.entries]
    named = "_".join(title + each for title, each in zip(titles, applied, strict=True))
    return f"{named}_seed{seed}.png"


def _file(name: str, png: bytes) -> SavedFile:
    return SavedFile(name, f"data:image/png;base64,{base64.b64encode(png).decode()}")
