"""Previews of a running job: one prompt, steered by the maps learnt so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lineas_core.models import LanguageModel, Sampling, TextToImageModel
from lineas_core.pictures import paint, recipe_of, save_png
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.hooks import steer

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
    """Generate the preview of an iteration, as fields of its record.

    Args:
        model: the model of the job.
        maps: the maps after this iteration.
        prompt: text to continue or to paint.
        folder: folder of the job, where pictures are written.
        iteration: number in the names of the pictures.

    Returns:
        `strength` (the initial one of the method) and `text`, or `strengths` and `pictures` (file
        names).
    """
    made = maps.metadata
    if isinstance(model, LanguageModel):
        strength = made.get("strength", 1.0)
        with steer(model.network, maps, strength):
            (text,) = model.generate([prompt], seeds=[_SEED], sampling=_SAMPLING)
        return {"strength": strength, "text": text}
    stage = (
        f"iteration {iteration}" if made.get("method", "lineas") == "lineas" else made["method"]
    )
    images = paint(model, [maps], [[lam] for lam in _STRENGTHS], prompt, _SEED)
    files = []
    for image, lam in zip(images, _STRENGTHS, strict=True):
        recipe = recipe_of(model, prompt, _SEED, [(stage, lam)])
        files.append(save_png(image, folder / f"preview-{iteration}-at-{lam:+g}.png", recipe))
    return {"strengths": _STRENGTHS, "pictures": [file.name for file in files]}
