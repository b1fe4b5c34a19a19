"""The pictures that the page opens with, painted by a second process while the page starts.

Most of a start is imports, and one process runs them one after another: those of the page, then
those of the picture model. The second process imports its own on another core meanwhile.
"""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

from lineas_core.paths import ASSETS, PROMPTS
from lineas_core.pictures import Recipe

from .maps import MapEntry, ready_made
from .models import Models
from .picture_cache import Painted
from .pictures import Pictures
from .prompts import PromptLibrary
from .settings import SEED, STRIP

if TYPE_CHECKING:
    from .studio import Studio

__all__ = ["load_model", "main", "warm_up"]

_ROWS = [[strength] for strength in STRIP]


def warm_up(studio: Studio, second: subprocess.Popen | None = None) -> None:
    """Have the first pictures of the page ready, so that the first visitor does not wait.

    Args:
        studio: the state of the page.
        second: a process that runs `main`; None paints in this one.
    """
    found = _opening(studio)
    if second and not found:
        second.kill()
        second.communicate()
    if not found:
        return
    entry, prompt = found
    if second:
        arrive = partial(_arrived, second, entry.id, prompt)
        studio.pictures.expect([entry], prompt, _ROWS, arrive, seed=SEED)
    studio.pictures.paint([entry], prompt, _ROWS, seed=SEED)


def load_model(studio: Studio) -> None:
    """Load the model that the page opens with, so that the first move does not wait for it."""
    if found := _opening(studio):
        with studio.models.use(found[0].model):
            pass


def _opening(studio: Studio) -> tuple[MapEntry, str] | None:
    """Return the map and the prompt that the page opens with; None if it opens with texts."""
    if studio.opens_on() != "text-to-image":
        return None
    return _first(studio.maps(), studio.models, studio.prompts)


def _arrived(second: subprocess.Popen, map_id: str, prompt: str) -> Sequence[Painted]:
    """Return what the second process has painted; nothing if it failed, or painted another map.

    Whoever paints instead meets its reason for a failure again.
    """
    told, _ = second.communicate()
    if second.returncode or not told:
        return ()
    with suppress(ValueError, TypeError):  # a library has written to the same output
        *same, painted = json.loads(told)
        return [_picture(**each) for each in painted] if same == [map_id, prompt] else ()
    return ()


def _picture(png: str, recipe: dict, truncated: bool) -> Painted:
    """Return a picture as it was when `main` took it apart."""
    with Image.open(BytesIO(b64decode(png))) as image:
        image.load()
    for pairs in ("maps", "identities"):
        recipe[pairs] = [(one, other) for one, other in recipe[pairs]]
    return Painted(image, Recipe(**recipe), truncated)


def main() -> None:
    """Paint the first pictures, and write them to the standard output."""
    models = Models()
    found = _first(ready_made(ASSETS / "maps"), models, PromptLibrary(PROMPTS))
    if found is None:
        return
    entry, prompt = found
    with redirect_stdout(sys.stderr):  # whatever a library prints
        painted = Pictures(models).paint([entry], prompt, _ROWS, seed=SEED)
    pictures = [
        {
            "png": b64encode(each.png()).decode(),
            "recipe": asdict(each.recipe),
            "truncated": each.truncated,
        }
        for each in painted
    ]
    sys.stdout.write(json.dumps([entry.id, prompt, pictures]))


def _first(
    maps: Sequence[MapEntry], models: Models, prompts: PromptLibrary
) -> tuple[MapEntry, str] | None:
    """Return the map and the prompt that the page opens with; None without a map that can run."""
    for entry in maps:
        if entry.kind == "text-to-image" and models.installed(entry.model):
            return entry, entry.within(prompts.scenes()[0])
    return None


if __name__ == "__main__":
    main()
