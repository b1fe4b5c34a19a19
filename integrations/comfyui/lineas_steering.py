"""A ComfyUI node that steers a Stable Diffusion model with a LinEAS map, strength -1 to 1.

Copy this file to `ComfyUI/custom_nodes/`, and the folders of maps (or their `lineas.safetensors`)
to `ComfyUI/models/lineas/`. The node *LinEAS map* stands between the loader of the checkpoint and
the sampler; several of them in a row apply their maps one after another.

A map steers the outputs of norms: T(z) = scale * z + shift, coordinate by coordinate, at strength
λ as in LinEAS Studio. On a clone of the model, the `forward` of each norm is replaced by one that
applies the map to its result. Weights are not touched, so LoRAs, low memory and half precision
work as before. ComfyUI has the module names of the original code of Latent Diffusion, a map those
of diffusers; `ldm_name` translates them. It is for UNets with two residual layers in each block:
SD 1, SD 2 and SDXL with DMD2, Turbo and Lightning.

What was run: the functions of this file, with the interface of ComfyUI that they use rebuilt in
the tests, against LinEAS Studio's own steering; the names against the converter of diffusers.
What was not: ComfyUI itself with a real checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from typing import Any

import folder_paths  # of ComfyUI
import torch
from safetensors import safe_open
from torch import Tensor

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "LineasMap", "ldm_name"]

FOLDER = "lineas"
SMALLEST_SCALE = 1e-3
"""A coordinate with a smaller absolute scale has no usable inverse, and keeps its value."""
LARGEST = 1e4
"""Largest absolute value of a scale or shift."""
_LAYERS = 2  # residual layers in each block
_RESNET = {"norm1": "in_layers.0", "norm2": "out_layers.0"}
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")

folder_paths.add_model_folder_path(FOLDER, os.path.join(folder_paths.models_dir, FOLDER))


class LineasMap:
    """The node."""

    CATEGORY = "model_patches/lineas"
    RETURN_TYPES = ("MODEL",)
    FUNCTION = "steer"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - the name is ComfyUI's
        """Return the inputs of the node: a model, a map, and a slider."""
        files = folder_paths.get_filename_list(FOLDER)
        slider = {"default": 1.0, "min": -1.0, "max": 1.0, "step": 0.05, "display": "slider"}
        return {
            "required": {
                "model": ("MODEL",),
                "map": ([file for file in files if file.endswith(".safetensors")],),
                "strength": ("FLOAT", slider),
            }
        }

    @classmethod
    def IS_CHANGED(cls, map: str, **_: Any) -> str:  # noqa: N802 - the name is ComfyUI's
        """Return a hash of the map's file, so that a map learnt anew under its name is read anew.

        Args:
            map: as in `steer`; ComfyUI passes on the inputs that are not linked.
        """
        with open(folder_paths.get_full_path_or_raise(FOLDER, map), "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def steer(self, model: Any, map: str, strength: float) -> tuple[Any]:
        """Return a clone of a model that is steered by a map.

        Args:
            model: ComfyUI's `ModelPatcher`, which stays as it is.
            map: path of the map's weights within the folder of maps.
            strength: λ, -1 to 1; 0 returns a clone that computes what the model does.

        Raises:
            ValueError: the file is not a map of norms, or the map is for another kind of model.
        """
        steps = read_map(folder_paths.get_full_path_or_raise(FOLDER, map))
        steered = model.clone()
        for name, (scale, shift) in steps.items():
            ours = f"diffusion_model.{ldm_name(name)}"
            _check_width(steered, ours, len(scale), name)
            if strength:
                # A patch of an earlier node is returned here, so that this one acts after it.
                forward = steered.get_model_object(f"{ours}.forward")
                patch = _after(forward, *at(scale, shift, strength))
                steered.add_object_patch(f"{ours}.forward", patch)
        return (steered,)


NODE_CLASS_MAPPINGS = {"LineasMap": LineasMap}
NODE_DISPLAY_NAME_MAPPINGS = {"LineasMap": "LinEAS map"}


def read_map(file: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Read the scale and shift of each module of a map, (d,) float32 each.

    Raises:
        ValueError: the file is none of LinEAS Studio, or has values that no map has.
    """
    with safe_open(file, framework="pt") as opened:
        text = (opened.metadata() or {}).get("lineas.config")
        if text is None:
            raise ValueError(f"{file} is not a map of LinEAS Studio.")
        config = json.loads(text)
        if config.get("low_rank"):
            raise ValueError(f"{file} is a map of low rank, which this node cannot apply.")
        shifts = {name: opened.get_tensor(f"{name}.shift") for name in config["modules"]}
        ones = config.get("shifts", ())  # modules whose scales are 1 and are not stored
        steps = {
            name: (torch.ones_like(b) if name in ones else opened.get_tensor(f"{name}.scale"), b)
            for name, b in shifts.items()
        }
    for values in (value for step in steps.values() for value in step):
        if not bool((values.abs() <= LARGEST).all()):  # False for NaN
            raise ValueError(f"{file} has values that are not finite or beyond {LARGEST:g}.")
    return steps


def ldm_name(name: str) -> str:
    """Translate the name of a norm from diffusers to the code of Latent Diffusion.

    Raises:
        ValueError: there is no such norm in a UNet.
    """
    if name == "conv_norm_out":
        return "out.0"
    if found := _BLOCK.fullmatch(name):
        way, block, kind, layer, inner = found.groups()
        # Below, every block is followed by one that halves the resolution, and conv_in is first.
        index = int(block) * (_LAYERS + 1) + int(layer) + (way == "down")
        place = f"{'input' if way == 'down' else 'output'}_blocks.{index}"
        part = 0 if kind == "resnets" else 1
    elif found := _MIDDLE.fullmatch(name):
        kind, layer, inner = found.groups()
        place, part = "middle_block", 2 * int(layer) if kind == "resnets" else 1
    else:
        raise ValueError(f"{name} is not a norm of a Stable Diffusion UNet.")
    inner = _RESNET.get(inner, inner)
    if not re.fullmatch(r"in_layers\.0|out_layers\.0|(transformer_blocks\.\d+\.)?norm\d?", inner):
        raise ValueError(f"{name} is not a norm. Learn the map on norms, such as all-norms.")
    return f"{place}.{part}.{inner}"


def at(scale: Tensor, shift: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Return the scale and shift of a map at strength λ.

    λ ≥ 0: z + λ(T(z) - z); λ < 0: z + |λ|(T⁻¹(z) - z) with T⁻¹(z) = (z - shift) / scale.
    """
    if strength >= 0:
        return 1 + strength * (scale - 1), strength * shift
    usable = scale.abs() >= SMALLEST_SCALE
    safe = torch.where(usable, scale, 1.0)
    return 1 - strength * (1 / safe - 1), torch.where(usable, strength * shift / safe, 0.0)


def _after(forward: Callable[..., Tensor], scale: Tensor, shift: Tensor) -> Callable[..., Tensor]:
    """Return a `forward` that applies scale and shift to the result of another one."""
    kept: dict[torch.device, tuple[Tensor, Tensor]] = {}  # so that each device gets them once

    def steered(hidden: Tensor, *arguments: Any, **options: Any) -> Tensor:
        output = forward(hidden, *arguments, **options)
        # A GroupNorm has its coordinates on axis 1 of (n, d, h, w), a LayerNorm on the last one.
        shape = [1, -1, 1, 1] if output.dim() == 4 else [-1]
        if output.device not in kept:
            kept[output.device] = scale.to(output.device), shift.to(output.device)
        by, plus = (value.view(shape) for value in kept[output.device])
        return torch.addcmul(plus, output, by).to(output.dtype)

    return steered


def _check_width(model: Any, module: str, width: int, name: str) -> None:
    try:
        found = model.get_model_object(f"{module}.weight").shape
    except AttributeError:
        found = None
    if found != (width,):
        raise ValueError(
            f"The map does not fit this model: it steers {name} with {width} coordinates, "
            f"and {module} is {'missing' if found is None else f'of shape {tuple(found)}'}."
        )
