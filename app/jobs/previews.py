"""Previews of the maps of a running job, for one prompt with one seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lineas_core.methods import LINEAS, METHODS
from lineas_core.models import LanguageModel, Sampling, TextToImageModel
from lineas_core.pictures import paint, recipe_of, save_png
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.hooks import steer
from lineas_core.steering.plausible import recommended_strength

__all__ = ["preview"]

_STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)
_SAMPLING = Sampling(max_new_tokens=24)
_SEED = 0


def preview(
    model: LanguageModel | TextToImageModel,
    maps: SteeringMaps,
    prompt: str,
    folder: Path,
    iteration: int,
) -> dict[str, Any]:
    """Generate a preview for the record of an iteration.

    Args:
        model: the model that the job learns on.
        maps: the maps after this iteration.
        prompt: prompt of the text or the pictures.
        folder: folder of the job, where the pictures are saved.
        iteration: number of the iteration, part of the file names.

    Returns:
        For a text: `strength` (initial strength of the method) and `text`. For pictures:
        `strengths` and `pictures`, the names of the files.
    """
    metadata = maps.metadata
    if isinstance(model, LanguageModel):
        strength = recommended_strength(metadata)
        with steer(model.network, maps, strength):
            (text,) = model.generate([prompt], seeds=[_SEED], sampling=_SAMPLING)
        return {"strength": strength, "text": text}
    method = METHODS[metadata.get("method", LINEAS)]
    stage = f"iteration {iteration}" if method.iterative else method.label
    images = paint(model, [maps], [[strength] for strength in _STRENGTHS], prompt, _SEED)
    files = []
    for image, strength in zip(images, _STRENGTHS, strict=True):
        recipe = recipe_of(model, prompt, _SEED, [(stage, strength)])
        files.append(save_png(image, folder / f"preview-{iteration}-at-{strength:+g}.png", recipe))
    return {"strengths": _STRENGTHS, "pictures": [file.name for file in files]}
