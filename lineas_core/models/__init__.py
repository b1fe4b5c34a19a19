"""The only room that knows diffusers, transformers and the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lineas_core.errors import UserError
from lineas_core.models.catalog import MODELS
from lineas_core.models.embedded import fetch, folder_of, installed
from lineas_core.models.language import LanguageModel, Sampling

__all__ = ["LanguageModel", "Sampling", "fetch", "installed", "load_model"]


def load_model(name: str, *, device: str | None = None) -> LanguageModel:
    """Load a model by its catalog name, hub id or local folder.

    Args:
        name: a key of `catalog.MODELS`, `owner/name` on the hub, or a folder.
        device: where to put it; None takes the GPU when there is one. On a GPU the weights are
            bfloat16, on a CPU float32.

    Raises:
        UserError: an embedded model that is not installed yet, or a model that is not found.
    """
    entry = MODELS.get(name)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    options: dict[str, Any] = {
        "dtype": torch.float32 if device == "cpu" else torch.bfloat16,
        "device_map": device,
    }
    if entry is None:
        if "/" not in name and not Path(name).is_dir():
            raise UserError(
                "E_MODEL",
                f"there is no model {name!r}",
                remedy=f"Choose from {', '.join(MODELS)}, or give a hub id or a folder.",
            )
        return LanguageModel.load(name, **options)
    if entry.embedded and not installed(name):
        raise UserError(
            "E_NOT_INSTALLED",
            f"{entry.title} is not on this machine yet",
            remedy=f"Run `python -m lineas_core fetch {name}` ({entry.embedded.download_mb} MB).",
        )
    source = folder_of(name) if entry.embedded else entry.hub_id
    return LanguageModel.load(str(source), name=name, preset=entry.preset, **options)
