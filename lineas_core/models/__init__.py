"""Models to steer and to score with; the only package that imports transformers, diffusers."""

from __future__ import annotations

from collections.abc import Callable

import torch

from lineas_core.errors import UserError, first_line
from lineas_core.models.catalog import MODELS
from lineas_core.models.description import ModelDescription, describe, fits
from lineas_core.models.embedded import folder_of
from lineas_core.models.installation import convert, fetch, unconverted
from lineas_core.models.integrity import damage
from lineas_core.models.language import LanguageModel
from lineas_core.models.locations import Location, files_here, installed, kind_of, locate, title_of
from lineas_core.models.sampling import Sampling
from lineas_core.models.text_to_image import TextToImageModel

__all__ = [
    "LanguageModel",
    "ModelDescription",
    "Sampling",
    "TextToImageModel",
    "damage",
    "describe",
    "fetch",
    "files_here",
    "fits",
    "folder_of",
    "installed",
    "kind_of",
    "load_model",
    "title_of",
    "unconverted",
]


def load_model(
    name: str,
    *,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> LanguageModel | TextToImageModel:
    """Load a model by its catalog name, hub id or local folder.

    Args:
        name: a key of `catalog.MODELS`, `owner/name` or `owner/name@revision` on the hub, or a
            folder. A repository or folder with a `model_index.json` is loaded as a diffusers
            pipeline, any other as a language model. Outside of the catalog, the name of the model
            that is returned has the commit of the repository, or is the resolved folder.
        device: torch device; `auto` spreads a language model over all GPUs of the machine, and
            over memory and disk where they do not suffice; None takes the GPU if there is one.
        dtype: of the weights; None is bfloat16 on a GPU and float32 on a CPU. The decoder of an
            image model stays in float32.
        progress: called with a sentence, the same one again while nothing changes, as long as
            pickled weights are converted; an exception that it raises ends that.

    Raises:
        UserError: the model is not installed, not found, damaged or of an unsupported kind, or
            the device is not there or not for this model.
    """
    entry = MODELS.get(name)
    _check_device(device)
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    device = device or kind
    dtype = dtype or (torch.float32 if "cpu" in (device, kind) else torch.bfloat16)
    place = locate(name)
    if entry.painting if entry else place.is_pipeline:
        if device == "auto":
            remedy = "Leave out the device."
            raise UserError("E_DEVICE", f"{name} paints pictures on one device", remedy=remedy)
        convert(name, progress)
        return _load_pictures(name, place, device, dtype)
    return LanguageModel.load(
        place.source,
        name=place.name,
        preset=entry.preset if entry else None,
        dtype=dtype,
        device_map=device,
        progress=progress,
        **place.options,
    )


def _load_pictures(
    name: str, place: Location, device: str, dtype: torch.dtype
) -> TextToImageModel:
    from lineas_core.models.pipelines import load_pipeline  # takes seconds to import

    entry = MODELS.get(name)
    # diffusers would look for more files than `fetch` downloads.
    source = str(place.folder) if installed(name) else place.source
    painting = entry.painting if entry else None
    pipeline = load_pipeline(
        source, device=device, dtype=dtype, painting=painting, **place.options
    )
    return TextToImageModel(pipeline, name=place.name, preset=entry.preset if entry else None)


def _check_device(device: str | None) -> None:
    if device in (None, "auto"):
        return
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        what = f"the device {device!r} cannot be used ({first_line(error)})"
        remedy = "Give cpu, cuda, cuda with a number, or auto."
        raise UserError("E_DEVICE", what, remedy=remedy) from error
