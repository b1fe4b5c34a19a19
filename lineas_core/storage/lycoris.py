"""Export maps to other tools as LyCORIS patches of type "norm", exact for every strength.

The map s ⊙ y + c after the norm y = γ ⊙ z + β equals the same norm with γ + w_norm and
β + b_norm:

    w_norm = (s - 1) ⊙ γ,    b_norm = (s - 1) ⊙ β + c

Both are linear in λ from 0 to 1, so the weight of the patch in the other tool equals λ. The
inverse map does not extend this line below 0; it is a second file, with λ = -weight.

The programs that load such files find a norm by its key, and skip a key that they do not know. So
what is written has names that all of them read, by their sources: A1111, Forge, SD.Next, ComfyUI.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from lineas_core.errors import UserError
from lineas_core.models.base import SteerableModel, fingerprint
from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.steering.low_rank import LowRankMap
from lineas_core.storage.disk import saving, write_atomically
from lineas_core.storage.fits import check_fits

__all__ = ["check_exportable", "export_norms", "exportable", "reader_note"]

_NORMS = (nn.LayerNorm, nn.GroupNorm)
_LAST = "conv_norm_out"
_KNOWN = re.compile(
    r"((down|up)_blocks\.\d+|mid_block)\."
    r"(resnets\.\d+\.norm[12]|attentions\.\d+\.(norm|transformer_blocks\.\d+\.norm[123]))|" + _LAST
)
_LAYERS = 2  # residual layers in each block of the UNets that A1111 knows


def export_norms(
    maps: SteeringMaps, model: SteerableModel, folder: str | Path, name: str
) -> list[Path]:
    """Write `NAME.safetensors` and `NAME-inverse.safetensors` for ComfyUI, A1111 and the like.

    The keys are `lora_unet_<module>.w_norm` and `.b_norm`, with the dots of a module's name as
    underscores, and `out_0` for `conv_norm_out`; tensors are float32, (d,). A file is only valid
    for the model's own weights: its metadata contain the model's name and fingerprint.

    Args:
        maps: the learnt maps.
        model: the model that they were learnt on; its γ and β enter the files.
        folder: created if missing.
        name: name of the files, without suffix.

    Returns:
        Both paths, that of the map first, that of its inverse second.

    Raises:
        UserError: the map was learnt on another model, steers modules other than norms of a UNet
            with weight and bias, or the files cannot be written.
    """
    check_exportable(maps)
    check_fits(maps, model)
    _refuse([k for k in maps if not _is_norm(model.network.get_submodule(k), maps[k])], maps)
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
    return maps.metadata.get("kind") == "text-to-image" and not _unknown(maps)


def check_exportable(maps: SteeringMaps) -> None:
    """Check that maps steer norms that the other programs know by name.

    The model, which takes long to load, is not needed.

    Raises:
        UserError: a module is none, or its map is of low rank.
    """
    _refuse(_unknown(maps), maps)


def reader_note(model: SteerableModel) -> str:
    """Return which program would not find all norms of a model; empty if each does."""
    config: Any = model.network.config
    found = getattr(config, "layers_per_block", _LAYERS)
    counts = {found} if isinstance(found, int) else {*found}
    if counts == {_LAYERS}:
        return ""
    return (
        f"A1111 knows UNets with {_LAYERS} residual layers in each block; {model.name} has "
        f"{' or '.join(map(str, sorted(counts)))}, so A1111 would skip norms or change others"
    )


def _unknown(maps: SteeringMaps) -> list[str]:
    """Return the modules that other programs do not know as norms, or cannot add a map to."""
    affine = maps.affine
    return [name for name in maps if not (_KNOWN.fullmatch(name) and name in affine)]


def _refuse(others: list[str], maps: SteeringMaps) -> None:
    """Refuse to export maps if some of their modules cannot be."""
    if not others:
        return
    remedy = "Write the model with the map in its weights (--to checkpoint)."
    if maps.metadata.get("kind") == "text-to-image":
        remedy = "Learn the map on the norms of a UNet (preset all-norms), or try --to diffusers."
    raise UserError(
        "E_EXPORT",
        f"{len(others)} of {len(maps)} modules are not norms of a UNet with weight and bias, such "
        f"as {others[0]}, and LyCORIS files are for nothing else",
        remedy=remedy,
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
        module, key = network.get_submodule(name), f"lora_unet_{_native(name)}"
        weight, bias = (p.detach().to("cpu", torch.float32) for p in module.parameters())
        scale, shift = step.scale.cpu().float(), step.shift.cpu().float()
        tensors[f"{key}.w_norm"] = (scale - 1) * weight
        tensors[f"{key}.b_norm"] = (scale - 1) * bias + shift
    return tensors


def _native(name: str) -> str:
    """Return a module's name as the part of a key.

    A1111 translates the names of diffusers, but not that of the last norm; all programs know it
    by its name in the code of Latent Diffusion, too.
    """
    return "out_0" if name == _LAST else name.replace(".", "_")
