"""Export maps to other tools as LyCORIS patches of type "norm", exact for every strength.

The map s ⊙ y + c after the norm y = γ ⊙ z + β equals the same norm with γ + w_norm and
β + b_norm:

    w_norm = (s - 1) ⊙ γ,    b_norm = (s - 1) ⊙ β + c

Both are linear in λ from 0 to 1, so the weight of the patch in the other tool equals λ. The
inverse map does not extend this line below 0; it is a second file, with λ = -weight.
"""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from lineas_core.errors import UserError
from lineas_core.models.base import SteerableModel, fingerprint
from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.steering.low_rank import LowRankMap
from lineas_core.storage.disk import saving, write_atomically
from lineas_core.storage.fits import check_fits

__all__ = ["export_norms", "exportable"]

_NORMS = (nn.LayerNorm, nn.GroupNorm)


def export_norms(
    maps: SteeringMaps, model: SteerableModel, folder: str | Path, name: str
) -> list[Path]:
    """Write `NAME.safetensors` and `NAME-inverse.safetensors` for ComfyUI, A1111 and the like.

    The keys are `lora_unet_<module>.w_norm` and `.b_norm`, with the dots of a module's name as
    underscores; tensors are float32, (d,). A file is only valid for the model's own weights: its
    metadata contain the model's name and fingerprint.

    Args:
        maps: the learnt maps.
        model: the model that they were learnt on; its γ and β enter the files.
        folder: created if missing.
        name: name of the files, without suffix.

    Returns:
        Both paths, that of the map first, that of its inverse second.

    Raises:
        UserError: the map was learnt on another model, steers modules other than norms with
            weight and bias, or the files cannot be written.
    """
    _check_exportable(maps, model)
    metadata = {
        "format": "pt",
        "modelspec.title": str(maps.metadata.get("title", name)),
        "modelspec.implementation": "lineas-studio",
        "lineas.model": model.name,
        "lineas.fingerprint": fingerprint(model.network, list(maps)),
    }
    written = []
    with saving("the files were", Path(folder)):
        Path(folder).mkdir(parents=True, exist_ok=True)
        for strength, ending in ((1.0, ""), (-1.0, "-inverse")):
            file = Path(folder) / f"{name}{ending}.safetensors"
            hint = f"weight 0 to 1 is strength 0 to {strength:g}"
            facts = {**metadata, "modelspec.usage_hint": hint}
            tensors = _patches(maps.at(strength), model.network)
            write_atomically(file, safetensors.torch.save(tensors, facts))
            written.append(file)
    return written


def exportable(maps: SteeringMaps) -> bool:
    """Return True if the metadata and module names are those of maps on norms of a UNet.

    The model is not needed; `export_norms` checks the modules themselves.
    """
    names = (name.rpartition(".")[2] for name in maps)
    return maps.metadata.get("kind") == "text-to-image" and all("norm" in name for name in names)


def _check_exportable(maps: SteeringMaps, model: SteerableModel) -> None:
    check_fits(maps, model)
    others = [k for k, step in maps.items() if not _is_norm(model.network.get_submodule(k), step)]
    if others:
        raise UserError(
            "E_EXPORT",
            f"{len(others)} of {len(maps)} modules are not norms with weight and bias, "
            f"such as {others[0]}",
            remedy="Learn the map on the norms of a picture model, such as the preset all-norms.",
        )


def _is_norm(module: nn.Module, step: AffineMap | LowRankMap) -> bool:
    """Return True for a norm whose weight and bias have the width of an affine map."""
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    return (
        isinstance(module, _NORMS)
        and isinstance(step, AffineMap)
        and weight is not None
        and bias is not None
        and weight.shape == bias.shape == (step.width,)
    )


def _patches(maps: SteeringMaps, network: nn.Module) -> dict[str, Tensor]:
    """Return the changes of the norms' parameters, under the keys of LyCORIS."""
    tensors = {}
    for name, step in maps.affine.items():  # all of them, as was checked
        module, key = network.get_submodule(name), f"lora_unet_{name.replace('.', '_')}"
        weight, bias = (p.detach().to("cpu", torch.float32) for p in module.parameters())
        scale, shift = step.scale.cpu().float(), step.shift.cpu().float()
        tensors[f"{key}.w_norm"] = (scale - 1) * weight
        tensors[f"{key}.b_norm"] = (scale - 1) * bias + shift
    return tensors
