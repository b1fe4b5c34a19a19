"""Export maps in the weights of the model that they steer, as a folder for other programs.

The folder is written under a temporary name, loaded from there as another program would, and
compared with the steered model. Only then does it get its name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.models import LanguageModel, TextToImageModel
from lineas_core.models.checkpoint import read_checkpoint, readers_of, write_checkpoint
from lineas_core.steering.affine import AffineMap, SteeringMaps, compose
from lineas_core.steering.baking import bake, not_baked
from lineas_core.steering.hooks import steer
from lineas_core.storage.disk import new_folder, saving, write_together
from lineas_core.storage.fits import check_fits
from lineas_core.storage.model_card import checkpoint_card

__all__ = ["Proof", "check_is_new", "export_checkpoint"]

_PROMPTS = ("Once upon a time", "a robot by a lake", "The weather tomorrow will be")
_ROUNDINGS = 32  # how many errors of one `eps` in every map a result may be off by
_SHARE = 4  # an error has to be this many times smaller than the effect of the maps


@dataclass(frozen=True)
class Proof:
    """How a written folder compares with the steered model, in logits or latents.

    Attributes:
        error: largest difference from the steered model.
        effect: largest difference that the maps make.
        rounding: largest difference that rounding explains. It is measured, because networks
            differ by orders of magnitude in how much they amplify a rounding error.
        dtype: of the weights.
    """

    error: float
    effect: float
    rounding: float
    dtype: torch.dtype

    @property
    def exact(self) -> bool:
        """Whether rounding explains the error, and the effect is clear of it."""
        return self.error <= min(self.rounding, self.effect / _SHARE)

    def __str__(self) -> str:
        name = str(self.dtype).removeprefix("torch.")
        return f"largest error {self.error:.1e}, effect of the maps {self.effect:.2g} ({name})"


def export_checkpoint(
    maps: Sequence[SteeringMaps],
    strengths: Sequence[float],
    model: LanguageModel | TextToImageModel,
    folder: Path,
) -> Proof:
    """Write a model with maps in its weights: a language model with tokenizer, or a denoiser.

    Args:
        maps: one or more maps of the model, in the order in which they act.
        strengths: λ of each map. The folder is for these strengths only.
        model: the model that they were learnt on; its weights are written in their dtype.
        folder: the new folder; those above it are created if missing.

    Returns:
        The measured difference between the folder and the steered model.

    Raises:
        UserError: a map does not fit the model or cannot become weights exactly, the folder
            exists or cannot be written, or what was written computes something else.
    """
    check_is_new(folder)
    for each in maps:
        check_fits(each, model)
    composed = compose(maps, strengths)
    changed = bake(model.network, composed, readers_of(model.network))
    with saving("the model was", folder), new_folder(folder) as unfinished:
        write_checkpoint(model, changed, unfinished)
        proof = _prove(composed, model, unfinished)
        if not proof.exact:
            raise not_baked(
                f"the written model differs from the steered one ({proof}) and was deleted"
            )
        card = checkpoint_card([m.metadata for m in maps], strengths, model, str(proof))
        write_together(unfinished, {"README.md": card.encode()})
        _settle(unfinished)
    return proof


def check_is_new(folder: Path) -> None:
    """Check that a folder does not exist yet.

    Raises:
        UserError: it does.
    """
    if folder.exists():
        remedy = "Delete it, or choose another folder."
        raise UserError("E_DISK", "a folder of this name exists", where=str(folder), remedy=remedy)


@torch.no_grad()
def _prove(maps: SteeringMaps, model: LanguageModel | TextToImageModel, folder: Path) -> Proof:
    """Compare the model in a folder with the steered one on a few prompts."""
    found = _outputs(read_checkpoint(model, folder))
    original = _outputs(model)
    with steer(model.network, maps):
        steered = _outputs(model)
    dtype = model.network.dtype
    with steer(model.network, _off_by(torch.finfo(dtype).eps, maps)):
        rounded = _outputs(model)
    return Proof(
        error=(found - steered).abs().max().item(),
        effect=(steered - original).abs().max().item(),
        rounding=_ROUNDINGS * (rounded - steered).abs().max().item(),
        dtype=dtype,
    )


def _off_by(error: float, maps: SteeringMaps) -> SteeringMaps:
    """Return the maps with coordinates that are alternately too large and too small."""
    steps = {}
    for name, step in maps.affine.items():
        factor = 1 + error * (-1.0) ** torch.arange(step.width, device=step.scale.device)
        steps[name] = AffineMap(step.scale * factor, step.shift * factor)
    return SteeringMaps(steps)


def _outputs(model: Any) -> Tensor:
    """Return logits or latents of the prompts; padding is left out."""
    inputs = model.encode(_PROMPTS)
    outputs = model.forward(inputs).float()
    mask = inputs.arguments.get("attention_mask")
    return outputs if mask is None else outputs[mask.bool()]


def _settle(folder: Path) -> None:
    """Write the files to the disk, readable for other users, before the folder gets its name."""
    # A tokenizer with several chat templates has some of them in a folder.
    for file in (path for path in folder.rglob("*") if path.is_file()):
        file.chmod(0o644)  # safetensors creates files for the owner alone
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
