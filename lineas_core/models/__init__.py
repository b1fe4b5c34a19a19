"""Models to steer and to score with; the only package that imports transformers, diffusers."""

from __future__ import annotations

from pathlib import Path

import torch

from lineas_core.errors import UserError, first_line
from lineas_core.models.catalog import MODELS, ModelEntry
from lineas_core.models.embedded import fetch, folder_of, installed
from lineas_core.models.hub import is_pipeline, unreachable
from lineas_core.models.integrity import damage
from lineas_core.models.language import LanguageModel
from lineas_core.models.sampling import Sampling
from lineas_core.models.sources import check_folder
from lineas_core.models.text_to_image import TextToImageModel

__all__ = [
    "LanguageModel",
    "Sampling",
    "TextToImageModel",
    "damage",
    "fetch",
    "folder_of",
    "installed",
    "load_model",
]


def load_model(
    name: str, *, device: str | None = None, dtype: torch.dtype | None = None
) -> LanguageModel | TextToImageModel:
    """Load a model by its catalog name, hub id or local folder.

    Args:
        name: a key of `catalog.MODELS`, `owner/name` on the hub, or a folder. A repository or
            folder with a `model_index.json` is loaded as a diffusers pipeline, any other as a
            language model.
        device: torch device; `auto` spreads a language model over all GPUs of the machine, and
            over memory and disk where they do not suffice; None takes the GPU if there is one.
        dtype: of the weights; None is bfloat16 on a GPU and float32 on a CPU. The decoder of an
            image model stays in float32.

    Raises:
        UserError: the model is not installed, not found, damaged or of an unsupported kind, or
            the device is not there or not for this model.
    """
    entry = MODELS.get(name)
    _check_device(device)
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    device = device or kind
    dtype = dtype or (torch.float32 if "cpu" in (device, kind) else torch.bfloat16)
    source = _source(name, entry)
    offline = not Path(source).is_dir() and unreachable()
    if entry.painting if entry else is_pipeline(source, local_files_only=offline):
        from lineas_core.models.pipelines import load_pipeline  # takes seconds to import

        if device == "auto":
            remedy = "Leave out the device."
            raise UserError("E_DEVICE", f"{name} paints pictures on one device", remedy=remedy)
        painting = entry.painting if entry else None
        pipeline = load_pipeline(
            source, device=device, dtype=dtype, painting=painting, local_files_only=offline
        )
        return TextToImageModel(pipeline, name=name, preset=entry.preset if entry else None)
    return LanguageModel.load(
        source,
        name=name,
        preset=entry.preset if entry else None,
        local_files_only=offline,
        dtype=dtype,
        device_map=device,
    )


def _check_device(device: str | None) -> None:
    if device in (None, "auto"):
        return
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        what = f"the device {device!r} cannot be used ({first_line(error)})"
        remedy = "Give cpu, cuda, cuda with a number, or auto."
        raise UserError("E_DEVICE", what, remedy=remedy) from error


def _source(name: str, entry: ModelEntry | None) -> str:
    """Return the folder or hub id of a model."""
    if entry is None:
        check_folder(name)
        if "/" not in name and not Path(name).is_dir():
            raise UserError(
                "E_MODEL",
                f"there is no model {name!r}",
                remedy=f"Choose from {', '.join(MODELS)}, or give a hub id or a folder.",
            )
        return name
    if not (entry.embedded or entry.folder):
        return str(entry.hub_id)
    folder = folder_of(name)
    if reason := damage(folder):
        what = f"the weights of {entry.title} are missing from assets/{entry.folder}"
        remedy = "Install the project again: the weights are part of it."
        if entry.embedded:
            what = f"{entry.title} is not installed"
            remedy = f"Run `python -m lineas_core fetch {name}` ({entry.embedded.download_mb} MB)."
        if any(folder.glob("*")):
            what = f"the files of {entry.title} are damaged ({reason})"
        raise UserError("E_NOT_INSTALLED", what, remedy=remedy)
    return str(folder)
